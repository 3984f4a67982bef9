// RFC 8460 section 3:
//   tlsrpt-record  = tlsrpt-version 1*(field-delim tlsrpt-field) [field-delim]
//   tlsrpt-version = %s"v=TLSRPTv1"
//   tlsrpt-field   = tlsrpt-rua / tlsrpt-extension
//   tlsrpt-rua     = %s"rua=" tlsrpt-uri *(*WSP "," *WSP tlsrpt-uri)
//   field-delim    = *WSP ";" *WSP

#include "lib/tlsrpt/record.h"

#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace posthorn::tlsrpt {
namespace {

constexpr std::size_t kMaxUri = 512;

std::optional<std::string> PercentDecode(absl::string_view text) {
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded.push_back(text[i]);
      continue;
    }
    int octet = 0;
    if (i + 2 >= text.size() || !absl::ascii_isxdigit(static_cast<unsigned char>(text[i + 1])) ||
        !absl::ascii_isxdigit(static_cast<unsigned char>(text[i + 2])) ||
        !absl::SimpleHexAtoi(text.substr(i + 1, 2), &octet)) {
      return std::nullopt;
    }
    decoded.push_back(static_cast<char>(octet));
    i += 2;
  }
  return decoded;
}

// A plain address: whatever needs quoting is no place for reports.
bool IsAddress(const std::string& text) {
  const std::size_t at = text.find('@');
  if (at == std::string::npos || at == 0 || at + 1 == text.size()) return false;
  if (text.find('@', at + 1) != std::string::npos) return false;
  for (const char c : text) {
    if (!absl::ascii_isgraph(static_cast<unsigned char>(c))) return false;
    if (absl::StrContains("<>()[]\\,;:\"", absl::string_view(&c, 1))) return false;
  }
  return true;
}

bool IsUrl(absl::string_view text) {
  for (const char c : text) {
    if (!absl::ascii_isgraph(static_cast<unsigned char>(c))) return false;
  }
  const absl::string_view rest = text.substr(sizeof("https://") - 1);
  const absl::string_view authority = rest.substr(0, rest.find_first_of("/?#"));
  return !authority.empty() && !absl::StrContains(authority, "@");
}

void AddUri(absl::string_view uri, Destinations& destinations) {
  uri = absl::StripAsciiWhitespace(uri);
  const std::size_t known = destinations.addresses.size() + destinations.urls.size();
  if (uri.size() > kMaxUri || known >= kMaxDestinations) return;
  if (absl::StartsWithIgnoreCase(uri, "mailto:")) {
    uri.remove_prefix(sizeof("mailto:") - 1);
    std::optional<std::string> address = PercentDecode(uri.substr(0, uri.find('?')));
    if (address.has_value() && IsAddress(*address)) {
      destinations.addresses.push_back(*std::move(address));
    }
  } else if (absl::StartsWithIgnoreCase(uri, "https://") && IsUrl(uri)) {
    destinations.urls.emplace_back(uri);
  }
}

// None: not a record of this version.
std::optional<Destinations> ParseRecord(absl::string_view record) {
  std::vector<absl::string_view> fields = absl::StrSplit(record, ';');
  if (absl::StripAsciiWhitespace(fields.front()) != "v=TLSRPTv1") return std::nullopt;
  Destinations destinations;
  bool found = false;
  for (std::size_t i = 1; i < fields.size(); ++i) {
    absl::string_view field = absl::StripAsciiWhitespace(fields[i]);
    if (found || !absl::ConsumePrefix(&field, "rua=")) continue;
    found = true;
    for (absl::string_view uri : absl::StrSplit(field, ',')) AddUri(uri, destinations);
  }
  return destinations;
}

}  // namespace

Destinations ParseRecords(const std::vector<std::string>& records) {
  std::optional<Destinations> found;
  for (const std::string& record : records) {
    std::optional<Destinations> parsed = ParseRecord(record);
    if (!parsed.has_value()) continue;
    // Section 3: if there is more than one, the domain is treated as without.
    if (found.has_value()) return Destinations();
    found = std::move(parsed);
  }
  return found.has_value() ? *std::move(found) : Destinations();
}

}  // namespace posthorn::tlsrpt
