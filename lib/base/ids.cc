#include "lib/base/ids.h"

#include <algorithm>
#include <cctype>
#include <random>

#include "absl/status/status.h"

namespace posthorn {
namespace {

std::uint64_t RandomBits() {
  // Identity, not secrecy: a per-thread generator seeded from the system is enough.
  thread_local std::mt19937_64 generator = [] {
    std::random_device device;
    std::seed_seq seed{device(), device(), device(), device(), device(), device()};
    return std::mt19937_64(seed);
  }();
  return generator();
}

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

MessageId MessageId::Generate(absl::Time now) {
  MessageId id;
  const std::uint64_t millis = static_cast<std::uint64_t>(absl::ToUnixMillis(now));
  for (int i = 0; i < 6; ++i) id.bytes_[i] = static_cast<char>(millis >> (8 * (5 - i)));
  const std::uint64_t a = RandomBits();
  const std::uint64_t b = RandomBits();
  id.bytes_[6] = static_cast<char>(0x70 | ((a >> 8) & 0x0f));
  id.bytes_[7] = static_cast<char>(a);
  for (int i = 0; i < 8; ++i) id.bytes_[8 + i] = static_cast<char>(b >> (8 * i));
  id.bytes_[8] = static_cast<char>(0x80 | (id.bytes_[8] & 0x3f));
  return id;
}

absl::StatusOr<MessageId> MessageId::FromBytes(std::string_view bytes) {
  if (bytes.size() != 16) return absl::InvalidArgumentError("a message id has 16 bytes");
  MessageId id;
  std::copy(bytes.begin(), bytes.end(), id.bytes_.begin());
  return id;
}

absl::StatusOr<MessageId> MessageId::Parse(std::string_view text) {
  MessageId id;
  std::size_t nibble = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (i == 8 || i == 13 || i == 18 || i == 23) {
      if (text[i] != '-') return absl::InvalidArgumentError("malformed message id");
      continue;
    }
    const int value = HexValue(text[i]);
    if (value < 0 || nibble >= 32) return absl::InvalidArgumentError("malformed message id");
    char& byte = id.bytes_[nibble / 2];
    byte = static_cast<char>((static_cast<unsigned char>(byte) << 4) | value);
    ++nibble;
  }
  if (text.size() != 36 || nibble != 32) return absl::InvalidArgumentError("malformed message id");
  return id;
}

std::string MessageId::ToString() const {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string text;
  text.reserve(36);
  for (int i = 0; i < 16; ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text.push_back('-');
    const auto byte = static_cast<unsigned char>(bytes_[i]);
    text.push_back(kHex[byte >> 4]);
    text.push_back(kHex[byte & 15]);
  }
  return text;
}

absl::Time MessageId::time() const {
  std::int64_t millis = 0;
  for (int i = 0; i < 6; ++i) millis = (millis << 8) | static_cast<unsigned char>(bytes_[i]);
  return absl::FromUnixMillis(millis);
}

}  // namespace posthorn
