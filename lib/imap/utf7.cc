#include "lib/imap/utf7.h"

#include <cstdint>

namespace posthorn::imap {
namespace {

constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";
constexpr std::uint32_t kInvalid = 0xffffffff;

int DigitOf(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '+') return 62;
  if (c == ',') return 63;
  return -1;
}

void AppendUtf8(std::string& out, std::uint32_t c) {
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += static_cast<char>(0xc0 | (c >> 6));
    out += static_cast<char>(0x80 | (c & 0x3f));
  } else if (c < 0x10000) {
    out += static_cast<char>(0xe0 | (c >> 12));
    out += static_cast<char>(0x80 | ((c >> 6) & 0x3f));
    out += static_cast<char>(0x80 | (c & 0x3f));
  } else {
    out += static_cast<char>(0xf0 | (c >> 18));
    out += static_cast<char>(0x80 | ((c >> 12) & 0x3f));
    out += static_cast<char>(0x80 | ((c >> 6) & 0x3f));
    out += static_cast<char>(0x80 | (c & 0x3f));
  }
}

// The next code point at `pos`, which moves past it; kInvalid moves by one octet.
std::uint32_t NextUtf8(std::string_view text, std::size_t& pos) {
  const auto at = [&](std::size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u;
  };
  const std::uint32_t lead = at(pos);
  int more = 0;
  std::uint32_t c = 0;
  std::uint32_t least = 0;
  if (lead < 0x80) {
    ++pos;
    return lead;
  } else if (lead >= 0xc2 && lead < 0xe0) {
    more = 1, c = lead & 0x1f, least = 0x80;
  } else if (lead >= 0xe0 && lead < 0xf0) {
    more = 2, c = lead & 0x0f, least = 0x800;
  } else if (lead >= 0xf0 && lead < 0xf5) {
    more = 3, c = lead & 0x07, least = 0x10000;
  } else {
    ++pos;
    return kInvalid;
  }
  for (int i = 1; i <= more; ++i) {
    const std::uint32_t next = at(pos + i);
    if ((next & 0xc0) != 0x80) {
      ++pos;
      return kInvalid;
    }
    c = (c << 6) | (next & 0x3f);
  }
  if (c < least || c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) {
    ++pos;
    return kInvalid;
  }
  pos += more + 1;
  return c;
}

// The base64 run in text[pos..] up to '-', appended to `out` as UTF-8.
bool DecodeShifted(std::string_view text, std::size_t& pos, std::string& out) {
  std::uint32_t bits = 0;
  int bit_count = 0;
  std::uint32_t high_surrogate = 0;
  bool any = false;
  for (; pos < text.size() && text[pos] != '-'; ++pos) {
    const int digit = DigitOf(text[pos]);
    if (digit < 0) return false;
    bits = (bits << 6) | static_cast<std::uint32_t>(digit);
    bit_count += 6;
    if (bit_count < 16) continue;
    bit_count -= 16;
    const std::uint32_t unit = (bits >> bit_count) & 0xffff;
    bits &= (1u << bit_count) - 1;
    any = true;
    if (high_surrogate != 0) {
      if (unit < 0xdc00 || unit > 0xdfff) return false;
      AppendUtf8(out, 0x10000 + ((high_surrogate - 0xd800) << 10) + (unit - 0xdc00));
      high_surrogate = 0;
    } else if (unit >= 0xd800 && unit < 0xdc00) {
      high_surrogate = unit;
    } else if ((unit >= 0xdc00 && unit < 0xe000) || (unit >= 0x20 && unit < 0x7f)) {
      return false;
    } else {
      AppendUtf8(out, unit);
    }
  }
  if (pos == text.size()) return false;
  ++pos;
  return any && high_surrogate == 0 && bit_count < 6 && bits == 0;
}

void EncodeUnit(std::string& out, std::uint32_t unit, std::uint32_t& bits, int& bit_count) {
  bits = (bits << 16) | unit;
  bit_count += 16;
  while (bit_count >= 6) {
    bit_count -= 6;
    out += kAlphabet[(bits >> bit_count) & 0x3f];
  }
  bits &= (1u << bit_count) - 1;
}

}  // namespace

std::optional<std::string> DecodeModifiedUtf7(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  bool after_shift = false;
  for (std::size_t pos = 0; pos < text.size();) {
    const char c = text[pos++];
    if (static_cast<unsigned char>(c) >= 0x7f || static_cast<unsigned char>(c) < 0x20) {
      return std::nullopt;
    }
    if (c != '&') {
      out += c;
      after_shift = false;
      continue;
    }
    if (pos < text.size() && text[pos] == '-') {
      out += '&';
      ++pos;
      after_shift = false;
      continue;
    }
    // Two runs side by side have a shorter encoding: not canonical.
    if (after_shift || !DecodeShifted(text, pos, out)) return std::nullopt;
    after_shift = true;
  }
  return out;
}

std::string EncodeModifiedUtf7(std::string_view utf8) {
  std::string out;
  out.reserve(utf8.size());
  bool shifted = false;
  std::uint32_t bits = 0;
  int bit_count = 0;
  const auto unshift = [&] {
    if (!shifted) return;
    if (bit_count > 0) out += kAlphabet[(bits << (6 - bit_count)) & 0x3f];
    out += '-';
    shifted = false;
    bits = 0;
    bit_count = 0;
  };
  for (std::size_t pos = 0; pos < utf8.size();) {
    std::uint32_t c = NextUtf8(utf8, pos);
    if (c == kInvalid) c = 0xfffd;
    if (c >= 0x20 && c < 0x7f) {
      unshift();
      out += static_cast<char>(c);
      if (c == '&') out += '-';
      continue;
    }
    if (!shifted) {
      out += '&';
      shifted = true;
    }
    if (c >= 0x10000) {
      EncodeUnit(out, 0xd800 + ((c - 0x10000) >> 10), bits, bit_count);
      EncodeUnit(out, 0xdc00 + ((c - 0x10000) & 0x3ff), bits, bit_count);
    } else {
      EncodeUnit(out, c, bits, bit_count);
    }
  }
  unshift();
  return out;
}

bool IsValidUtf8(std::string_view text) {
  for (std::size_t pos = 0; pos < text.size();) {
    if (NextUtf8(text, pos) == kInvalid) return false;
  }
  return true;
}

}  // namespace posthorn::imap
