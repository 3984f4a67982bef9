#include "lib/mime/header_walker.h"

#include <algorithm>

#include "lib/mime/ascii.h"

namespace posthorn::mime {
namespace {

// RFC 5322 section 2.2: printable US-ASCII.
bool IsName(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < '\x7f'; });
}

}  // namespace

void HeaderWalker::Decide(std::string_view name) {
  while (!name.empty() && IsBlank(name.back())) name.remove_suffix(1);
  visitor_.OnField(IsName(name) ? name : std::string_view());
  visitor_.OnOctets(line_);
  line_.clear();
  any_ = true;
  in_line_ = true;
}

std::size_t HeaderWalker::Feed(std::string_view bytes) {
  std::size_t used = 0;
  while (used < bytes.size() && !done_) {
    const std::string_view rest = bytes.substr(used);
    if (in_line_) {
      const std::size_t end = std::min(rest.find('\n'), rest.size() - 1) + 1;
      visitor_.OnOctets(rest.substr(0, end));
      in_line_ = rest[end - 1] != '\n';
      used += end;
      continue;
    }
    const char c = rest.front();
    if (line_.empty() && IsBlank(c) && any_) {  // a fold
      in_line_ = true;
      continue;
    }
    if (c == '\n' && (line_.empty() || line_ == "\r")) {
      done_ = true;
      break;
    }
    ++used;
    line_ += c;
    if (c == ':') {
      const std::string name = line_.substr(0, line_.size() - 1);
      Decide(name);
    } else if (c == '\n') {
      Decide({});
      in_line_ = false;
    } else if (line_.size() == kMaxNameOctets) {
      const std::string name = line_;
      Decide(name);
    }
  }
  return used;
}

void HeaderWalker::Finish() {
  if (!done_ && !line_.empty()) Decide({});
  done_ = true;
}

}  // namespace posthorn::mime
