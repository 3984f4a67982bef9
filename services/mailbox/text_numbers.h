#ifndef POSTHORN_SERVICES_MAILBOX_TEXT_NUMBERS_H_
#define POSTHORN_SERVICES_MAILBOX_TEXT_NUMBERS_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

// The numbers of the text index as stored: varints, 7 bits an octet, the lowest first. Pure.
namespace posthorn::mailbox {

inline void PutNumber(std::string& out, std::uint64_t number) {
  while (number >= 0x80) {
    out += static_cast<char>(number | 0x80);
    number >>= 7;
  }
  out += static_cast<char>(number);
}

// A count, and how much each is above the one before.
template <typename Container>
void PutAscending(std::string& out, const Container& numbers) {
  PutNumber(out, numbers.size());
  std::uint64_t before = 0;
  for (const auto number : numbers) {
    PutNumber(out, static_cast<std::uint64_t>(number) - before);
    before = static_cast<std::uint64_t>(number);
  }
}

// Reads what is put so. The data outlives it.
class Numbers {
 public:
  Numbers() = default;
  explicit Numbers(std::string_view data) : data_(data) {}
  // False at the end, or for what is damaged.
  bool Next(std::uint64_t& number) {
    number = 0;
    for (int shift = 0; shift < 64 && !data_.empty(); shift += 7) {
      const auto octet = static_cast<unsigned char>(data_.front());
      data_.remove_prefix(1);
      number |= static_cast<std::uint64_t>(octet & 0x7f) << shift;
      if (octet < 0x80) return true;
    }
    return false;
  }
  // Appends.
  template <typename Number>
  bool NextAscending(std::vector<Number>& numbers) {
    std::uint64_t count = 0;
    if (!Next(count) || count > data_.size()) return false;
    numbers.reserve(numbers.size() + count);
    std::uint64_t value = 0;
    for (; count > 0; --count) {
      std::uint64_t delta = 0;
      if (!Next(delta)) return false;
      value += delta;
      numbers.push_back(static_cast<Number>(value));
    }
    return true;
  }
  bool SkipAscending() {
    std::uint64_t count = 0;
    if (!Next(count)) return false;
    for (std::uint64_t delta = 0; count > 0; --count) {
      if (!Next(delta)) return false;
    }
    return true;
  }

 private:
  std::string_view data_;
};

}  // namespace posthorn::mailbox

#endif  // POSTHORN_SERVICES_MAILBOX_TEXT_NUMBERS_H_
