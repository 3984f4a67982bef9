// RFC 3501 section 6.2.2, with an initial response (RFC 4959). The mechanisms are lib/sasl's.
#include <utility>

#include "lib/base/failure.h"
#include "services/gateway/imap/handlers.h"

namespace posthorn::gateway {

ImapReply AfterAuthentication(ImapState& state, Authenticator::Exchange::Outcome outcome) {
  using Kind = Authenticator::Exchange::Outcome::Kind;
  if (outcome.kind == Kind::kLoggedIn) {
    state.login = std::move(outcome.login);
    return ImapReply::Ok("Logged in", "CAPABILITY " + state.Capabilities());
  }
  if (outcome.kind == Kind::kCancelled) return ImapReply::Bad("Authentication cancelled");
  return ImapReply::Failed(std::move(outcome.status));
}

}  // namespace posthorn::gateway
