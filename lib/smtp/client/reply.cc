// Reply grammar, RFC 5321 section 4.2:
//   Reply-line = *( Reply-code "-" [ textstring ] CRLF ) Reply-code [ SP textstring ] CRLF
//   Reply-code = %x32-35 %x30-35 %x30-39
// and RFC 2034 section 4: text = status-code SP text, status-code = class "." subject "." detail.

#include "lib/smtp/client/reply.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_join.h"
#include "lib/base/failure.h"

namespace posthorn::smtp::client {
namespace {

bool ConsumeNumber(std::string_view& text, std::size_t max_digits) {
  std::size_t digits = 0;
  while (digits < text.size() && absl::ascii_isdigit(static_cast<unsigned char>(text[digits]))) {
    ++digits;
  }
  if (digits == 0 || digits > max_digits) return false;
  text.remove_prefix(digits);
  return true;
}

// Takes "5.1.1" off the front when its class agrees with the code.
std::string ConsumeEnhanced(std::string_view& text, int code) {
  std::string_view rest = text;
  if (rest.size() < 5 || rest[0] != static_cast<char>('0' + code / 100) || rest[1] != '.') {
    return "";
  }
  rest.remove_prefix(2);
  if (!ConsumeNumber(rest, 3) || rest.empty() || rest.front() != '.') return "";
  rest.remove_prefix(1);
  if (!ConsumeNumber(rest, 3) || (!rest.empty() && rest.front() != ' ')) return "";
  std::string enhanced(text.substr(0, text.size() - rest.size()));
  if (!rest.empty()) rest.remove_prefix(1);
  text = rest;
  return enhanced;
}

absl::Status NoSmtp() {
  return MakeFailure(Failure::kSyntax, "the server's reply is not SMTP");
}

}  // namespace

std::string Reply::text() const { return absl::StrJoin(lines, " "); }

void ReplyParser::Clear() {
  buffer_.clear();
  position_ = 0;
  partial_ = Reply();
  text_octets_ = 0;
}

absl::Status ReplyParser::AddLine(std::string_view line, bool& last) {
  if (line.size() < 3) return NoSmtp();
  int code = 0;
  for (int i = 0; i < 3; ++i) {
    const unsigned char c = static_cast<unsigned char>(line[static_cast<std::size_t>(i)]);
    if (!absl::ascii_isdigit(c)) return NoSmtp();
    code = code * 10 + (c - '0');
  }
  if (code < 200 || code > 599) return NoSmtp();
  if (line.size() > 3 && line[3] != ' ' && line[3] != '-') return NoSmtp();
  last = line.size() == 3 || line[3] == ' ';
  if (partial_.lines.size() >= kMaxLines) {
    return MakeFailure(Failure::kSyntax, "the server's reply has too many lines");
  }
  // RFC 5321 4.2.1: every line has the same code. Where a server disagrees with itself, the last
  // line is the one that ends the reply.
  partial_.code = code;
  std::string_view text = line.size() > 4 ? line.substr(4) : std::string_view();
  std::string enhanced = ConsumeEnhanced(text, code);
  if (!enhanced.empty()) partial_.enhanced = std::move(enhanced);
  text = text.substr(0, kMaxText - text_octets_);
  text_octets_ += text.size();
  std::string& kept = partial_.lines.emplace_back(text);
  for (char& c : kept) {
    if (absl::ascii_iscntrl(static_cast<unsigned char>(c))) c = '?';
  }
  return absl::OkStatus();
}

absl::StatusOr<std::optional<Reply>> ReplyParser::Next() {
  for (;;) {
    const std::size_t end = buffer_.find('\n', position_);
    if (end == std::string::npos || end - position_ > kMaxLine) {
      if (end != std::string::npos || buffer_.size() - position_ > kMaxLine) {
        return MakeFailure(Failure::kSyntax, "the server's reply has too long a line");
      }
      buffer_.erase(0, position_);
      position_ = 0;
      return std::nullopt;
    }
    std::string_view line = std::string_view(buffer_).substr(position_, end - position_);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    bool last = false;
    const absl::Status added = AddLine(line, last);
    if (!added.ok()) return added;
    position_ = end + 1;
    if (last) {
      text_octets_ = 0;
      return std::exchange(partial_, Reply());
    }
  }
}

}  // namespace posthorn::smtp::client
