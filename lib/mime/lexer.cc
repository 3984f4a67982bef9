// Grammar (RFC 5322 section 3.2 with the obsolete forms of section 4; 8-bit octets count as atext):
//   blanks     = *(SP / HTAB / comment)
//   comment    = "(" *(text / "\" char / comment) ")"
//   phrase     = word *(word / ".")         word = atom / quoted-string
//   domain     = atom *("." atom) / "[" *text "]"
//   token      = 1*<any but SP, controls and ()<>@,;:\"/[]?=>

#include "lib/mime/lexer.h"

#include <array>

#include "lib/mime/ascii.h"

namespace posthorn::mime {
namespace {

enum : unsigned char { kAtext = 1, kToken = 2 };

constexpr std::array<unsigned char, 256> MakeClasses() {
  std::array<unsigned char, 256> classes{};
  for (int c = 0x21; c < 256; ++c) {
    if (c != 0x7f) classes[c] = kAtext | kToken;
  }
  for (const char c : std::string_view("()<>@,;:\\\"[].")) {
    classes[static_cast<unsigned char>(c)] &= static_cast<unsigned char>(~kAtext);
  }
  for (const char c : std::string_view("()<>@,;:\\\"/[]?=")) {
    classes[static_cast<unsigned char>(c)] &= static_cast<unsigned char>(~kToken);
  }
  return classes;
}
constexpr std::array<unsigned char, 256> kClasses = MakeClasses();

bool IsToken(char c) { return (kClasses[static_cast<unsigned char>(c)] & kToken) != 0; }

}  // namespace

bool Lexer::IsAtext(char c) { return (kClasses[static_cast<unsigned char>(c)] & kAtext) != 0; }

bool Lexer::Consume(char c) {
  if (at_end() || text_[position_] != c) return false;
  ++position_;
  return true;
}

bool Lexer::SkipComment() {
  last_comment_.clear();
  int depth = 1;
  for (++position_; position_ < text_.size(); ++position_) {
    char c = text_[position_];
    if (c == '(') {
      ++depth;
    } else if (c == ')') {
      if (--depth == 0) {
        ++position_;
        return true;
      }
    } else if (c == '\\' && position_ + 1 < text_.size()) {
      c = text_[++position_];
    }
    last_comment_.push_back(c);
  }
  return false;
}

bool Lexer::SkipBlanks() {
  while (position_ < text_.size()) {
    const char c = text_[position_];
    if (IsBlank(c)) {
      ++position_;
    } else if (c == '(') {
      if (!SkipComment()) return false;
    } else {
      break;
    }
  }
  return true;
}

bool Lexer::TakeQuotedString(std::string* out) {
  for (++position_; position_ < text_.size(); ++position_) {
    char c = text_[position_];
    if (c == '"') {
      ++position_;
      return SkipBlanks();
    }
    if (c == '\\' && position_ + 1 < text_.size()) c = text_[++position_];
    out->push_back(c);
  }
  return false;
}

bool Lexer::TakePhrase(std::string* out) {
  if (Peek() == '.') return false;
  for (bool first = true;; first = false) {
    const char next = Peek();
    const bool quoted = next == '"';
    if (at_end() || !(quoted || next == '.' || IsAtext(next))) return !first;
    if (!first) out->push_back(' ');
    if (quoted) {
      if (!TakeQuotedString(out)) return false;
      continue;
    }
    const std::size_t start = position_;
    while (!at_end() && (IsAtext(text_[position_]) || text_[position_] == '.')) ++position_;
    out->append(text_.substr(start, position_ - start));
    if (!SkipBlanks()) return false;
  }
}

bool Lexer::TakeLocalAtoms(std::string* out) {
  bool any = false;
  bool after_dot = false;
  for (;;) {
    const std::size_t start = position_;
    while (!at_end() && (IsAtext(text_[position_]) || text_[position_] == '.')) ++position_;
    if (position_ == start) return any;
    any = true;
    out->append(text_.substr(start, position_ - start));
    after_dot = text_[position_ - 1] == '.';
    if (!SkipBlanks()) return false;
    if (!after_dot && Peek() != '.') return true;
  }
}

bool Lexer::TakeDomain(std::string* out) {
  if (!SkipBlanks()) return false;
  const std::size_t start = position_;
  if (Peek() == '[') {
    for (; position_ < text_.size(); ++position_) {
      const char c = text_[position_];
      if (c == '\\' && position_ + 1 < text_.size()) {
        ++position_;
      } else if (c == ']') {
        ++position_;
        out->append(text_.substr(start, position_ - start));
        return SkipBlanks();
      }
    }
    return false;
  }
  for (;;) {
    const std::size_t atom = position_;
    while (!at_end() && IsAtext(text_[position_])) ++position_;
    if (position_ == atom) return false;
    out->append(text_.substr(atom, position_ - atom));
    if (!SkipBlanks()) return false;
    if (!Consume('.')) return true;
    out->push_back('.');
    if (!SkipBlanks()) return false;
  }
}

void Lexer::TakeToken(std::string* out) {
  const std::size_t start = position_;
  while (!at_end() && IsToken(text_[position_])) ++position_;
  out->append(text_.substr(start, position_ - start));
}

}  // namespace posthorn::mime
