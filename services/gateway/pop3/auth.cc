// RFC 5034. The mechanisms are lib/sasl's.
#include <utility>

#include "lib/base/failure.h"
#include "lib/pop3/reply.h"
#include "services/gateway/pop3/handlers.h"

namespace posthorn::gateway {
namespace {

using Outcome = Authenticator::Exchange::Outcome;

Task<Pop3Reply> Answer(Outcome outcome, Pop3State& state) {
  if (outcome.kind == Outcome::Kind::kChallenge) {
    co_return ChallengeReply(outcome.challenge);
  }
  state.auth.reset();
  if (outcome.kind == Outcome::Kind::kCancelled) {
    co_return ErrorReply(MakeFailure(Failure::kSyntax, "Authentication cancelled"));
  }
  absl::StatusOr<Login> login = std::move(outcome.login);
  if (outcome.kind == Outcome::Kind::kFailed) login = std::move(outcome.status);
  co_return co_await EnterMaildrop(std::move(login), state);
}

}  // namespace

Task<Pop3Reply> HandleAuth(pop3::AuthCommand command, Pop3State& state) {
  if (command.mechanism.empty()) {
    // RFC 1734 clients ask for the list so.
    Pop3Reply reply = OkReply("Mechanisms follow");
    if (state.MayAuthenticate()) {
      for (const std::string_view name : state.deps.authenticator->Offered(state.stream)) {
        pop3::AppendLine(name, reply.text);
      }
    }
    pop3::AppendEnd(reply.text);
    co_return reply;
  }
  if (!state.MayAuthenticate()) co_return ErrorReply(MakeFailure(Failure::kEncryptionRequired));
  AuthenticationPeer peer(state.stream, "pop3");
  state.auth = Authenticator::Exchange::Make(*state.deps.authenticator, std::move(peer),
                                             command.mechanism);
  if (state.auth == nullptr) {
    co_return ErrorReply(
        MakeFailure(Failure::kBadParameter, "Authentication mechanism not supported"));
  }
  Outcome outcome = co_await state.auth->Start(std::move(command.initial_response));
  co_return co_await Answer(std::move(outcome), state);
}

Task<Pop3Reply> HandleAuthResponse(std::string line, Pop3State& state) {
  Outcome outcome = co_await state.auth->OnLine(std::move(line));
  co_return co_await Answer(std::move(outcome), state);
}

}  // namespace posthorn::gateway
