#ifndef POSTHORN_LIB_MIME_LEXER_H_
#define POSTHORN_LIB_MIME_LEXER_H_

#include <string>
#include <string_view>

namespace posthorn::mime {

// The tokens of RFC 5322 section 3.2 and RFC 2045 section 5.1 in one unfolded header value. Each
// Take... consumes a token and the comments and white space after it, and appends the token's
// value. False: there is no such token, or what follows it is an unfinished comment; how far it
// read is then unspecified, but never past the end.
class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) {}

  bool at_end() const { return position_ >= text_.size(); }
  // '\0' at the end.
  char Peek() const { return at_end() ? '\0' : text_[position_]; }
  void Advance() { ++position_; }
  std::size_t position() const { return position_; }
  void Rewind(std::size_t position) { position_ = position; }

  // Comments and white space. The text of the last comment is kept.
  bool SkipBlanks();
  // Consumes `c` if it is next.
  bool Consume(char c);

  bool TakePhrase(std::string* out);
  bool TakeQuotedString(std::string* out);
  bool TakeLocalAtoms(std::string* out);  // atext and dots, in any order
  bool TakeDomain(std::string* out);      // dot-atom or domain literal
  // RFC 2045 token; may be empty. White space after it is not consumed.
  void TakeToken(std::string* out);

  static bool IsAtext(char c);

  const std::string& last_comment() const { return last_comment_; }
  void ClearComment() { last_comment_.clear(); }

 private:
  bool SkipComment();

  std::string_view text_;
  std::size_t position_ = 0;
  std::string last_comment_;
};

}  // namespace posthorn::mime

#endif  // POSTHORN_LIB_MIME_LEXER_H_
