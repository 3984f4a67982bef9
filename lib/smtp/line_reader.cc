#include "lib/smtp/line_reader.h"

#include <utility>

namespace posthorn::smtp {

void LineReader::Feed(std::string bytes) {
  if (begin_ == buffer_.size()) {
    buffer_ = std::move(bytes);
    begin_ = 0;
    scanned_ = 0;
    return;
  }
  if (begin_ > 0) {
    buffer_.erase(0, begin_);
    scanned_ -= begin_;
    begin_ = 0;
  }
  buffer_ += bytes;
}

LineReader::Result LineReader::Next() {
  const std::size_t newline = buffer_.find('\n', scanned_);
  if (newline == std::string::npos) {
    // One octet more than the limit may be the CR.
    if (skipping_ || buffer_.size() - begin_ > max_line_ + 1) {
      Discard();
      skipping_ = true;
    }
    scanned_ = buffer_.size();
    return {Outcome::kNeedMore, {}};
  }
  std::string_view line(buffer_.data() + begin_, newline - begin_);
  begin_ = newline + 1;
  scanned_ = begin_;
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  if (skipping_ || line.size() > max_line_) {
    skipping_ = false;
    return {Outcome::kTooLong, {}};
  }
  return {Outcome::kLine, line};
}

void LineReader::Consume(std::size_t octets) {
  begin_ += octets;
  scanned_ = begin_;
  if (begin_ == buffer_.size()) Discard();
}

void LineReader::Discard() {
  buffer_.clear();
  buffer_.shrink_to_fit();
  begin_ = 0;
  scanned_ = 0;
  skipping_ = false;
}

}  // namespace posthorn::smtp
