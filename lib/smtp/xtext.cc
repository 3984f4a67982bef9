// RFC 3461 section 4:
//   xtext   = *( xchar / hexchar )
//   xchar   = any ASCII CHAR between "!" (33) and "~" (126) inclusive, except for "+" and "="
//   hexchar = "+" two hexadecimal digits, upper case
// RFC 6533 section 3:
//   utf-8-addr-xtext    = 1*( QUCHAR / EmbeddedUnicodeChar )
//   EmbeddedUnicodeChar = "\x{" 2*6HEXDIG "}"
//   utf-8-addr-unitext  = 1*( QUCHAR / UTF8-non-ascii / EmbeddedUnicodeChar )
#include "lib/smtp/xtext.h"

#include <cstdint>

#include "absl/strings/ascii.h"
#include "lib/smtp/international.h"

namespace posthorn::smtp {
namespace {

constexpr char kDigits[] = "0123456789ABCDEF";

bool IsXchar(char c) { return c >= 33 && c <= 126 && c != '+' && c != '='; }

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char upper = absl::ascii_toupper(static_cast<unsigned char>(c));
  return upper >= 'A' && upper <= 'F' ? upper - 'A' + 10 : -1;
}

void AppendUtf8(std::uint32_t c, std::string& out) {
  const auto tail = [c](int shift) { return static_cast<char>(0x80 | ((c >> shift) & 0x3f)); };
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += static_cast<char>(0xc0 | (c >> 6));
    out += tail(0);
  } else if (c < 0x10000) {
    out += static_cast<char>(0xe0 | (c >> 12));
    out += tail(6);
    out += tail(0);
  } else {
    out += static_cast<char>(0xf0 | ((c >> 18) & 0x07));
    out += tail(12);
    out += tail(6);
    out += tail(0);
  }
}

}  // namespace

std::string EncodeXtext(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (IsXchar(c)) {
      out += c;
      continue;
    }
    const auto octet = static_cast<unsigned char>(c);
    out += '+';
    out += kDigits[octet >> 4];
    out += kDigits[octet & 15];
  }
  return out;
}

std::optional<std::string> DecodeXtext(std::string_view xtext) {
  std::string out;
  for (std::size_t i = 0; i < xtext.size(); ++i) {
    if (xtext[i] != '+') {
      if (!IsXchar(xtext[i])) return std::nullopt;
      out += xtext[i];
      continue;
    }
    if (i + 2 >= xtext.size()) return std::nullopt;
    const int high = HexValue(xtext[i + 1]);
    const int low = HexValue(xtext[i + 2]);
    if (high < 0 || low < 0) return std::nullopt;
    out += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return out;
}

std::optional<std::string> DecodeUtf8Xtext(std::string_view xtext) {
  std::string out;
  while (!xtext.empty()) {
    const char c = xtext.front();
    if (c != '\\') {
      if (static_cast<unsigned char>(c) < 0x80 && !IsXchar(c)) return std::nullopt;
      out += c;
      xtext.remove_prefix(1);
      continue;
    }
    const std::size_t end = xtext.find('}');
    if (!xtext.starts_with("\\x{") || end == std::string_view::npos) return std::nullopt;
    const std::string_view digits = xtext.substr(3, end - 3);
    if (digits.size() < 2 || digits.size() > 6) return std::nullopt;
    std::uint32_t character = 0;
    for (const char digit : digits) {
      const int value = HexValue(digit);
      if (value < 0) return std::nullopt;
      character = character * 16 + static_cast<std::uint32_t>(value);
    }
    if (character > 0x10ffff) return std::nullopt;
    AppendUtf8(character, out);
    xtext.remove_prefix(end + 1);
  }
  // Also finds surrogates that were written as characters.
  if (!IsUtf8(out)) return std::nullopt;
  return out;
}

}  // namespace posthorn::smtp
