#include "lib/smtp/client/dot_encoder.h"

#include <algorithm>

namespace posthorn::smtp::client {

void DotEncoder::Encode(std::string_view bytes, std::string& out) {
  out.reserve(out.size() + bytes.size() + bytes.size() / 32 + 8);
  while (!bytes.empty()) {
    if (held_cr_) {
      // The line ends here whether or not an LF follows.
      out.append("\r\n");
      held_cr_ = false;
      line_start_ = true;
      if (bytes.front() == '\n') {
        bytes.remove_prefix(1);
        continue;
      }
    }
    if (dots_ && line_start_ && bytes.front() == '.') out.push_back('.');
    const std::size_t end = std::min(bytes.find_first_of("\r\n"), bytes.size());
    if (end > 0) {
      out.append(bytes.substr(0, end));
      line_start_ = false;
      bytes.remove_prefix(end);
    }
    if (bytes.empty()) break;
    if (bytes.front() == '\r') {
      held_cr_ = true;
    } else {
      out.append("\r\n");
      line_start_ = true;
    }
    bytes.remove_prefix(1);
  }
}

void DotEncoder::Finish(std::string& out) {
  if (held_cr_ || (dots_ && !line_start_)) out.append("\r\n");
  if (dots_) out.append(".\r\n");
  line_start_ = true;
  held_cr_ = false;
}

}  // namespace posthorn::smtp::client
