// command = tag SP command-name [SP arguments] CRLF
// tag     = 1*<any ASTRING-CHAR except "+">
// literal = "{" number ["+"] "}" CRLF *CHAR8, always at the end of a line: what a line ends with
//           says whether the command goes on. literal8 has "~" before it (RFC 3516): a message
//           only.
#include "lib/imap/receiver.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "lib/base/failure.h"
#include "lib/imap/cursor.h"
#include "lib/imap/parse/parse.h"

namespace posthorn::imap {
namespace {

// Longer than any literal's announcement that fits 64 bits.
constexpr std::size_t kSkipTail = 32;

struct LiteralMark {
  std::size_t begin = 0;  // of "{" or "~{" in the line
  std::uint64_t size = 0;
  bool synchronising = true;
  bool overflow = false;
  bool eight = false;  // literal8
};

// The literal announced at the end of `line`; `whole` tells that the line is all there, so that
// quoted strings can be told from it.
std::optional<LiteralMark> FindLiteral(std::string_view line, bool whole) {
  if (line.size() < 3 || line.back() != '}') return std::nullopt;
  LiteralMark mark;
  std::size_t end = line.size() - 1;
  if (line[end - 1] == '+') {
    mark.synchronising = false;
    --end;
  }
  std::size_t begin = end;
  while (begin > 0 && absl::ascii_isdigit(static_cast<unsigned char>(line[begin - 1]))) --begin;
  if (begin == end || begin == 0 || line[begin - 1] != '{') return std::nullopt;
  for (std::size_t i = begin; i < end; ++i) {
    const std::uint64_t digit = static_cast<std::uint64_t>(line[i] - '0');
    if (mark.size > (UINT64_MAX - digit) / 10) mark.overflow = true;
    mark.size = mark.size * 10 + digit;
  }
  mark.begin = begin - 1;
  mark.eight = mark.begin > 0 && line[mark.begin - 1] == '~';
  if (mark.eight) --mark.begin;
  if (whole) {
    bool quoted = false;
    for (std::size_t i = 0; i < mark.begin; ++i) {
      if (line[i] == '"') quoted = !quoted;
      if (line[i] == '\\' && quoted) ++i;
    }
    if (quoted) return std::nullopt;
  }
  return mark;
}

// The tag at the start of `text`, removed with its space; empty if there is no valid one.
std::string TakeTag(std::string_view& text) {
  const std::size_t end = std::min(text.find(' '), text.size());
  const std::string_view tag = text.substr(0, end);
  for (const char c : tag) {
    if ((!IsAtomChar(c) && c != ']') || c == '+') return {};
  }
  text.remove_prefix(std::min(end + 1, text.size()));
  return std::string(tag);
}

std::string_view WithoutTag(std::string_view text) {
  TakeTag(text);
  return text;
}

}  // namespace

void Receiver::Feed(std::string_view bytes) { buffer_.append(bytes); }

void Receiver::Compact() {
  if (pos_ == buffer_.size()) {
    std::string().swap(buffer_);
    pos_ = 0;
    scanned_ = 0;
  } else if (pos_ > 0) {
    buffer_.erase(0, pos_);
    scanned_ -= std::min(scanned_, pos_);
    pos_ = 0;
  }
}

Received Receiver::Next() {
  for (;;) {
    std::optional<Received> received;
    switch (state_) {
      case State::kCommand:
      case State::kRawLine:
        received = NextLine();
        break;
      case State::kLiteral:
        received = NextLiteral();
        break;
      case State::kAppendPending:
        return NeedMore{};
      case State::kAppend:
        received = NextAppend();
        break;
      case State::kAppendTail:
        received = NextAppendTail();
        break;
      case State::kSkipLine:
        received = SkipLine();
        break;
      case State::kSkipLiteral:
        received = SkipLiteral();
        break;
    }
    if (!received) continue;
    if (std::holds_alternative<NeedMore>(*received)) Compact();
    return *std::move(received);
  }
}

std::optional<std::string_view> Receiver::TakeLine() {
  const std::size_t lf = buffer_.find('\n', std::max(scanned_, pos_));
  if (lf == std::string::npos) {
    scanned_ = buffer_.size();
    return std::nullopt;
  }
  std::string_view line = std::string_view(buffer_).substr(pos_, lf - pos_);
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  pos_ = lf + 1;
  scanned_ = pos_;
  return line;
}

CommandFailure Receiver::Fail(absl::Status status, bool fatal) {
  std::string_view text = text_.empty() ? std::string_view(buffer_).substr(pos_) : text_;
  CommandFailure failure{TakeTag(text), std::move(status), fatal};
  std::string().swap(text_);
  line_octets_ = 0;
  literal_octets_ = 0;
  return failure;
}

std::optional<Received> Receiver::NextLine() {
  const std::size_t start = pos_;
  const std::optional<std::string_view> line = TakeLine();
  if (line_octets_ + (line ? line->size() : available()) > limits_.line_octets) {
    // Refused as soon as it is too long; the rest is skipped, with literals that follow unasked.
    pos_ = start;
    scanned_ = start;
    state_ = State::kSkipLine;
    skip_tail_.clear();
    return Fail(MakeFailure(Failure::kSyntax, "Command line too long"));
  }
  if (!line) return NeedMore{};
  if (state_ == State::kRawLine) {
    state_ = State::kCommand;
    return RawLine{std::string(*line)};
  }
  const bool first = text_.empty();
  line_octets_ += line->size();
  text_.append(*line);
  if (first && line->empty()) return CommandFailure{{}, SyntaxError("Empty command"), false};
  if (const std::optional<LiteralMark> mark = FindLiteral(*line, true)) {
    if (mark->overflow) {
      const bool fatal = !mark->synchronising;
      return Fail(MakeFailure(Failure::kMessageTooLarge, "Literal is too large"), fatal);
    }
    return OnLiteral(line->substr(mark->begin), mark->size, mark->synchronising, mark->eight);
  }
  return Finish();
}

std::optional<Received> Receiver::OnLiteral(std::string_view mark, std::uint64_t size,
                                            bool synchronising, bool eight) {
  const auto refuse = [&](absl::Status status) -> Received {
    if (!synchronising) {
      remaining_ = size;
      state_ = State::kSkipLiteral;
    }
    return Fail(std::move(status));
  };
  const std::string_view before = std::string_view(text_).substr(0, text_.size() - mark.size());
  Cursor in(WithoutTag(before), utf8_);
  if (IsAppend(WithoutTag(before)) && !AppendWantsMailbox(WithoutTag(before))) {
    absl::StatusOr<AppendCommand> append = ParseAppend(in);
    if (!append.ok()) return refuse(append.status());
    if (append->utf8 && !eight) return refuse(SyntaxError("Expected a literal8"));
    if (absl::Status s = CheckSize(size); !s.ok()) return refuse(std::move(s));
    append->size = size;
    append->synchronising = synchronising;
    // Fail knows how to take the tag and forget the command.
    std::string tag = Fail(absl::OkStatus()).tag;
    remaining_ = size;
    append_synchronising_ = synchronising;
    append_utf8_ = append->utf8;
    append_replaces_ = append->replaced.has_value();
    state_ = State::kAppendPending;
    return Command{std::move(tag), CommandBody(*std::move(append))};
  }
  if (size > limits_.literal_octets - std::min(limits_.literal_octets, literal_octets_)) {
    return refuse(MakeFailure(Failure::kMessageTooLarge, "Literal is too large"));
  }
  literal_octets_ += size;
  text_.append("\r\n");
  remaining_ = size;
  state_ = State::kLiteral;
  if (!synchronising) return std::nullopt;
  return NeedLiteral{size};
}

std::optional<Received> Receiver::NextLiteral() {
  const std::size_t take = std::min<std::uint64_t>(remaining_, available());
  text_.append(buffer_, pos_, take);
  pos_ += take;
  remaining_ -= take;
  if (remaining_ > 0) return NeedMore{};
  state_ = State::kCommand;
  return std::nullopt;
}

Received Receiver::Finish() {
  std::string text = std::exchange(text_, {});
  line_octets_ = 0;
  literal_octets_ = 0;
  std::string_view rest = text;
  std::string tag = TakeTag(rest);
  if (tag.empty()) return CommandFailure{{}, SyntaxError("Invalid tag"), false};
  while (!rest.empty() && rest.front() == ' ') rest.remove_prefix(1);
  absl::StatusOr<CommandBody> body = ParseCommand(rest, utf8_);
  if (!body.ok()) return CommandFailure{std::move(tag), body.status(), false};
  return Command{std::move(tag), *std::move(body)};
}

void Receiver::AcceptAppend() { state_ = State::kAppend; }

void Receiver::RejectAppend() {
  state_ = append_synchronising_ ? State::kCommand : State::kSkipLiteral;
  skip_tail_.clear();
}

void Receiver::ExpectLine() { state_ = State::kRawLine; }

std::optional<Received> Receiver::NextAppend() {
  if (remaining_ == 0) {
    state_ = State::kAppendTail;
    return std::nullopt;
  }
  if (available() == 0) return NeedMore{};
  const std::size_t take = std::min<std::uint64_t>(remaining_, available());
  remaining_ -= take;
  if (pos_ == 0 && take == buffer_.size()) {
    scanned_ = 0;
    return AppendChunk{std::exchange(buffer_, {})};
  }
  AppendChunk chunk{buffer_.substr(pos_, take)};
  pos_ += take;
  return chunk;
}

absl::Status Receiver::CheckSize(std::uint64_t size) const {
  if (size > limits_.append_octets) return MakeFailure(Failure::kMessageTooLarge);
  // RFC 3502 section 6.3.11: with an empty message a client takes the command back.
  if (size == 0) return MakeFailure(Failure::kInvalidArgument, "An empty message is not stored");
  return absl::OkStatus();
}

absl::StatusOr<AppendCommand> Receiver::NextMessage(std::string_view line) {
  const std::optional<LiteralMark> mark = FindLiteral(line, true);
  if (!mark || line.size() > limits_.line_octets) {
    return SyntaxError("Unexpected text after the message");
  }
  if (append_replaces_) return SyntaxError("One message only replaces another");
  Cursor in(line.substr(0, mark->begin), utf8_);
  absl::StatusOr<AppendCommand> message = ParseNextAppend(in);
  if (!message.ok()) return message;
  if (message->utf8 && !mark->eight) return SyntaxError("Expected a literal8");
  const std::uint64_t size = mark->overflow ? UINT64_MAX : mark->size;
  if (absl::Status s = CheckSize(size); !s.ok()) return s;
  message->size = size;
  message->synchronising = mark->synchronising;
  return message;
}

std::optional<Received> Receiver::NextAppendTail() {
  const std::size_t start = pos_;
  std::optional<std::string_view> line = TakeLine();
  if (!line && available() <= limits_.line_octets) return NeedMore{};
  if (line && append_utf8_) {
    // Without the ")" it is not what was announced.
    if (line->empty() || line->front() != ')') {
      line = std::string_view("?");
    } else {
      line->remove_prefix(1);
    }
  }
  if (line && absl::StripAsciiWhitespace(absl::string_view(line->data(), line->size())).empty()) {
    state_ = State::kCommand;
    return AppendEnd{absl::OkStatus()};
  }
  absl::StatusOr<AppendCommand> next = NextMessage(line.value_or(std::string_view()));
  if (next.ok()) {
    remaining_ = next->size;
    append_synchronising_ = next->synchronising;
    append_utf8_ = next->utf8;
    state_ = State::kAppendPending;
    return AppendNext{*std::move(next)};
  }
  pos_ = start;
  scanned_ = start;
  state_ = State::kSkipLine;
  skip_tail_.clear();
  return AppendEnd{next.status()};
}

std::optional<Received> Receiver::SkipLine() {
  const std::optional<std::string_view> line = TakeLine();
  const std::string_view part = line ? *line : std::string_view(buffer_).substr(pos_);
  skip_tail_.append(part.substr(part.size() - std::min(part.size(), kSkipTail)));
  if (skip_tail_.size() > kSkipTail) skip_tail_.erase(0, skip_tail_.size() - kSkipTail);
  if (!line) {
    pos_ = buffer_.size();
    scanned_ = pos_;
    return NeedMore{};
  }
  // The CR of this line's end may have come, and gone to the tail, before its LF.
  if (!skip_tail_.empty() && skip_tail_.back() == '\r') skip_tail_.pop_back();
  const std::optional<LiteralMark> mark = FindLiteral(skip_tail_, false);
  skip_tail_.clear();
  state_ = State::kCommand;
  if (mark && !mark->synchronising) {
    if (mark->overflow) {
      return CommandFailure{
          {}, MakeFailure(Failure::kMessageTooLarge, "Literal is too large"), true};
    }
    remaining_ = mark->size;
    state_ = State::kSkipLiteral;
  }
  return std::nullopt;
}

std::optional<Received> Receiver::SkipLiteral() {
  const std::size_t take = std::min<std::uint64_t>(remaining_, available());
  pos_ += take;
  scanned_ = std::max(scanned_, pos_);
  remaining_ -= take;
  if (remaining_ > 0) return NeedMore{};
  skip_tail_.clear();
  state_ = State::kSkipLine;
  return std::nullopt;
}

void Receiver::Reset() {
  const ReceiverLimits limits = limits_;
  const bool utf8 = utf8_;
  *this = Receiver(limits);
  utf8_ = utf8;
}

}  // namespace posthorn::imap
