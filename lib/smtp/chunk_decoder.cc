#include "lib/smtp/chunk_decoder.h"

#include <algorithm>

#include "lib/smtp/international.h"

namespace posthorn::smtp {

void ChunkDecoder::Feed(std::string_view bytes) {
  octets_ += bytes.size();
  if (!eight_bit_) eight_bit_ = !IsAscii(bytes);
  while (!bytes.empty()) {
    if (after_cr_) {
      after_cr_ = false;
      if (bytes.front() == '\n') {
        line_ = 0;
        bytes.remove_prefix(1);
        continue;
      }
      bare_newline_ = true;
      ++line_;  // the CR was one of the line's octets
    }
    const std::string_view line = bytes.substr(0, bytes.find('\n'));
    const std::size_t end = std::min(line.find('\r'), line.size());
    line_ += end;
    longest_line_ = std::max(longest_line_, line_);
    if (end == bytes.size()) return;
    if (bytes[end] == '\r') {
      after_cr_ = true;
    } else {
      bare_newline_ = true;
      ++line_;
    }
    bytes.remove_prefix(end + 1);
  }
}

void ChunkDecoder::Finish() {
  if (after_cr_) bare_newline_ = true;
  after_cr_ = false;
}

}  // namespace posthorn::smtp
