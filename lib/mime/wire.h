#ifndef POSTHORN_LIB_MIME_WIRE_H_
#define POSTHORN_LIB_MIME_WIRE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace posthorn::mime {

// The octets of serialised structures and envelopes: integers as base-128 varints, strings as
// length and octets, optional strings as length plus one (0: none).
class WireWriter {
 public:
  explicit WireWriter(std::string* out) : out_(out) {}
  void Byte(std::uint8_t value) { out_->push_back(static_cast<char>(value)); }
  void Number(std::uint64_t value) {
    while (value >= 0x80) {
      out_->push_back(static_cast<char>(value | 0x80));
      value >>= 7;
    }
    out_->push_back(static_cast<char>(value));
  }
  void Text(std::string_view text) {
    Number(text.size());
    out_->append(text);
  }
  void OptionalText(const std::optional<std::string>& text) {
    Number(text ? text->size() + 1 : 0);
    if (text) out_->append(*text);
  }

 private:
  std::string* out_;
};

// Reads what WireWriter wrote. After bytes that don't fit, ok() is false and all reads give zeros.
class WireReader {
 public:
  explicit WireReader(std::string_view bytes) : bytes_(bytes) {}
  bool ok() const { return ok_; }
  std::size_t remaining() const { return bytes_.size(); }

  std::uint8_t Byte() {
    if (bytes_.empty()) return Fail();
    const auto value = static_cast<std::uint8_t>(bytes_.front());
    bytes_.remove_prefix(1);
    return value;
  }
  std::uint64_t Number() {
    std::uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const std::uint8_t byte = Byte();
      value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    return Fail();
  }
  // A number of items of at least one octet each: more than remain cannot be meant.
  std::size_t Count() {
    const std::uint64_t count = Number();
    return count > bytes_.size() ? Fail() : static_cast<std::size_t>(count);
  }
  std::string Text() { return Take(Number()); }
  std::optional<std::string> OptionalText() {
    const std::uint64_t size = Number();
    if (size == 0) return std::nullopt;
    return Take(size - 1);
  }

 private:
  std::uint8_t Fail() {
    ok_ = false;
    bytes_ = {};
    return 0;
  }
  std::string Take(std::uint64_t size) {
    if (size > bytes_.size()) {
      Fail();
      return {};
    }
    std::string text(bytes_.substr(0, size));
    bytes_.remove_prefix(size);
    return text;
  }

  std::string_view bytes_;
  bool ok_ = true;
};

// Shared by envelope.cc and structure.cc.
struct Envelope;
void WriteEnvelope(const Envelope& envelope, WireWriter& writer);
void ReadEnvelope(WireReader& reader, Envelope* envelope);

}  // namespace posthorn::mime

#endif  // POSTHORN_LIB_MIME_WIRE_H_
