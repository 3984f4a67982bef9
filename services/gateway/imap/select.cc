// SELECT and EXAMINE (RFC 3501 sections 6.3.1 and 6.3.2), CLOSE (6.4.2), UNSELECT (RFC 3691).
// QRESYNC is RFC 7162 section 3.2.
#include <optional>
#include <utility>

#include "lib/base/failure.h"
#include "services/gateway/imap/handlers.h"
#include "services/gateway/imap/object_id.h"

namespace posthorn::gateway {
namespace {

void AppendOk(std::string code, std::string_view text, std::string& out) {
  imap::AppendStatusResponse({}, imap::Condition::kOk, code, text, out);
}

// All of the mailbox.
Task<absl::Status> ReadWhole(ImapState& state, imap::SelectCommand command) {
  std::unique_ptr<Reader<MailboxBatch>> reader =
      state.store().OpenMailbox(state.tenant(), state.account(), std::move(command.mailbox),
                                !command.read_only && !state.rev2);
  std::unique_ptr<SelectedMailbox> mailbox;
  Uid recent_from = 0;
  for (;;) {
    absl::StatusOr<std::optional<MailboxBatch>> batch = co_await reader->Next();
    if (!batch.ok()) co_return batch.status();
    if (!batch->has_value()) break;
    if ((*batch)->info) {
      mailbox = std::make_unique<SelectedMailbox>(*(*batch)->info, command.read_only);
      if (!state.rev2) recent_from = (*batch)->recent_from_uid;
    }
    if (!mailbox) break;
    mailbox->Append((*batch)->entries);
  }
  if (!mailbox) co_return MakeFailure(Failure::kUnavailable);
  mailbox->FinishSnapshot();
  state.dependencies.snapshots->Put(state.tenant(), state.account(), *mailbox);
  mailbox->MarkRecent(recent_from);
  state.selected = std::move(mailbox);
  co_return absl::OkStatus();
}

// What another session knew, and what has changed since. False: there is no such session, or what
// it knew cannot be brought up to date.
Task<absl::StatusOr<bool>> ReadChanges(ImapState& state, const imap::SelectCommand& command) {
  std::unique_ptr<SelectedMailbox> mailbox = state.dependencies.snapshots->Find(
      state.tenant(), state.account(), command.mailbox, command.read_only);
  if (!mailbox) co_return false;
  absl::StatusOr<MailboxChanges> changes =
      co_await state.store().GetChanges(state.tenant(), state.account(), mailbox->id(),
                                        mailbox->modseq(), !command.read_only && !state.rev2);
  if (!changes.ok()) {
    const Failure failure = FailureOf(changes.status());
    const bool other = failure == Failure::kNoSuchMailbox || failure == Failure::kNotFound ||
                       failure == Failure::kConflict;
    if (!other) co_return changes.status();
  }
  // Another one may have got the name since.
  if (!changes.ok() || changes->info.name != command.mailbox ||
      changes->info.uid_validity != mailbox->uid_validity()) {
    state.dependencies.snapshots->Drop(state.tenant(), state.account(), command.mailbox);
    co_return false;
  }
  mailbox->CatchUp(*changes);
  state.dependencies.snapshots->Put(state.tenant(), state.account(), *mailbox);
  if (!state.rev2) mailbox->MarkRecent(changes->recent_from_uid);
  state.selected = std::move(mailbox);
  co_return true;
}

Task<absl::Status> Load(ImapState& state, imap::SelectCommand command) {
  absl::StatusOr<bool> known = co_await ReadChanges(state, command);
  if (!known.ok()) co_return known.status();
  if (*known) co_return absl::OkStatus();
  absl::Status read = co_await ReadWhole(state, std::move(command));
  co_return read;
}

// RFC 7162 section 3.2.5: what has happened since the client was here. An error ends the session: a
// client that was not told of all of it would never learn. `resync` outlives the task.
Task<absl::Status> Resynchronise(ImapState& state, const imap::SelectCommand::Resync& resync) {
  const SelectedMailbox& mailbox = *state.selected;
  if (resync.modseq >= mailbox.modseq()) co_return absl::OkStatus();
  absl::StatusOr<std::vector<imap::SequenceRange>> vanished =
      co_await state.VanishedSince(resync.modseq, resync.known_uids);
  if (!vanished.ok()) co_return vanished.status();
  imap::AppendVanished(true, *vanished, state.out);
  std::vector<imap::SequenceRange> known;
  if (resync.known_uids) known = resync.known_uids->Resolve(mailbox.uid_next());
  for (std::size_t i = 0; i < mailbox.messages().size(); ++i) {
    const SelectedMailbox::Message& message = mailbox.messages()[i];
    if (message.modseq <= resync.modseq) continue;
    if (resync.known_uids && !imap::Contains(known, message.uid)) continue;
    state.AppendFlagsFetch(i, true);
    if (!state.flush_due()) continue;
    absl::Status written = co_await state.Flush();
    if (!written.ok()) co_return written;
  }
  co_return absl::OkStatus();
}

}  // namespace

Task<ImapReply> HandleSelect(ImapState& state, imap::SelectCommand command) {
  const std::optional<imap::SelectCommand::Resync> resync = std::move(command.resync);
  if (resync && !state.qresync) co_return ImapReply::Bad("QRESYNC is not enabled");
  if (command.condstore) state.condstore = true;
  // RFC 7162 section 3.2.11: what follows is of the other mailbox.
  if (state.selected) AppendOk("CLOSED", "Previous mailbox closed", state.out);
  // A SELECT that fails leaves nothing selected.
  state.Deselect();
  const bool read_only = command.read_only;
  // Watched before the snapshot is taken, so that no change falls in between.
  state.watch = state.dependencies.hub->Register(state.tenant(), state.account(), 0, [&state] {
    state.stale = true;
    if (state.idle_wait) state.stream->Interrupt();
  });
  const absl::Status loaded = co_await Load(state, std::move(command));
  if (!loaded.ok()) {
    state.Deselect();
    co_return ImapReply::Failed(loaded);
  }
  const SelectedMailbox& mailbox = *state.selected;
  state.watch.Seen(mailbox.modseq());
  state.AppendFlagsResponses();
  imap::AppendCount(mailbox.count(), "EXISTS", state.out);
  if (!state.rev2) imap::AppendCount(mailbox.recent_count(), "RECENT", state.out);
  const std::optional<std::size_t> unseen = mailbox.FirstUnseen();
  if (unseen && !state.rev2 && !state.uid_only) {
    AppendOk("UNSEEN " + std::to_string(*unseen + 1), "First unseen message", state.out);
  }
  if (state.rev2) {
    imap::ListEntry entry;
    entry.name = mailbox.name();
    imap::AppendList("LIST", entry, true, state.out);
  }
  AppendOk("UIDVALIDITY " + std::to_string(mailbox.uid_validity()), "UIDs valid", state.out);
  AppendOk("UIDNEXT " + std::to_string(mailbox.uid_next()), "Predicted next UID", state.out);
  AppendOk("MAILBOXID (" + ObjectId(kMailboxLetter, mailbox.id().value()) + ')', "Mailbox id",
           state.out);
  AppendOk("HIGHESTMODSEQ " + std::to_string(mailbox.modseq()), "Highest", state.out);
  if (resync && resync->uid_validity == mailbox.uid_validity()) {
    const absl::Status told = co_await Resynchronise(state, *resync);
    if (!told.ok()) co_return ImapReply::Broken();
  }
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
