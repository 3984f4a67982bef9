#include "lib/smtp/client/orcpt.h"

#include <cstddef>
#include <cstdint>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "lib/smtp/xtext.h"

namespace posthorn::smtp::client {
namespace {

constexpr std::size_t kMaxOrcpt = 500;  // RFC 3461 section 4.2

// The character at the front of `text` and its length in octets; 0: malformed UTF-8.
std::size_t Utf8Length(std::string_view text, std::uint32_t& point) {
  const auto octet = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = octet(0);
  const std::size_t length = lead >= 0xF0 && lead <= 0xF4   ? 4
                             : lead >= 0xE0 && lead <= 0xEF ? 3
                             : lead >= 0xC2 && lead <= 0xDF ? 2
                                                            : 0;
  if (length == 0 || text.size() < length) return 0;
  point = lead & (0xFFu >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    if ((octet(i) & 0xC0) != 0x80) return 0;
    point = (point << 6) | (octet(i) & 0x3Fu);
  }
  return length;
}

}  // namespace

std::string EncodeOrcpt(std::string_view typed) {
  const std::size_t end = typed.find(';');
  if (end == std::string_view::npos || end == 0) return "";
  std::string type(typed.substr(0, end));
  std::string_view address = typed.substr(end + 1);
  for (const char c : type) {
    if (!absl::ascii_isalnum(static_cast<unsigned char>(c)) && c != '-') return "";
  }
  std::string encoded;
  bool utf8 = false;
  while (!address.empty()) {
    const unsigned char c = static_cast<unsigned char>(address.front());
    std::size_t length = 1;
    if (c < 0x80) {
      encoded += EncodeXtext(address.substr(0, 1));
    } else {
      std::uint32_t point = 0;
      length = Utf8Length(address, point);
      if (length == 0) return "";
      absl::StrAppendFormat(&encoded, "\\x{%X}", point);
      utf8 = true;
    }
    address.remove_prefix(length);
  }
  if (utf8) type = "utf-8";
  if (encoded.empty() || type.size() + 1 + encoded.size() > kMaxOrcpt) return "";
  return absl::StrCat(type, ";", encoded);
}

}  // namespace posthorn::smtp::client
