// RFC 3501 section 6.3.4.
#include <utility>

#include "services/gateway/imap/handlers.h"

namespace posthorn::gateway {

Task<ImapReply> HandleDelete(ImapState& state, imap::DeleteCommand command) {
  const bool selected = state.selected && state.selected->name() == command.mailbox;
  const absl::Status deleted = co_await state.store().DeleteMailbox(state.tenant(), state.account(),
                                                                    std::move(command.mailbox));
  if (!deleted.ok()) co_return ImapReply::Failed(deleted);
  // As Dovecot does: who deletes the mailbox he is in is in none afterwards.
  if (selected) state.Deselect();
  co_return ImapReply::Ok("Delete completed");
}

}  // namespace posthorn::gateway
