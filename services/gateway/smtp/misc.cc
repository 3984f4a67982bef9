#include "services/gateway/smtp/handlers.h"

namespace posthorn::gateway {

Task<smtp::Reply> HandleRset(smtp::RsetCommand, SmtpContext& context) {
  context.transaction.reset();
  co_return smtp::Reply(250, "2.0.0", "Ok");
}

Task<smtp::Reply> HandleNoop(smtp::NoopCommand, SmtpContext&) {
  co_return smtp::Reply(250, "2.0.0", "Ok");
}

Task<smtp::Reply> HandleQuit(smtp::QuitCommand, SmtpContext&) {
  co_return smtp::Reply(221, "2.0.0", "Bye");
}

Task<smtp::Reply> HandleHelp(smtp::HelpCommand, SmtpContext& context) {
  std::string verbs = context.IsLmtp() ? "LHLO" : "HELO EHLO";
  verbs += " MAIL RCPT DATA RSET NOOP QUIT HELP VRFY STARTTLS";
  if (context.IsSubmission()) verbs += " AUTH";
  co_return smtp::Reply(214, "2.0.0", "Commands: " + verbs);
}

// RFC 5321 section 7.3: says nothing about who exists.
Task<smtp::Reply> HandleVrfy(smtp::VrfyCommand, SmtpContext&) {
  co_return smtp::Reply(252, "2.0.0", "Cannot verify, but will take mail and try");
}

}  // namespace posthorn::gateway
