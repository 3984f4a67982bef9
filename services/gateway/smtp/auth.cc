// RFC 4954. The mechanisms are lib/sasl's.
#include "lib/base/failure.h"
#include "services/gateway/smtp/handlers.h"

namespace posthorn::gateway {
namespace {

using Outcome = Authenticator::Exchange::Outcome;

smtp::Reply Answer(Outcome outcome, SmtpContext& context) {
  if (outcome.kind == Outcome::Kind::kChallenge) {
    context.input = SmtpInput::kAuthResponse;
    return smtp::Reply(334, "", std::move(outcome.challenge));
  }
  context.auth.reset();
  context.input = SmtpInput::kCommand;
  if (outcome.kind == Outcome::Kind::kLoggedIn) {
    context.login = std::move(outcome.login);
    return smtp::Reply(235, "2.7.0", "Authentication successful");
  }
  if (outcome.kind == Outcome::Kind::kCancelled) {
    return smtp::Reply(501, "5.7.0", "Authentication cancelled");
  }
  // RFC 4954 section 6 gives AUTH its own codes: for what cannot be decoded, and, section 4.7.3,
  // for what is temporary here.
  if (FailureOf(outcome.status) == Failure::kSyntax) {
    return smtp::Reply(501, "5.5.2", "Cannot decode response");
  }
  return smtp::ReplyFor(MakeFailure(IsPermanent(outcome.status) ? Failure::kAuthenticationFailed
                                                                : Failure::kAuthenticationBusy));
}

}  // namespace

Task<smtp::Reply> HandleAuth(smtp::AuthCommand command, SmtpContext& context) {
  if (context.login.has_value()) {
    co_return smtp::ReplyFor(MakeFailure(Failure::kBadSequence, "Already authenticated"));
  }
  if (!context.AuthenticationIsSafe()) {
    co_return smtp::ReplyFor(MakeFailure(Failure::kEncryptionRequired));
  }
  AuthenticationPeer peer(context.stream, context.client().ip, "smtp");
  context.auth = Authenticator::Exchange::Make(*context.deps.authenticator, std::move(peer),
                                               command.mechanism);
  if (context.auth == nullptr) {
    co_return smtp::Reply(504, "5.5.4", "Authentication mechanism not supported");
  }
  Outcome outcome = co_await context.auth->Start(std::move(command.initial_response));
  co_return Answer(std::move(outcome), context);
}

Task<smtp::Reply> HandleAuthResponse(std::string line, SmtpContext& context) {
  Outcome outcome = co_await context.auth->OnLine(std::move(line));
  co_return Answer(std::move(outcome), context);
}

}  // namespace posthorn::gateway
