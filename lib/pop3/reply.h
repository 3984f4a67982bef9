#ifndef POSTHORN_LIB_POP3_REPLY_H_
#define POSTHORN_LIB_POP3_REPLY_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace posthorn::pop3 {

// The only producer of what a POP3 server writes. Every function appends to `out`.

// "+OK text" (RFC 1939 section 3); `text` is made one line.
void AppendOk(std::string_view text, std::string& out);
// "-ERR [CODE] text" with the failure's response code (RFC 2449 section 8, RFC 3206).
void AppendError(const absl::Status& status, std::string& out);
// The same with a code that no failure has. `code` is of RFC 2449 section 8.1's form.
void AppendError(std::string_view code, std::string_view text, std::string& out);
// "+ challenge" (RFC 5034 section 4); `challenge` is base64.
void AppendChallenge(std::string_view challenge, std::string& out);
// One line of a multi-line reply, dot-stuffed.
void AppendLine(std::string_view line, std::string& out);
// ".", the end of a multi-line reply.
void AppendEnd(std::string& out);

// Sends a message as a multi-line reply (RFC 1939 section 3): Feed what is read, then Finish. A dot
// at the start of a line is doubled, also after a bare LF, because some clients take that for a line
// end. Octets are otherwise unchanged; if the last are not CRLF, CRLF follows, then the final ".".
class DotStuffer {
 public:
  void Feed(std::string_view bytes, std::string& out);
  void Finish(std::string& out);

 private:
  bool any_ = false;
  bool line_start_ = true;
  char last_ = '\0';
  char last_but_one_ = '\0';
};

// Cuts a message after its header, the blank line and some lines of its body (TOP).
class TopFilter {
 public:
  explicit TopFilter(std::uint32_t lines) : lines_(lines) {}
  // The octets of `bytes` that belong to the top.
  std::size_t Feed(std::string_view bytes);
  bool done() const { return done_; }

 private:
  std::uint64_t lines_;       // of the body, still to come
  bool in_header_ = true;
  bool line_empty_ = true;    // nothing but CR so far
  bool after_cr_ = false;
  bool done_ = false;
};

}  // namespace posthorn::pop3

#endif  // POSTHORN_LIB_POP3_REPLY_H_
