// RFC 3501 section 6.2.2 with PLAIN (RFC 4616) and an initial response (RFC 4959).
#include <utility>

#include "services/gateway/imap/handlers.h"
#include "services/gateway/session/sasl.h"

namespace posthorn::gateway {

Task<ImapReply> HandleAuthenticatePlain(ImapState& state, std::string response) {
  const absl::StatusOr<std::string> message = DecodeSaslBase64(response);
  if (!message.ok()) co_return ImapReply::Failed(message.status());
  absl::StatusOr<NameAndPassword> who = ParseSaslPlain(*message);
  if (!who.ok()) co_return ImapReply::Failed(who.status());
  imap::LoginCommand login;
  login.user = std::move(who->name);
  login.password = std::move(who->password);
  co_return co_await HandleLogin(state, std::move(login));
}

}  // namespace posthorn::gateway
