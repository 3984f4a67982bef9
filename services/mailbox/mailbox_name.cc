#include "services/mailbox/mailbox_name.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "lib/base/failure.h"
#include "lib/postgres/text.h"

namespace posthorn::mailbox {
namespace {

constexpr std::string_view kInbox = "INBOX";

bool HasControls(std::string_view name) {
  return std::any_of(name.begin(), name.end(), [](char c) {
    const auto octet = static_cast<unsigned char>(c);
    return octet < 0x20 || octet == 0x7f;
  });
}

}  // namespace

absl::StatusOr<std::string> CanonicalName(std::string_view name) {
  if (name.ends_with('/')) name.remove_suffix(1);
  const bool has_empty_level = name.empty() || name.starts_with('/') || name.ends_with('/') ||
                               name.find("//") != std::string_view::npos;
  if (has_empty_level || name.size() > kMaxNameOctets || HasControls(name) ||
      !postgres::IsStorableText(name) ||
      std::count(name.begin(), name.end(), '/') >= kMaxNameLevels) {
    return MakeFailure(Failure::kMailboxNameInvalid);
  }
  std::string result(name);
  const std::string_view first = name.substr(0, name.find('/'));
  if (absl::EqualsIgnoreCase(absl::string_view(first.data(), first.size()), "INBOX")) {
    result.replace(0, kInbox.size(), kInbox);
  }
  return result;
}

std::vector<std::string> ParentsOf(std::string_view name) {
  std::vector<std::string> parents;
  for (std::size_t slash = name.find('/'); slash != std::string_view::npos;
       slash = name.find('/', slash + 1)) {
    parents.emplace_back(name.substr(0, slash));
  }
  return parents;
}

}  // namespace posthorn::mailbox
