#include "apps/posthornctl/mail/maildir.h"

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "lib/imap/utf7.h"

namespace posthorn::ctl {
namespace {

constexpr std::size_t kLetters = 26;
constexpr char kPeriod[] = "&AC4-";
constexpr char kForwarded[] = "$Forwarded";

absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

std::string_view Digits(std::string_view name) {
  const std::size_t size = std::min(name.find_first_not_of("0123456789"), name.size());
  std::string_view digits = name.substr(0, size);
  digits.remove_prefix(std::min(digits.find_first_not_of('0'), digits.size()));
  return digits;
}

}  // namespace

std::string FolderOf(std::string_view mailbox) {
  if (mailbox == "INBOX") return "";
  std::string folder;
  for (const absl::string_view part : absl::StrSplit(View(mailbox), '/')) {
    folder += "." + absl::StrReplaceAll(imap::EncodeModifiedUtf7({part.data(), part.size()}),
                                        {{".", kPeriod}});
  }
  return folder;
}

std::optional<std::string> MailboxOf(std::string_view folder) {
  if (folder.empty()) return "INBOX";
  if (folder.front() != '.' || folder == "." || folder == "..") return std::nullopt;
  std::vector<std::string> parts;
  for (const absl::string_view part : absl::StrSplit(View(folder.substr(1)), '.')) {
    // A period is the only sign of US-ASCII that is ever encoded.
    std::vector<std::string> pieces;
    for (const absl::string_view piece : absl::StrSplit(part, kPeriod)) {
      std::optional<std::string> decoded = imap::DecodeModifiedUtf7({piece.data(), piece.size()});
      if (!decoded.has_value()) return std::nullopt;
      pieces.push_back(*std::move(decoded));
    }
    parts.push_back(absl::StrJoin(pieces, "."));
    if (parts.back().empty()) return std::nullopt;
  }
  return absl::StrJoin(parts, "/");
}

FileName ParseFileName(std::string_view name, const std::vector<std::string>& keywords) {
  FileName result;
  const std::size_t colon = name.rfind(":2,");
  result.base = std::string(name.substr(0, colon));
  for (const absl::string_view field : absl::StrSplit(result.base, ',')) {
    std::uint64_t number = 0;
    if (field.size() < 3 || field[1] != '=' || !absl::SimpleAtoi(field.substr(2), &number))
      continue;
    if (field[0] == 'S') result.size = number;
    if (field[0] == 'W') result.virtual_size = number;
  }
  if (colon == std::string_view::npos) return result;
  for (const char letter : name.substr(colon + 3)) {
    switch (letter) {
      case 'D':
        result.flags |= kDraft;
        break;
      case 'F':
        result.flags |= kFlagged;
        break;
      case 'P':
        result.keywords.push_back(kForwarded);
        break;
      case 'R':
        result.flags |= kAnswered;
        break;
      case 'S':
        result.flags |= kSeen;
        break;
      case 'T':
        result.flags |= kDeleted;
        break;
      default:
        if (letter >= 'a' && letter <= 'z') {
          const auto index = static_cast<std::size_t>(letter - 'a');
          if (index < keywords.size() && !keywords[index].empty()) {
            result.keywords.push_back(keywords[index]);
          }
        }
    }
  }
  return result;
}

std::string FlagLetters(std::uint32_t flags, const std::vector<std::string>& of_message,
                        std::vector<std::string>& keywords, std::vector<std::string>& left_over) {
  std::string letters;
  const bool forwarded =
      std::find(of_message.begin(), of_message.end(), kForwarded) != of_message.end();
  if ((flags & kDraft) != 0) letters += 'D';
  if ((flags & kFlagged) != 0) letters += 'F';
  if (forwarded) letters += 'P';
  if ((flags & kAnswered) != 0) letters += 'R';
  if ((flags & kSeen) != 0) letters += 'S';
  if ((flags & kDeleted) != 0) letters += 'T';
  std::string small;
  for (const std::string& keyword : of_message) {
    if (keyword == kForwarded) continue;
    const auto found = std::find(keywords.begin(), keywords.end(), keyword);
    const auto index = static_cast<std::size_t>(found - keywords.begin());
    if (index >= kLetters) {
      left_over.push_back(keyword);
      continue;
    }
    if (found == keywords.end()) keywords.push_back(keyword);
    small += static_cast<char>('a' + index);
  }
  std::sort(small.begin(), small.end());
  return letters + small;
}

std::vector<std::string> ParseKeywords(std::string_view file) {
  std::vector<std::string> keywords;
  for (const absl::string_view line : absl::StrSplit(View(file), '\n', absl::SkipEmpty())) {
    const std::pair<absl::string_view, absl::string_view> parts =
        absl::StrSplit(line, absl::MaxSplits(' ', 1));
    std::size_t index = 0;
    if (!absl::SimpleAtoi(parts.first, &index) || index >= kLetters) continue;
    if (keywords.size() <= index) keywords.resize(index + 1);
    keywords[index] = std::string(parts.second);
  }
  return keywords;
}

std::string FormatKeywords(const std::vector<std::string>& keywords) {
  std::string file;
  for (std::size_t i = 0; i < keywords.size(); ++i)
    absl::StrAppend(&file, i, " ", keywords[i], "\n");
  return file;
}

bool ComesBefore(std::string_view a, std::string_view b) {
  const std::string_view number_a = Digits(a);
  const std::string_view number_b = Digits(b);
  if (number_a.size() != number_b.size()) return number_a.size() < number_b.size();
  if (number_a != number_b) return number_a < number_b;
  return a < b;
}

std::string CrlfMaker::Feed(std::string_view piece) {
  std::string out;
  out.reserve(piece.size() + piece.size() / 32);
  for (const char c : piece) {
    if (c == '\n' && !after_cr_) out += '\r';
    out += c;
    after_cr_ = c == '\r';
  }
  return out;
}

}  // namespace posthorn::ctl
