// RFC 3501 section 6.2.3.
#include <utility>

#include "lib/base/failure.h"
#include "services/gateway/imap/handlers.h"

namespace posthorn::gateway {

Task<ImapReply> HandleLogin(ImapState& state, imap::LoginCommand command) {
  if (!state.MayAuthenticate()) {
    co_return ImapReply::Failed(MakeFailure(Failure::kEncryptionRequired));
  }
  AuthenticationPeer peer(*state.stream, "imap");
  absl::StatusOr<Login> login = co_await state.dependencies.authenticator->CheckPassword(
      std::move(peer), std::move(command.user), std::move(command.password));
  if (!login.ok()) co_return ImapReply::Failed(login.status());
  state.login = *std::move(login);
  co_return ImapReply::Ok("Logged in", "CAPABILITY " + state.Capabilities());
}

}  // namespace posthorn::gateway
