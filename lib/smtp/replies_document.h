#ifndef POSTHORN_LIB_SMTP_REPLIES_DOCUMENT_H_
#define POSTHORN_LIB_SMTP_REPLIES_DOCUMENT_H_

#include <string>

namespace posthorn::smtp {

// docs/protocols/smtp-replies.md: what each failure says in SMTP, from lib/base/failure.cc.
std::string RepliesDocument();

}  // namespace posthorn::smtp

#endif  // POSTHORN_LIB_SMTP_REPLIES_DOCUMENT_H_
