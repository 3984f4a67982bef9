#ifndef POSTHORN_FUZZ_FUZZ_INPUT_H_
#define POSTHORN_FUZZ_FUZZ_INPUT_H_

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

namespace posthorn {

// The first octet of an input chooses how the rest arrives: whole, or in pieces of 1 to 255 octets.
class FuzzInput {
 public:
  FuzzInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return;
    piece_ = data[0];
    bytes_ = std::string_view(reinterpret_cast<const char*>(data) + 1, size - 1);
  }
  std::string_view bytes() const { return bytes_; }
  std::uint8_t choice() const { return piece_; }

  // Calls `feed` with each piece in turn.
  template <typename Feed>
  void ForEachPiece(Feed feed) const {
    const std::size_t piece = piece_ == 0 ? bytes_.size() : piece_;
    for (std::size_t i = 0; i < bytes_.size(); i += piece) feed(bytes_.substr(i, piece));
  }

 private:
  std::string_view bytes_;
  std::uint8_t piece_ = 0;
};

// What must hold whatever the input is.
inline void FuzzCheck(bool condition) {
  if (!condition) std::abort();
}

}  // namespace posthorn

#endif  // POSTHORN_FUZZ_FUZZ_INPUT_H_
