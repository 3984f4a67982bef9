// IDLE (RFC 2177). The receiver and the session hold no buffers while it waits.
#include <utility>
#include <variant>

#include "absl/strings/match.h"
#include "lib/base/failure.h"
#include "services/gateway/imap/session.h"

namespace posthorn::gateway {

using imap::Condition;

Task<ImapReply> ImapSession::Handle(imap::IdleCommand) {
  imap::AppendContinuation("idling", state_.out);
  receiver_.ExpectLine();
  absl::Time last_sign = state_.dependencies.clock->Now();
  for (;;) {
    if (state_.selected && state_.stale) {
      const absl::Status synced = co_await state_.Sync(true);
      if (!synced.ok()) {
        End("NONEXISTENT", PeerText(synced));
        co_return ImapReply::No("IDLE ended");
      }
      if (state_.stale) {
        // The store is away: not at once again, and not only with the next hint.
        co_await SleepFor(absl::Seconds(1));
      }
    }
    imap::Received received = receiver_.Next();
    if (auto* line = std::get_if<imap::RawLine>(&received)) {
      if (absl::EqualsIgnoreCase(line->text, "DONE")) co_return ImapReply::Ok("Idle completed");
      co_return ImapReply::Bad("Expected DONE");
    }
    if (auto* failure = std::get_if<imap::CommandFailure>(&received)) {
      co_return ImapReply::Failed(failure->status);
    }
    absl::Status written = co_await state_.Flush();
    if (!written.ok()) {
      over_ = true;
      co_return ImapReply::Broken();
    }
    if (draining_) {
      End("UNAVAILABLE", "Server shutting down");
      co_return ImapReply::No("IDLE ended");
    }
    if (state_.stale) continue;  // changed while writing
    state_.idle_wait = true;
    absl::StatusOr<std::string> bytes =
        co_await state_.stream->ReadSome(state_.limits.idle_keepalive);
    state_.idle_wait = false;
    if (bytes.ok()) {
      if (bytes->empty()) {
        over_ = true;
        co_return ImapReply::Broken();
      }
      receiver_.Feed(*bytes);
      last_sign = state_.dependencies.clock->Now();
    } else if (FailureOf(bytes.status()) == Failure::kTimeout) {
      if (state_.dependencies.clock->Now() - last_sign >= state_.limits.idle_timeout) {
        End({}, "Disconnected for inactivity");
        co_return ImapReply::No("IDLE ended");
      }
      // Keeps address translators from forgetting the connection.
      imap::AppendStatusResponse({}, Condition::kOk, {}, "Still here", state_.out);
    } else if (!absl::IsCancelled(bytes.status())) {
      over_ = true;
      co_return ImapReply::Broken();
    }
  }
}

}  // namespace posthorn::gateway
