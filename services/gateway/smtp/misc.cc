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
  verbs += " EXPN";
  if (context.IsSubmission()) verbs += " AUTH VERB";
  co_return smtp::Reply(214, "2.0.0", "Commands: " + verbs);
}

}  // namespace posthorn::gateway
