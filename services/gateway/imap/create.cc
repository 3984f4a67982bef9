// RFC 3501 section 6.3.3; the special use is RFC 6154 section 3.
#include <utility>

#include "lib/imap/mailbox_name.h"
#include "services/gateway/imap/handlers.h"
#include "services/gateway/imap/object_id.h"

namespace posthorn::gateway {

Task<ImapReply> HandleCreate(ImapState& state, imap::CreateCommand command) {
  const absl::Status valid =
      imap::ValidateNewMailbox(command.mailbox, state.limits.mailbox_name_octets);
  if (!valid.ok()) co_return ImapReply::Failed(valid);
  // RFC 6154 section 3 lets a server give a mailbox one use only.
  if (command.use_not_supported) {
    co_return ImapReply::No("Special use is not supported", "USEATTR");
  }
  absl::StatusOr<MailboxInfo> created = co_await state.store().CreateMailbox(
      state.tenant(), state.account(), std::move(command.mailbox), std::move(command.special_use));
  if (!created.ok()) co_return ImapReply::Failed(created.status());
  // RFC 8474 section 4.2.
  co_return ImapReply::Ok("Create completed",
                          "MAILBOXID (" + ObjectId(kMailboxLetter, created->id.value()) + ')');
}

}  // namespace posthorn::gateway
