// RFC 3501 section 6.3.10, SIZE by RFC 8438, APPENDLIMIT by RFC 7889, MAILBOXID by RFC 8474,
// DELETED and DELETED-STORAGE by RFC 9208.
#include <algorithm>
#include <utility>

#include "services/gateway/imap/handlers.h"
#include "services/gateway/imap/object_id.h"

namespace posthorn::gateway {

imap::StatusValues StatusValuesOf(const ImapState& state, const MailboxInfo& info) {
  imap::StatusValues values;
  values.messages = info.messages;
  values.recent = info.recent;
  values.uid_next = info.uid_next;
  values.uid_validity = info.uid_validity;
  values.unseen = info.unseen;
  values.size = info.size;
  values.append_limit = state.limits.message_octets;
  values.highest_modseq = info.highest_modseq;
  values.mailbox_id = ObjectId(kMailboxLetter, info.id.value());
  values.deleted = info.deleted;
  values.deleted_size = info.deleted_size;
  return values;
}

void EnableCondstoreFor(const std::vector<imap::StatusItem>& items, ImapState& state) {
  for (const imap::StatusItem item : items) {
    if (item == imap::StatusItem::kHighestModSeq) state.condstore = true;
  }
}

bool CountsDeleted(const std::vector<imap::StatusItem>& items) {
  return std::any_of(items.begin(), items.end(), [](imap::StatusItem item) {
    return item == imap::StatusItem::kDeleted || item == imap::StatusItem::kDeletedStorage;
  });
}

Task<ImapReply> HandleStatus(ImapState& state, imap::StatusCommand command) {
  absl::StatusOr<MailboxInfo> info = co_await state.store().GetMailbox(
      state.tenant(), state.account(), command.mailbox, CountsDeleted(command.items));
  if (!info.ok()) co_return ImapReply::Failed(info.status());
  EnableCondstoreFor(command.items, state);
  imap::AppendStatus(command.mailbox, command.items, StatusValuesOf(state, *info),
                     state.utf8_names(), state.out);
  co_return ImapReply::Ok("Status completed");
}

}  // namespace posthorn::gateway
