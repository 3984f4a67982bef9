#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
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
  // RFC 6856 section 2.2: names and passwords may be UTF-8 too.
  pop3::AppendLine("UTF8 USER", reply.text);
  pop3::AppendLine("LANG", reply.text);
  // RFC 2449 section 6.7: nothing is deleted because of its age.
  pop3::AppendLine("EXPIRE NEVER", reply.text);
  if (const absl::Duration delay = state.login_delay(); delay > absl::ZeroDuration()) {
    pop3::AppendLine(absl::StrCat("LOGIN-DELAY ", absl::ToInt64Seconds(delay)), reply.text);
  }
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
  // RFC 6856 section 2.1: not after UTF8.
  if (state.utf8) return ErrorReply(MakeFailure(Failure::kBadSequence, "Not after UTF8"));
  // RFC 2595 section 4: what was said before does not count.
  state.user.clear();
  Pop3Reply reply = OkReply("Begin TLS");
  reply.start_tls = true;
  return reply;
}

Pop3Reply HandleUtf8(Pop3State& state) {
  // Messages are sent as they are in either mode, and no reply has a text that would change.
  state.utf8 = true;
  return OkReply("UTF-8 mode");
}

Pop3Reply HandleLang(const pop3::LangCommand& command) {
  if (command.range.empty()) {
    Pop3Reply reply = OkReply("Languages follow");
    pop3::AppendLine("en English", reply.text);
    pop3::AppendLine("i-default Default language", reply.text);
    pop3::AppendEnd(reply.text);
    return reply;
  }
  // "*" asks for the default (RFC 6856 section 3.2); a range finds what it begins with (RFC 4647
  // section 3.4).
  if (command.range == "*" || command.range == "i-default") {
    return OkReply("i-default Default language");
  }
  if (command.range == "en" || absl::StartsWith(command.range, "en-")) {
    return OkReply("en English from now on");
  }
  return ErrorReply(MakeFailure(Failure::kBadParameter, "No such language, LANG lists them"));
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
