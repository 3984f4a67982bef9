#include "lib/base/failure.h"
#include "services/gateway/smtp/handlers.h"

namespace posthorn::gateway {

Task<smtp::Reply> HandleStartTls(smtp::StartTlsCommand, SmtpContext& context) {
  if (context.stream.tls().active) {
    co_return smtp::ReplyFor(MakeFailure(Failure::kBadSequence, "TLS is already active"));
  }
  if (!context.TlsIsOffered()) {
    co_return smtp::Reply(502, "5.5.1", "STARTTLS is not available");
  }
  context.input = SmtpInput::kTlsHandshake;
  co_return smtp::Reply(220, "2.0.0", "Ready to start TLS");
}

void ForgetClient(SmtpContext& context) {
  context.input = SmtpInput::kCommand;
  context.helo.clear();
  context.esmtp = false;
  context.login.reset();
  context.auth.reset();
  context.verbose = false;
  context.EndTransaction();
}

}  // namespace posthorn::gateway
