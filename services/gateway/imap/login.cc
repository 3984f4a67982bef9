// RFC 3501 section 6.2.3.
#include <utility>

#include "lib/base/failure.h"
#include "lib/telemetry/log.h"
#include "services/gateway/imap/handlers.h"

namespace posthorn::gateway {

Task<ImapReply> HandleLogin(ImapState& state, imap::LoginCommand command) {
  if (!state.MayAuthenticate()) {
    co_return ImapReply::Failed(MakeFailure(Failure::kEncryptionRequired));
  }
  Credentials credentials(std::move(command.user), std::move(command.password),
                          state.stream.peer().ip, "imap");
  absl::StatusOr<Login> login =
      co_await state.dependencies.directory->Authenticate(std::move(credentials));
  if (!login.ok()) {
    if (FailureOf(login.status()) == Failure::kAuthenticationFailed) {
      log::Info("imap", "login failed", {{"peer", state.stream.peer().ip}});
      // Slows guessing down; the connection costs next to nothing meanwhile.
      co_await SleepFor(state.limits.failed_login_delay);
    }
    co_return ImapReply::Failed(login.status());
  }
  state.login = *std::move(login);
  log::Info("imap", "login", {{"account", state.login->address}, {"peer", state.stream.peer().ip}});
  co_return ImapReply::Ok("Logged in", "CAPABILITY " + state.Capabilities());
}

}  // namespace posthorn::gateway
