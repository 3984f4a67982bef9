#include <utility>

#include "lib/base/failure.h"
#include "lib/pop3/reply.h"
#include "lib/telemetry/log.h"
#include "services/gateway/pop3/handlers.h"

namespace posthorn::gateway {

Pop3Reply HandleCapa(const Pop3State& state) {
  Pop3Reply reply = OkReply("Capabilities follow");
  pop3::AppendLine("TOP", reply.text);
  pop3::AppendLine("UIDL", reply.text);
  pop3::AppendLine("RESP-CODES", reply.text);
  pop3::AppendLine("AUTH-RESP-CODE", reply.text);
  pop3::AppendLine("PIPELINING", reply.text);
  if (state.MayAuthenticate()) {
    pop3::AppendLine("USER", reply.text);
    std::string sasl = "SASL";
    for (const std::string_view name : state.deps.authenticator->Offered(state.stream)) {
      sasl += ' ';
      sasl += name;
    }
    pop3::AppendLine(sasl, reply.text);
  }
  if (!state.stream.tls().active && state.deps.tls != nullptr &&
      state.phase == Pop3Phase::kAuthorization) {
    pop3::AppendLine("STLS", reply.text);
  }
  pop3::AppendLine("IMPLEMENTATION Posthorn", reply.text);
  pop3::AppendEnd(reply.text);
  return reply;
}

Pop3Reply HandleStls(Pop3State& state) {
  if (state.stream.tls().active) {
    return ErrorReply(MakeFailure(Failure::kBadSequence, "TLS is active already"));
  }
  if (state.deps.tls == nullptr) return ErrorReply(MakeFailure(Failure::kUnknownCommand));
  // RFC 2595 section 4: what was said before does not count.
  state.user.clear();
  Pop3Reply reply = OkReply("Begin TLS");
  reply.start_tls = true;
  return reply;
}

Task<Pop3Reply> HandleQuit(Pop3State& state) {
  if (state.phase == Pop3Phase::kAuthorization) {
    Pop3Reply bye = OkReply("Bye");
    bye.close = true;
    co_return bye;
  }
  // The update state (RFC 1939 section 6): all marked messages go in one transaction, or none.
  Pop3Reply reply = OkReply("Bye");
  std::vector<UidRange> deleted = state.maildrop.Deleted();
  if (!deleted.empty()) {
    const absl::StatusOr<ExpungeResult> expunged = co_await state.deps.store->Expunge(
        state.login.tenant, state.login.account, state.maildrop.mailbox(), std::move(deleted),
        false);
    if (!expunged.ok()) {
      log::Warn("pop3", "messages not deleted",
                {{"account", state.login.account.value()}, {"status", expunged.status()}});
      reply = ErrorReply(expunged.status());
    }
  }
  co_await ReleaseLock(state);
  reply.close = true;
  co_return reply;
}

}  // namespace posthorn::gateway
