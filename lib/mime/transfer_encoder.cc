#include "lib/mime/transfer_encoder.h"

namespace posthorn::mime {
namespace {

constexpr std::size_t kMaxLine = 76;
constexpr char kHex[] = "0123456789ABCDEF";
constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

}  // namespace

void TransferEncoder::Encode(std::string_view bytes, std::string* out) {
  if (kind_ == Kind::kBase64) {
    EncodeBase64(bytes, out);
  } else {
    EncodeQuotedPrintable(bytes, out);
  }
}

void TransferEncoder::PutQuoted(unsigned char c, bool literal, std::string* out) {
  // Room for the "=" of a soft line break stays.
  if (column_ + (literal ? 1 : 3) > kMaxLine - 1) {
    out->append("=\r\n");
    column_ = 0;
  }
  if (literal) {
    out->push_back(static_cast<char>(c));
    ++column_;
  } else {
    out->push_back('=');
    out->push_back(kHex[c >> 4]);
    out->push_back(kHex[c & 15]);
    column_ += 3;
  }
}

void TransferEncoder::EncodeQuotedPrintable(std::string_view bytes, std::string* out) {
  for (const char c : bytes) {
    if (held_ == '\r' && c == '\n') {
      out->append("\r\n");
      column_ = 0;
      held_ = '\0';
      continue;
    }
    if (held_ != '\0') {
      // White space stays as it is unless it ends the line (RFC 2045 section 6.7, rule 3).
      const bool literal = held_ != '\r' && c != '\r';
      PutQuoted(static_cast<unsigned char>(held_), literal, out);
      held_ = '\0';
    }
    if (c == ' ' || c == '\t' || c == '\r') {
      held_ = c;
    } else {
      PutQuoted(static_cast<unsigned char>(c), c > ' ' && c < '\x7f' && c != '=', out);
    }
  }
}

void TransferEncoder::PutGroup(std::string* out) {
  if (column_ == kMaxLine) {
    out->append("\r\n");
    column_ = 0;
  }
  const std::uint32_t bits = static_cast<std::uint32_t>(group_[0]) << 16 |
                             static_cast<std::uint32_t>(group_[1]) << 8 | group_[2];
  for (std::size_t i = 0; i < 4; ++i) {
    out->push_back(i > grouped_ ? '=' : kAlphabet[bits >> (18 - 6 * i) & 63]);
  }
  column_ += 4;
  grouped_ = 0;
  group_[0] = group_[1] = group_[2] = 0;
}

void TransferEncoder::EncodeBase64(std::string_view bytes, std::string* out) {
  out->reserve(out->size() + bytes.size() * 7 / 5 + 8);
  for (const char c : bytes) {
    group_[grouped_++] = static_cast<unsigned char>(c);
    if (grouped_ == 3) PutGroup(out);
  }
}

void TransferEncoder::Finish(std::string* out) {
  if (held_ != '\0') PutQuoted(static_cast<unsigned char>(held_), false, out);
  if (grouped_ > 0) PutGroup(out);
  held_ = '\0';
  column_ = 0;
}

}  // namespace posthorn::mime
