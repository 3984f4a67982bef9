#include "services/mailbox/address.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "lib/base/failure.h"
#include "lib/mime/case_fold.h"
#include "lib/postgres/text.h"
#include "lib/smtp/international.h"

namespace posthorn::mailbox {
namespace {

constexpr std::size_t kMaxLocal = 64;   // RFC 5321 section 4.5.3.1.1
constexpr std::size_t kMaxDomain = 255;

bool IsAtomChar(char c) {
  const auto octet = static_cast<unsigned char>(c);
  return octet >= 0x80 || absl::ascii_isalnum(octet) ||
         std::string_view("!#$%&'*+-/=?^_`{|}~").find(c) != std::string_view::npos;
}

bool IsDotAtom(std::string_view text) {
  return !text.empty() && !text.starts_with('.') && !text.ends_with('.') &&
         text.find("..") == std::string_view::npos &&
         std::all_of(text.begin(), text.end(), [](char c) { return c == '.' || IsAtomChar(c); });
}

// The content of a quoted string; false if it is none.
bool Unquote(std::string_view text, std::string& content) {
  if (text.size() < 2 || text.front() != '"' || text.back() != '"') return false;
  text = text.substr(1, text.size() - 2);
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '"') return false;
    if (text[i] == '\\' && ++i == text.size()) return false;
    if (static_cast<unsigned char>(text[i]) < 0x20 || text[i] == 0x7f) return false;
    content += text[i];
  }
  return true;
}

// Empty, which no local part is, if it is not UTF-8.
std::string Fold(std::string_view text) {
  return mime::LowerCaseNfc(text).value_or(std::string());
}

}  // namespace

std::vector<DirectoryAddress::Tagged> DirectoryAddress::WithoutTag(
    std::string_view separators) const {
  std::vector<Tagged> result;
  if (local.empty() || local.front() == '"') return result;
  std::size_t at = local.find_last_of(separators);
  while (at != std::string::npos && at > 0 && result.size() < kMaxTagged) {
    result.emplace_back(local.substr(0, at), local.substr(at + 1));
    at = local.find_last_of(separators, at - 1);
  }
  return result;
}

absl::StatusOr<std::string> ParseDomainName(std::string_view name) {
  const absl::StatusOr<std::string> ascii = smtp::DomainToAscii(name);
  if (!ascii.ok()) return ascii.status();
  const std::string& domain = *ascii;
  const bool well_formed =
      !domain.empty() && domain.size() <= kMaxDomain && domain.front() != '.' &&
      domain.back() != '.' && domain.find("..") == std::string::npos &&
      std::all_of(domain.begin(), domain.end(), [](char c) {
        return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '.' ||
               c == '_';
      });
  if (!well_formed) return MakeFailure(Failure::kBadAddress, "malformed domain name");
  return domain;
}

absl::StatusOr<DirectoryAddress> ParseDirectoryAddress(std::string_view address) {
  const std::size_t at = address.rfind('@');
  if (at == std::string_view::npos || !postgres::IsStorableText(address)) {
    return MakeFailure(Failure::kBadAddress);
  }
  absl::StatusOr<std::string> domain = ParseDomainName(address.substr(at + 1));
  if (!domain.ok()) return MakeFailure(Failure::kBadAddress);
  std::string_view local = address.substr(0, at);
  DirectoryAddress result;
  result.domain = *std::move(domain);
  std::string content;
  if (IsDotAtom(local)) {
    result.local = Fold(local);
  } else if (Unquote(local, content)) {
    result.local = Fold(IsDotAtom(content) ? content : local);
  } else {
    return MakeFailure(Failure::kBadAddress);
  }
  if (result.local.empty() || result.local.size() > kMaxLocal) {
    return MakeFailure(Failure::kBadAddress);
  }
  return result;
}

absl::StatusOr<std::string> ParseRemoteAddress(std::string_view address) {
  const absl::StatusOr<DirectoryAddress> parsed = ParseDirectoryAddress(address);
  if (!parsed.ok()) return parsed.status();
  return std::string(address.substr(0, address.rfind('@') + 1)) + parsed->domain;
}

}  // namespace posthorn::mailbox
