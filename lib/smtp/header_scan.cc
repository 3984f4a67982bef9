#include "lib/smtp/header_scan.h"

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "lib/smtp/international.h"

namespace posthorn::smtp {
namespace {

constexpr std::size_t kMaxLine = 1024;

bool IsSpace(char c) { return c == ' ' || c == '\t'; }

std::string_view Trim(std::string_view text) {
  while (!text.empty() && IsSpace(text.front())) text.remove_prefix(1);
  while (!text.empty() && (IsSpace(text.back()) || text.back() == '\r')) text.remove_suffix(1);
  return text;
}

// The value if `line` is the field `name`; spaces before the colon are obsolete, and in use.
bool IsField(std::string_view line, std::string_view name, std::string_view& value) {
  if (line.size() <= name.size() ||
      !absl::StartsWithIgnoreCase(absl::string_view(line.data(), line.size()),
                                  absl::string_view(name.data(), name.size()))) {
    return false;
  }
  line.remove_prefix(name.size());
  while (!line.empty() && IsSpace(line.front())) line.remove_prefix(1);
  if (line.empty() || line.front() != ':') return false;
  value = line.substr(1);
  return true;
}

}  // namespace

void HeaderScan::Feed(std::string_view bytes) {
  while (!done_ && !bytes.empty()) {
    const std::size_t newline = bytes.find('\n');
    const std::string_view piece = bytes.substr(0, newline);
    if (!eight_bit_) eight_bit_ = !IsAscii(piece);
    const std::size_t room = kMaxLine - line_.size();
    if (piece.size() > room) overlong_ = true;
    line_.append(piece.substr(0, room));
    if (newline == std::string_view::npos) return;
    bytes.remove_prefix(newline + 1);
    EndLine();
  }
}

void HeaderScan::Finish() {
  if (done_) return;
  if (!line_.empty()) EndLine();
  line_ = "\r";
  EndLine();
}

void HeaderScan::ContinueValue(std::string_view line) {
  if (overlong_ || value_->size() + line.size() > kMaxLine) {
    value_->clear();
    value_ = nullptr;
    return;
  }
  const std::string_view more = Trim(line);
  if (!value_->empty() && !more.empty()) *value_ += ' ';
  value_->append(more);
}

void HeaderScan::EndLine() {
  const std::string_view line = line_;
  std::string_view value;
  if (line.empty() || line == "\r") {
    done_ = true;
  } else if (IsSpace(line.front())) {
    if (value_ != nullptr) ContinueValue(line);
  } else {
    value_ = nullptr;
    if (IsField(line, "Received", value)) {
      ++received_;
    } else if (!message_id_seen_ && IsField(line, "Message-ID", value)) {
      message_id_seen_ = true;
      value_ = &message_id_;
    } else if (delivered_to_.size() < kMaxDeliveredTo && IsField(line, "Delivered-To", value)) {
      value_ = &delivered_to_.emplace_back();
    }
    if (value_ != nullptr) ContinueValue(value);
  }
  if (done_) {
    value_ = nullptr;
    for (std::string& address : delivered_to_) absl::AsciiStrToLower(&address);
  }
  line_.clear();
  overlong_ = false;
}

}  // namespace posthorn::smtp
