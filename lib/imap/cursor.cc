// The lexical elements (RFC 3501 section 9):
//   atom-specials = "(" / ")" / "{" / SP / CTL / "%" / "*" / DQUOTE / "\" / "]"
//   ASTRING-CHAR  = ATOM-CHAR / "]"
//   list-char     = ATOM-CHAR / "%" / "*" / "]"
//   quoted        = DQUOTE *(TEXT-CHAR except DQUOTE and "\" / "\" DQUOTE / "\\") DQUOTE
//   literal       = "{" number ["+"] "}" CRLF *CHAR8
#include "lib/imap/cursor.h"

#include <cctype>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "lib/base/failure.h"

namespace posthorn::imap {

absl::Status SyntaxError(std::string_view text) { return MakeFailure(Failure::kSyntax, text); }

bool IsAtomChar(char c) {
  if (static_cast<unsigned char>(c) <= 0x20 || static_cast<unsigned char>(c) >= 0x7f) return false;
  switch (c) {
    case '(':
    case ')':
    case '{':
    case '%':
    case '*':
    case '"':
    case '\\':
    case ']':
      return false;
    default:
      return true;
  }
}

bool Cursor::Consume(char c) {
  if (Peek() != c || AtEnd()) return false;
  ++pos_;
  return true;
}

bool Cursor::ConsumeSpace() {
  if (!Consume(' ')) return false;
  while (Consume(' ')) {
  }
  return true;
}

bool Cursor::ConsumeWord(std::string_view word) {
  const std::string_view found = text_.substr(pos_, word.size());
  if (!absl::EqualsIgnoreCase(absl::string_view(found.data(), found.size()),
                              absl::string_view(word.data(), word.size()))) {
    return false;
  }
  const std::size_t after = pos_ + word.size();
  if (after < text_.size() && IsAtomChar(text_[after]) && text_[after] != '[' &&
      text_[after] != '<') {
    return false;
  }
  pos_ = after;
  return true;
}

std::string_view Cursor::Atom() { return AtomWith({}); }

std::string_view Cursor::AtomWith(std::string_view extra) {
  const std::size_t start = pos_;
  while (pos_ < text_.size() &&
         (IsAtomChar(text_[pos_]) || extra.find(text_[pos_]) != std::string_view::npos)) {
    ++pos_;
  }
  return text_.substr(start, pos_ - start);
}

std::optional<std::uint64_t> Cursor::Number64() {
  std::uint64_t value = 0;
  std::size_t end = pos_;
  for (; end < text_.size() && absl::ascii_isdigit(static_cast<unsigned char>(text_[end])); ++end) {
    const std::uint64_t digit = static_cast<std::uint64_t>(text_[end] - '0');
    if (value > (UINT64_MAX - digit) / 10) return std::nullopt;
    value = value * 10 + digit;
  }
  if (end == pos_) return std::nullopt;
  pos_ = end;
  return value;
}

std::optional<std::uint32_t> Cursor::Number() {
  const std::size_t start = pos_;
  const std::optional<std::uint64_t> value = Number64();
  if (!value || *value > UINT32_MAX) {
    pos_ = start;
    return std::nullopt;
  }
  return static_cast<std::uint32_t>(*value);
}

absl::StatusOr<std::string> Cursor::String() {
  if (Consume('"')) {
    std::string value;
    for (; pos_ < text_.size(); ++pos_) {
      char c = text_[pos_];
      if (c == '"') {
        ++pos_;
        return value;
      }
      if (c == '\\') {
        if (++pos_ == text_.size()) break;
        c = text_[pos_];
        if (c != '"' && c != '\\') return SyntaxError("Invalid escape in a quoted string");
      }
      if (c == '\0' || c == '\r' || c == '\n') {
        return SyntaxError("Invalid character in a quoted string");
      }
      value += c;
    }
    return SyntaxError("Missing '\"'");
  }
  if (Consume('{')) {
    const std::optional<std::uint64_t> size = Number64();
    if (size) Consume('+');
    if (!size || !Consume('}') || !Consume('\r') || !Consume('\n') || text_.size() - pos_ < *size) {
      return SyntaxError("Invalid literal");
    }
    const std::string_view value = text_.substr(pos_, *size);
    if (value.find('\0') != std::string_view::npos) return SyntaxError("NUL in a literal");
    pos_ += *size;
    return std::string(value);
  }
  return SyntaxError("Expected a string");
}

absl::StatusOr<std::string> Cursor::AString() {
  if (Peek() == '"' || Peek() == '{') return String();
  const std::string_view atom = AtomWith("]");
  if (atom.empty()) return SyntaxError("Expected a string");
  return std::string(atom);
}

absl::StatusOr<std::optional<std::string>> Cursor::NString() {
  if (ConsumeWord("NIL")) return std::optional<std::string>();
  absl::StatusOr<std::string> value = String();
  if (!value.ok()) return value.status();
  return std::optional<std::string>(*std::move(value));
}

absl::StatusOr<std::string> Cursor::ListMailbox() {
  if (Peek() == '"' || Peek() == '{') return String();
  const std::string_view atom = AtomWith("]%*");
  if (atom.empty()) return SyntaxError("Expected a mailbox pattern");
  return std::string(atom);
}

}  // namespace posthorn::imap
