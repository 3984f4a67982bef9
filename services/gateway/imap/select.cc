// SELECT and EXAMINE (RFC 3501 sections 6.3.1 and 6.3.2), CLOSE (6.4.2), UNSELECT (RFC 3691).
#include <optional>
#include <utility>

#include "lib/base/failure.h"
#include "services/gateway/imap/handlers.h"

namespace posthorn::gateway {
namespace {

void AppendOk(std::string code, std::string_view text, std::string& out) {
  imap::AppendStatusResponse({}, imap::Condition::kOk, code, text, out);
}

// Reads the snapshot; the result's `uid_next` is the mailbox's.
Task<absl::StatusOr<Uid>> Load(ImapState& state, imap::SelectCommand command) {
  std::unique_ptr<Reader<MailboxBatch>> reader = state.store().OpenMailbox(
      state.tenant(), state.account(), std::move(command.mailbox), !command.read_only);
  std::unique_ptr<SelectedMailbox> mailbox;
  Uid uid_next = 0;
  Uid recent_from = 0;
  for (;;) {
    absl::StatusOr<std::optional<MailboxBatch>> batch = co_await reader->Next();
    if (!batch.ok()) co_return batch.status();
    if (!batch->has_value()) break;
    if ((*batch)->info) {
      mailbox = std::make_unique<SelectedMailbox>(*(*batch)->info, command.read_only);
      uid_next = (*batch)->info->uid_next;
      recent_from = (*batch)->recent_from_uid;
    }
    if (!mailbox) break;
    mailbox->Append((*batch)->entries, recent_from);
  }
  if (!mailbox) co_return MakeFailure(Failure::kUnavailable);
  mailbox->FinishSnapshot();
  state.selected = std::move(mailbox);
  co_return uid_next;
}

}  // namespace

Task<ImapReply> HandleSelect(ImapState& state, imap::SelectCommand command) {
  if (command.condstore) state.condstore = true;
  // A SELECT that fails leaves nothing selected.
  state.Deselect();
  const bool read_only = command.read_only;
  // Watched before the snapshot is taken, so that no change falls in between.
  state.watch = state.dependencies.hub->Register(state.tenant(), state.account(), 0, [&state] {
    state.stale = true;
    if (state.idle_wait) state.stream.Interrupt();
  });
  absl::StatusOr<Uid> uid_next = co_await Load(state, std::move(command));
  if (!uid_next.ok()) {
    state.Deselect();
    co_return ImapReply::Failed(uid_next.status());
  }
  const SelectedMailbox& mailbox = *state.selected;
  state.watch.Seen(mailbox.modseq());
  state.AppendFlagsResponses();
  imap::AppendCount(mailbox.count(), "EXISTS", state.out);
  imap::AppendCount(mailbox.recent_count(), "RECENT", state.out);
  if (const std::optional<std::size_t> unseen = mailbox.FirstUnseen()) {
    AppendOk("UNSEEN " + std::to_string(*unseen + 1), "First unseen message", state.out);
  }
  AppendOk("UIDVALIDITY " + std::to_string(mailbox.uid_validity()), "UIDs valid", state.out);
  AppendOk("UIDNEXT " + std::to_string(*uid_next), "Predicted next UID", state.out);
  AppendOk("HIGHESTMODSEQ " + std::to_string(mailbox.modseq()), "Highest", state.out);
  co_return ImapReply::Ok(read_only ? "Examine completed" : "Select completed",
                          read_only ? "READ-ONLY" : "READ-WRITE");
}

Task<ImapReply> HandleClose(ImapState& state, bool expunge) {
  if (expunge && !state.selected->read_only()) {
    absl::StatusOr<ExpungeResult> expunged = co_await state.store().Expunge(
        state.tenant(), state.account(), state.selected->id(), {}, true);
    // A mailbox that is gone has nothing left to remove.
    const Failure failure = expunged.ok() ? Failure::kNotFound : FailureOf(expunged.status());
    if (failure != Failure::kNotFound && failure != Failure::kNoSuchMailbox) {
      co_return ImapReply::Failed(expunged.status());
    }
  }
  state.Deselect();
  co_return ImapReply::Ok(expunge ? "Close completed" : "Unselect completed");
}

}  // namespace posthorn::gateway
