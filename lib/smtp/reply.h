#ifndef POSTHORN_LIB_SMTP_REPLY_H_
#define POSTHORN_LIB_SMTP_REPLY_H_

#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"

namespace posthorn::smtp {

// What a server says to a command (RFC 5321 section 4.2).
struct Reply {
  Reply() = default;
  // `enhanced` (RFC 3463) stands before the text of every line; empty for a greeting, EHLO and 3yz
  // (RFC 2034 section 3). Lines of `text` are separated by LF.
  Reply(int code_in, std::string_view enhanced_in, std::string text_in)
      : code(code_in), enhanced(enhanced_in), text(std::move(text_in)) {}

  bool IsPositive() const { return code < 400; }
  // The connection ends after it: 221, 421, and what ThenClose made.
  bool Closes() const { return closes || code == 221 || code == 421; }

  int code = 0;
  std::string enhanced;
  std::string text;
  bool closes = false;
  // The client reads UTF-8: it has said so (RFC 6531 section 3.7.4). The text is UTF-8.
  bool utf8 = false;
};

// The same reply, after which the connection ends.
Reply ThenClose(Reply reply);

// The reply a failed operation has: the row of its Failure in lib/base/failure.cc.
Reply ReplyFor(const absl::Status& status);

// Appends the wire form: the only producer of the octets a server writes. Control characters and
// octets above 126 in the text become '?' (UTF-8 stays where the reply says that it may), and a line is
// cut at 512 octets (section 4.5.3.1.5), so that no text can break the dialogue.
void AppendReply(const Reply& reply, std::string& out);

}  // namespace posthorn::smtp

#endif  // POSTHORN_LIB_SMTP_REPLY_H_
