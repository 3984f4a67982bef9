#ifndef POSTHORN_LIB_SMTP_REPLIES_DOCUMENT_H_
#define POSTHORN_LIB_SMTP_REPLIES_DOCUMENT_H_

#include <string>

namespace posthorn::smtp {

// What a refusing reply code means, and what the two sides of it should do.
struct CodeAdvice {
  int code;
  const char* meaning;
  const char* for_sender;
  const char* for_operator;  // of this server
};

// nullptr: nothing is said about this code.
const CodeAdvice* AdviceFor(int code);

// docs/protocols/smtp-replies.md: the reply codes, and the failures in lib/base/failure.cc that each
// stands for.
std::string RepliesDocument();

}  // namespace posthorn::smtp

#endif  // POSTHORN_LIB_SMTP_REPLIES_DOCUMENT_H_
