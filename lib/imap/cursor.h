#ifndef POSTHORN_LIB_IMAP_CURSOR_H_
#define POSTHORN_LIB_IMAP_CURSOR_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace posthorn::imap {

// Reads the lexical elements of RFC 3501 section 9 from a whole command, in which each literal
// stands as the receiver collected it: "{5}" CRLF and five octets. A method that does not find
// what it is asked for leaves the position alone. The text must outlive the cursor.
class Cursor {
 public:
  // `utf8`: the client speaks UTF-8 (RFC 6855), also in mailbox names.
  explicit Cursor(std::string_view text, bool utf8 = false) : text_(text), utf8_(utf8) {}

  bool utf8() const { return utf8_; }
  bool AtEnd() const { return pos_ == text_.size(); }
  std::string_view rest() const { return text_.substr(pos_); }
  char Peek() const { return AtEnd() ? '\0' : text_[pos_]; }

  bool Consume(char c);
  // One space; more are forgiven, as clients send them.
  bool ConsumeSpace();
  // `word` in any case, followed by something that cannot go on an atom.
  bool ConsumeWord(std::string_view word);

  // 1*ATOM-CHAR; empty if there is none.
  std::string_view Atom();
  // As Atom, with the characters of `extra` as well.
  std::string_view AtomWith(std::string_view extra);
  // Digits; nullopt also when they exceed 32 bits.
  std::optional<std::uint32_t> Number();
  std::optional<std::uint64_t> Number64();

  // quoted / literal. Errors are kSyntax.
  absl::StatusOr<std::string> String();
  // 1*ASTRING-CHAR / string
  absl::StatusOr<std::string> AString();
  // string / NIL
  absl::StatusOr<std::optional<std::string>> NString();
  // 1*list-char / string: atoms with wildcards
  absl::StatusOr<std::string> ListMailbox();

 private:
  std::string_view text_;
  bool utf8_;
  std::size_t pos_ = 0;
};

// kSyntax with `text`: answered with BAD.
absl::Status SyntaxError(std::string_view text);

bool IsAtomChar(char c);

}  // namespace posthorn::imap

#endif  // POSTHORN_LIB_IMAP_CURSOR_H_
