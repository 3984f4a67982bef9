#include "lib/imap/mailbox_name.h"

#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "lib/base/failure.h"
#include "lib/imap/utf7.h"

namespace posthorn::imap {
namespace {

void NormaliseInbox(std::string& name) {
  constexpr std::string_view kInbox = "INBOX";
  if (name.size() < kInbox.size()) return;
  if (name.size() > kInbox.size() && name[kInbox.size()] != kHierarchySeparator) return;
  for (std::size_t i = 0; i < kInbox.size(); ++i) {
    if (absl::ascii_toupper(static_cast<unsigned char>(name[i])) != kInbox[i]) return;
  }
  name.replace(0, kInbox.size(), kInbox);
}

}  // namespace

absl::StatusOr<std::string> DecodePattern(std::string_view sent, bool utf8) {
  if (utf8) {
    if (IsValidUtf8(sent)) return std::string(sent);
    return MakeFailure(Failure::kMailboxNameInvalid, "Mailbox name is not valid UTF-8");
  }
  std::optional<std::string> name = DecodeModifiedUtf7(sent);
  if (name) return *std::move(name);
  return MakeFailure(Failure::kMailboxNameInvalid, "Mailbox name is not valid modified UTF-7");
}

absl::StatusOr<std::string> DecodeMailbox(std::string_view sent, bool utf8) {
  absl::StatusOr<std::string> name = DecodePattern(sent, utf8);
  if (name.ok()) NormaliseInbox(*name);
  return name;
}

absl::Status ValidateNewMailbox(std::string_view name, std::size_t max_octets) {
  const auto invalid = [](std::string_view why) {
    return MakeFailure(Failure::kMailboxNameInvalid, why);
  };
  if (name.empty()) return invalid("Mailbox name is empty");
  if (name.size() > max_octets) return invalid("Mailbox name is too long");
  if (!IsValidUtf8(name)) return invalid("Mailbox name is not valid UTF-8");
  char previous = kHierarchySeparator;
  for (const char c : name) {
    if (c == kHierarchySeparator && previous == kHierarchySeparator) {
      return invalid("Mailbox name has an empty level");
    }
    if (absl::ascii_iscntrl(static_cast<unsigned char>(c))) {
      return invalid("Mailbox name has control characters");
    }
    // Nobody could list such a name without listing others as well.
    if (c == '*' || c == '%') return invalid("Mailbox name has a wildcard");
    previous = c;
  }
  if (previous == kHierarchySeparator) return invalid("Mailbox name ends with a separator");
  return absl::OkStatus();
}

bool MatchesPattern(std::string_view name, std::string_view pattern) {
  std::string normal(pattern);
  // INBOX is case-insensitive in patterns too.
  if (absl::StartsWithIgnoreCase(normal, "inbox") &&
      (normal.size() == 5 || normal[5] == kHierarchySeparator || normal[5] == '*' ||
       normal[5] == '%')) {
    normal.replace(0, 5, "INBOX");
  }
  // reached[i]: the pattern so far matches the first i octets of the name.
  std::vector<char> reached(name.size() + 1, 0);
  reached[0] = 1;
  for (const char c : normal) {
    if (c == '*' || c == '%') {
      bool on = false;
      for (std::size_t i = 0; i <= name.size(); ++i) {
        if (i > 0 && c == '%' && name[i - 1] == kHierarchySeparator) on = false;
        on = on || reached[i] != 0;
        reached[i] = on;
      }
    } else {
      for (std::size_t i = name.size(); i > 0; --i) {
        reached[i] = reached[i - 1] != 0 && name[i - 1] == c;
      }
      reached[0] = 0;
    }
  }
  return reached[name.size()] != 0;
}

}  // namespace posthorn::imap
