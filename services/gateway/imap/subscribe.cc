// RFC 3501 sections 6.3.6 and 6.3.7. A name may be subscribed to before it exists.
#include <utility>

#include "lib/imap/mailbox_name.h"
#include "services/gateway/imap/handlers.h"

namespace posthorn::gateway {

Task<ImapReply> HandleSubscribe(ImapState& state, imap::SubscribeCommand command) {
  const bool subscribe = command.subscribe;
  if (subscribe) {
    const absl::Status valid =
        imap::ValidateNewMailbox(command.mailbox, state.limits.mailbox_name_octets);
    if (!valid.ok()) co_return ImapReply::Failed(valid);
  }
  const absl::Status done = co_await state.store().Subscribe(state.tenant(), state.account(),
                                                             std::move(command.mailbox), subscribe);
  if (!done.ok()) co_return ImapReply::Failed(done);
  co_return ImapReply::Ok(subscribe ? "Subscribe completed" : "Unsubscribe completed");
}

}  // namespace posthorn::gateway
