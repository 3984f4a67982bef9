#include "lib/dsn/text.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace posthorn::dsn {
namespace {

constexpr std::size_t kMaxLine = 998;

// Octets of the UTF-8 sequence at the front of `text`, its value in `point`; 0: malformed.
std::size_t Utf8Length(std::string_view text, char32_t& point) {
  const auto octet = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = octet(0);
  std::size_t length = 0;
  char32_t minimum = 0;
  if (lead < 0x80) {
    point = lead;
    return 1;
  }
  if (lead >= 0xC2 && lead <= 0xDF) {
    length = 2, minimum = 0x80, point = lead & 0x1Fu;
  } else if (lead >= 0xE0 && lead <= 0xEF) {
    length = 3, minimum = 0x800, point = lead & 0x0Fu;
  } else if (lead >= 0xF0 && lead <= 0xF4) {
    length = 4, minimum = 0x10000, point = lead & 0x07u;
  } else {
    return 0;
  }
  if (text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((octet(i) & 0xC0) != 0x80) return 0;
    point = (point << 6) | (octet(i) & 0x3Fu);
  }
  const bool surrogate = point >= 0xD800 && point <= 0xDFFF;
  return point < minimum || point > 0x10FFFF || surrogate ? 0 : length;
}

std::string Clean(std::string_view text, std::size_t limit, bool keep_utf8) {
  std::string out;
  while (!text.empty() && out.size() < limit) {
    char32_t point = 0;
    const std::size_t length = std::max<std::size_t>(Utf8Length(text, point), 1);
    const unsigned char first = static_cast<unsigned char>(text.front());
    if (length == 1) {
      out.push_back(absl::ascii_isprint(first) ? text.front() : (first == '\t' ? ' ' : '?'));
    } else if (!keep_utf8 || (point >= 0x80 && point < 0xA0)) {
      out.push_back('?');
    } else if (out.size() + length > limit) {
      break;
    } else {
      out.append(text.substr(0, length));
    }
    text.remove_prefix(length);
  }
  return out;
}

}  // namespace

bool Is8Bit(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) >= 0x80; });
}

std::string OneLine(std::string_view text, std::size_t limit) { return Clean(text, limit, false); }

std::string OneLineUtf8(std::string_view text, std::size_t limit) {
  return Clean(text, limit, true);
}

namespace {

// RFC 6533 section 3: utf-8-addr-xtext, without the encoding as xtext.
std::string EmbedUnicode(std::string_view address) {
  std::string out;
  while (!address.empty() && out.size() < 900) {
    char32_t point = 0;
    const std::size_t length = std::max<std::size_t>(Utf8Length(address, point), 1);
    const unsigned char first = static_cast<unsigned char>(address.front());
    if (length > 1) {
      absl::StrAppendFormat(&out, "\\x{%X}", static_cast<std::uint32_t>(point));
    } else {
      out.push_back(absl::ascii_isprint(first) && first != '\\' ? address.front() : '?');
    }
    address.remove_prefix(length);
  }
  return out;
}

}  // namespace

std::string AddressField(std::string_view address) {
  if (!Is8Bit(address)) return absl::StrCat("rfc822; ", OneLine(address, 900));
  return absl::StrCat("utf-8; ", EmbedUnicode(address));
}

std::string TypedAddressField(std::string_view typed) {
  const std::size_t end = typed.find(';');
  if (end == std::string_view::npos) return AddressField(typed);
  const std::string_view address = typed.substr(end + 1);
  if (Is8Bit(address)) return absl::StrCat("utf-8; ", EmbedUnicode(address));
  return absl::StrCat(OneLine(typed.substr(0, end), 64), "; ", OneLine(address, 900));
}

std::string DateTime(absl::Time time) {
  return absl::FormatTime("%a, %d %b %Y %H:%M:%S +0000", time, absl::UTCTimeZone());
}

std::string Wrap(std::string_view first, std::string_view indent, std::string_view text) {
  constexpr std::size_t kWidth = 76;
  std::string out;
  std::string line(first);
  bool has_word = false;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    const std::string_view word = text.substr(0, end);
    if (has_word && line.size() + 1 + word.size() > kWidth) {
      absl::StrAppend(&out, line, "\r\n");
      line.assign(indent);
      has_word = false;
    }
    if (!word.empty()) {
      if (has_word) line.push_back(' ');
      line.append(word);
      has_word = true;
    }
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  absl::StrAppend(&out, line, "\r\n");
  return out;
}

std::string HeaderSection(std::string_view message, std::size_t limit) {
  std::string out;
  std::size_t field_start = 0;  // of the field that is being copied
  while (!message.empty()) {
    const std::size_t end = std::min(message.find_first_of("\r\n"), message.size());
    std::string_view line = message.substr(0, end);
    message.remove_prefix(end);
    if (message.substr(0, 2) == "\r\n") {
      message.remove_prefix(2);
    } else if (!message.empty()) {
      message.remove_prefix(1);
    }
    if (line.empty()) break;
    if (line.front() != ' ' && line.front() != '\t') field_start = out.size();
    line = line.substr(0, kMaxLine);
    if (out.size() + line.size() + 2 > limit) {
      out.resize(field_start);  // whole fields only
      break;
    }
    out.append(line);
    out.append("\r\n");
  }
  std::replace(out.begin(), out.end(), '\0', '?');
  return out;
}

}  // namespace posthorn::dsn
