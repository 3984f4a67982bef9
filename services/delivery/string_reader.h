#ifndef POSTHORN_SERVICES_DELIVERY_STRING_READER_H_
#define POSTHORN_SERVICES_DELIVERY_STRING_READER_H_

#include <algorithm>
#include <string>

#include "services/delivery/ports.h"

namespace posthorn::delivery {

// Reads a text of our own, which outlives it.
class StringReader final : public BodyReader {
 public:
  explicit StringReader(const std::string& text) : text_(text) {}
  Task<absl::StatusOr<std::string>> Next() override {
    std::string piece = text_.substr(std::min(position_, text_.size()), kPiece);
    position_ += piece.size();
    co_return piece;
  }

 private:
  static constexpr std::size_t kPiece = 256 * 1024;
  const std::string& text_;
  std::size_t position_ = 0;
};

}  // namespace posthorn::delivery

#endif  // POSTHORN_SERVICES_DELIVERY_STRING_READER_H_
