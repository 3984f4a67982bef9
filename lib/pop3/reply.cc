#include "lib/pop3/reply.h"

#include "lib/base/failure.h"

namespace posthorn::pop3 {
namespace {

void AppendOneLine(std::string_view text, std::string& out) {
  for (const char c : text) {
    const auto octet = static_cast<unsigned char>(c);
    out.push_back(octet < ' ' || octet == 0x7f ? ' ' : c);
  }
}

}  // namespace

void AppendOk(std::string_view text, std::string& out) {
  out += "+OK";
  if (!text.empty()) out += ' ';
  AppendOneLine(text, out);
  out += "\r\n";
}

void AppendError(const absl::Status& status, std::string& out) {
  AppendError(RowOf(FailureOf(status)).pop3_code, PeerText(status), out);
}

void AppendError(std::string_view code, std::string_view text, std::string& out) {
  out += "-ERR ";
  if (!code.empty()) {
    out += '[';
    out += code;
    out += "] ";
  }
  AppendOneLine(text, out);
  out += "\r\n";
}

void AppendChallenge(std::string_view challenge, std::string& out) {
  out += "+ ";
  out += challenge;
  out += "\r\n";
}

void AppendLine(std::string_view line, std::string& out) {
  if (!line.empty() && line.front() == '.') out += '.';
  AppendOneLine(line, out);
  out += "\r\n";
}

void AppendEnd(std::string& out) { out += ".\r\n"; }

void DotStuffer::Feed(std::string_view bytes, std::string& out) {
  if (bytes.empty()) return;
  any_ = true;
  last_but_one_ = bytes.size() > 1 ? bytes[bytes.size() - 2] : last_;
  last_ = bytes.back();
  while (!bytes.empty()) {
    if (line_start_ && bytes.front() == '.') out.push_back('.');
    const std::size_t feed = bytes.find('\n');
    const std::size_t size = feed == std::string_view::npos ? bytes.size() : feed + 1;
    out.append(bytes.substr(0, size));
    line_start_ = feed != std::string_view::npos;
    bytes.remove_prefix(size);
  }
}

void DotStuffer::Finish(std::string& out) {
  if (any_ && !(last_but_one_ == '\r' && last_ == '\n')) out += "\r\n";
  AppendEnd(out);
}

std::size_t TopFilter::Feed(std::string_view bytes) {
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (done_) return i;
    const char c = bytes[i];
    if (c != '\n') {
      // Only a single CR keeps a line empty.
      line_empty_ = line_empty_ && c == '\r' && !after_cr_;
      after_cr_ = c == '\r';
      continue;
    }
    if (in_header_) {
      in_header_ = !line_empty_;
      done_ = !in_header_ && lines_ == 0;
    } else {
      done_ = --lines_ == 0;
    }
    line_empty_ = true;
    after_cr_ = false;
  }
  return bytes.size();
}

}  // namespace posthorn::pop3
