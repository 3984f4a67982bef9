// RFC 3501 section 6.3.5.
#include <utility>

#include "lib/imap/mailbox_name.h"
#include "services/gateway/imap/handlers.h"

namespace posthorn::gateway {

Task<ImapReply> HandleRename(ImapState& state, imap::RenameCommand command) {
  const absl::Status valid = imap::ValidateNewMailbox(command.to, state.limits.mailbox_name_octets);
  if (!valid.ok()) co_return ImapReply::Failed(valid);
  const absl::Status renamed = co_await state.store().RenameMailbox(
      state.tenant(), state.account(), std::move(command.from), std::move(command.to));
  if (!renamed.ok()) co_return ImapReply::Failed(renamed);
  co_return ImapReply::Ok("Rename completed");
}

}  // namespace posthorn::gateway
