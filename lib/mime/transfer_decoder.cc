#include "lib/mime/transfer_decoder.h"

#include <array>

#include "lib/mime/ascii.h"

namespace posthorn::mime {
namespace {

// Longest run of white space held back to see whether a line ends after it; RFC 2045 section 6.7
// limits lines to 76 octets, so a longer run is no encoder's padding.
constexpr std::size_t kMaxHeldBlanks = 1024;

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

constexpr std::array<signed char, 256> MakeBase64() {
  std::array<signed char, 256> values{};
  for (auto& value : values) value = -1;
  constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (int i = 0; i < 64; ++i) {
    values[static_cast<unsigned char>(kAlphabet[i])] = static_cast<signed char>(i);
  }
  return values;
}
constexpr std::array<signed char, 256> kBase64 = MakeBase64();

}  // namespace

TransferDecoder::TransferDecoder(std::string_view encoding) : kind_(Kind::kIdentity) {
  if (EqualsIgnoreCase(encoding, "quoted-printable")) kind_ = Kind::kQuotedPrintable;
  if (EqualsIgnoreCase(encoding, "base64")) kind_ = Kind::kBase64;
}

void TransferDecoder::Decode(std::string_view bytes, std::string* out) {
  switch (kind_) {
    case Kind::kIdentity: out->append(bytes); return;
    case Kind::kQuotedPrintable: DecodeQuotedPrintable(bytes, out); return;
    case Kind::kBase64: DecodeBase64(bytes, out); return;
  }
}

void TransferDecoder::Finish(std::string* out) {
  // White space at the end was padding; an unfinished "=" stays as written.
  if (!held_.empty() && held_.front() == '=' && held_.size() > 1) out->append(held_);
  held_.clear();
  bits_ = 0;
  sextets_ = 0;
}

void TransferDecoder::DecodeQuotedPrintable(std::string_view bytes, std::string* out) {
  for (const char c : bytes) {
    if (!held_.empty() && held_.front() == '=') {
      if (held_.size() == 1 && HexValue(c) >= 0) {
        held_.push_back(c);
        continue;
      }
      if (held_.size() == 2 && HexValue(held_[1]) >= 0 && HexValue(c) >= 0) {
        out->push_back(static_cast<char>(HexValue(held_[1]) * 16 + HexValue(c)));
        held_.clear();
        continue;
      }
      // A soft line break: "=", blanks, the line end.
      const bool only_blanks = held_.size() == 1 || HexValue(held_[1]) < 0;
      if (only_blanks && c == '\n') {
        held_.clear();
        continue;
      }
      if (only_blanks && (IsBlank(c) || c == '\r') && held_.size() < kMaxHeldBlanks) {
        held_.push_back(c);
        continue;
      }
      // No such thing: as written.
      out->append(held_);
      held_.clear();
    }
    if (c == '=') {
      out->append(held_);
      held_.assign(1, c);
    } else if (IsBlank(c) || c == '\r') {
      if (held_.size() >= kMaxHeldBlanks) {
        out->append(held_);
        held_.clear();
      }
      held_.push_back(c);
    } else if (c == '\n') {
      // Blanks before a line end were added on the way (RFC 2045 section 6.7, rule 3).
      if (!held_.empty() && held_.back() == '\r') out->push_back('\r');
      out->push_back('\n');
      held_.clear();
    } else {
      out->append(held_);
      held_.clear();
      out->push_back(c);
    }
  }
}

void TransferDecoder::DecodeBase64(std::string_view bytes, std::string* out) {
  for (const char c : bytes) {
    if (c == '=') {  // what follows starts anew: encoded pieces may have been joined
      bits_ = 0;
      sextets_ = 0;
      continue;
    }
    const int value = kBase64[static_cast<unsigned char>(c)];
    if (value < 0) continue;
    bits_ = (bits_ << 6) | static_cast<std::uint32_t>(value);
    ++sextets_;
    // An octet is complete with the second, third and fourth sextet.
    if (sextets_ == 2) out->push_back(static_cast<char>(bits_ >> 4));
    if (sextets_ == 3) out->push_back(static_cast<char>(bits_ >> 2));
    if (sextets_ == 4) {
      out->push_back(static_cast<char>(bits_));
      bits_ = 0;
      sextets_ = 0;
    }
  }
}

}  // namespace posthorn::mime
