#include "services/gateway/imap/state.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

#include "lib/base/failure.h"

namespace posthorn::gateway {

void AppendModSeq(ModSeq modseq, std::string& out) {
  out += "MODSEQ (";
  imap::AppendNumber(static_cast<std::uint64_t>(modseq), out);
  out += ')';
}

Task<absl::Status> ImapState::Flush() {
  if (out.empty()) co_return absl::OkStatus();
  std::string bytes = std::exchange(out, {});
  co_return co_await stream->WriteAll(std::move(bytes), limits.write_timeout);
}

void ImapState::TellLater(std::shared_ptr<Ticker> ticker) {
  Executor::Current()->PostAfter(limits.progress_interval, [this, ticker] {
    if (!ticker->done) Spawn(*Executor::Current(), Tell(ticker));
  });
}

Task<void> ImapState::Tell(std::shared_ptr<Ticker> ticker) {
  // It may have been done while this was on its way.
  if (ticker->done) co_return;
  ticker->writing = true;
  std::string code = "INPROGRESS (";
  imap::AppendString(tag, code);
  code += " NIL NIL)";
  imap::AppendStatusResponse({}, imap::Condition::kOk, code, "Still working", out);
  const absl::Status written = co_await Flush();
  ticker->writing = false;
  // The command finds out by itself that the connection is gone.
  if (written.ok() && !ticker->done) TellLater(std::move(ticker));
}

bool ImapState::MayAuthenticate() const {
  return stream->tls().active ||
         (options.allow_plaintext_auth_on_loopback && stream->peer().IsLoopback());
}

std::string ImapState::Capabilities() const {
  std::string text = "IMAP4rev1 IMAP4rev2 SASL-IR LITERAL+ ID ENABLE IDLE NAMESPACE";
  if (login) {
    // RFC 3501 section 6.1.1: what does not depend on the login comes first, the rest after it.
    text +=
        " CHILDREN LIST-EXTENDED LIST-STATUS UIDPLUS MOVE UNSELECT SPECIAL-USE CREATE-SPECIAL-USE"
        " STATUS=SIZE UNAUTHENTICATE MULTIAPPEND WITHIN ESEARCH SEARCHRES PARTIAL SORT"
        " SORT=DISPLAY ESORT THREAD=REFERENCES THREAD=ORDEREDSUBJECT CONDSTORE QRESYNC"
        " SAVEDATE OBJECTID PREVIEW QUOTA QUOTA=RES-STORAGE QUOTA=RES-MESSAGE UTF8=ACCEPT BINARY"
        " REPLACE UIDONLY INPROGRESS APPENDLIMIT=";
    imap::AppendNumber(limits.message_octets, text);
    text += " I18NLEVEL=1 MESSAGELIMIT=";
    imap::AppendNumber(limits.messages, text);
    if (!compressed) text += " COMPRESS=DEFLATE";
    return text;
  }
  if (!stream->tls().active && dependencies.tls != nullptr) text += " STARTTLS";
  if (!MayAuthenticate()) return text + " LOGINDISABLED";
  for (const std::string_view name : dependencies.authenticator->Offered(*stream)) {
    text += " AUTH=";
    text += name;
  }
  return text;
}

void ImapState::AppendFlagsResponses() {
  std::string flags;
  constexpr std::uint32_t kAll =
      imap::kAnswered | imap::kFlagged | imap::kDeleted | imap::kSeen | imap::kDraft;
  imap::AppendFlags(kAll, selected->keywords(), flags);
  out += "* FLAGS ";
  out += flags;
  out += "\r\n";
  if (selected->read_only()) {
    imap::AppendStatusResponse({}, imap::Condition::kOk, "PERMANENTFLAGS ()", "Read-only mailbox",
                               out);
    return;
  }
  flags.insert(flags.size() - 1, " \\*");
  imap::AppendStatusResponse({}, imap::Condition::kOk, "PERMANENTFLAGS " + flags, "Flags permitted",
                             out);
}

void ImapState::BeginFetch(std::size_t index, bool with_uid) {
  const SelectedMailbox::Message& message = selected->messages()[index];
  out += "* ";
  imap::AppendNumber(uid_only ? message.uid : index + 1, out);
  out += uid_only ? " UIDFETCH (" : " FETCH (";
  // RFC 9051 section 7.5.2 wants UIDs with news.
  if ((with_uid || qresync || rev2) && !uid_only) {
    out += "UID ";
    imap::AppendNumber(message.uid, out);
    out += ' ';
  }
  if (condstore) AppendModSeq(message.modseq, out);
}

void ImapState::AppendFlagsFetch(std::size_t index, bool with_uid) {
  BeginFetch(index, with_uid);
  out += condstore ? " FLAGS " : "FLAGS ";
  selected->AppendFlagsOf(selected->messages()[index], out);
  out += ")\r\n";
}

void ImapState::AppendModSeqFetch(std::size_t index, bool with_uid) {
  BeginFetch(index, with_uid);
  out += ")\r\n";
}

std::string ImapState::MessageLimitCode(Uid lowest_processed) const {
  std::string code = "MESSAGELIMIT ";
  imap::AppendNumber(limits.messages, code);
  if (lowest_processed == 0) return code;
  code += ' ';
  imap::AppendNumber(lowest_processed, code);
  return code;
}

Uid ImapState::LimitMessages(std::vector<std::size_t>& indexes) const {
  if (indexes.size() <= limits.messages) return 0;
  indexes.erase(indexes.begin(), indexes.end() - static_cast<std::ptrdiff_t>(limits.messages));
  return selected->messages()[indexes.front()].uid;
}

ImapReply ImapState::TooManyMessages(Uid lowest) const {
  return ImapReply::No("Too many messages for one command", MessageLimitCode(lowest));
}

std::string_view ImapState::Enable(std::string_view name) {
  const auto turn_on = [](bool& what, std::string_view announced) {
    return std::exchange(what, true) ? std::string_view() : announced;
  };
  if (name == "CONDSTORE") return turn_on(condstore, "CONDSTORE");
  if (name == "QRESYNC") {
    condstore = true;
    return turn_on(qresync, "QRESYNC");
  }
  if (name == "UTF8=ACCEPT") return turn_on(utf8, "UTF8=ACCEPT");
  if (name == "UIDONLY") return turn_on(uid_only, "UIDONLY");
  if (name == "IMAP4REV2") {
    if (selected) selected->ForgetRecent();
    return turn_on(rev2, "IMAP4rev2");
  }
  return {};
}

void ImapState::DisableAll() {
  condstore = false;
  qresync = false;
  utf8 = false;
  rev2 = false;
  uid_only = false;
}

Task<absl::StatusOr<MailboxChanges>> ImapState::CompareWithSnapshot() {
  std::unique_ptr<Reader<MailboxBatch>> reader =
      store().OpenMailbox(tenant(), account(), selected->name(), !selected->read_only() && !rev2);
  MailboxChanges changes;
  for (;;) {
    absl::StatusOr<std::optional<MailboxBatch>> batch = co_await reader->Next();
    if (!batch.ok()) co_return batch.status();
    if (!batch->has_value()) break;
    if ((*batch)->info) {
      changes.info = *(*batch)->info;
      changes.recent_from_uid = rev2 ? 0 : (*batch)->recent_from_uid;
    }
    std::move((*batch)->entries.begin(), (*batch)->entries.end(),
              std::back_inserter(changes.changed));
  }
  // Another mailbox of the same name is not this one.
  if (changes.info.id != selected->id()) co_return MakeFailure(Failure::kNoSuchMailbox);
  auto entry = changes.changed.begin();
  for (std::size_t i = 0; i < selected->messages().size(); ++i) {
    const SelectedMailbox::Message& message = selected->messages()[i];
    while (entry != changes.changed.end() && entry->uid < message.uid) ++entry;
    if (entry == changes.changed.end() || entry->uid != message.uid) {
      changes.expunged.push_back(message.uid);
    }
  }
  co_return changes;
}

Task<absl::Status> ImapState::Sync(bool allow_expunge) {
  stale = false;
  absl::StatusOr<MailboxChanges> changes = co_await store().GetChanges(
      tenant(), account(), selected->id(), selected->modseq(), !selected->read_only() && !rev2);
  // So long ago that the store has forgotten what was expunged since.
  if (!changes.ok() && FailureOf(changes.status()) == Failure::kConflict) {
    changes = co_await CompareWithSnapshot();
  }
  if (!changes.ok()) {
    const Failure failure = FailureOf(changes.status());
    if (failure == Failure::kNoSuchMailbox || failure == Failure::kNotFound) {
      co_return MakeFailure(Failure::kNoSuchMailbox, "Mailbox was deleted");
    }
    stale = true;  // another command tries again
    co_return absl::OkStatus();
  }
  if (rev2) changes->recent_from_uid = 0;  // RFC 9051 has no \Recent
  const SelectedMailbox::Difference difference = selected->Apply(*changes);
  if (difference.new_keywords) AppendFlagsResponses();
  // Before the expunges, while the indexes hold.
  for (const std::size_t index : difference.flags_changed) {
    if (!selected->messages()[index].expunged) AppendFlagsFetch(index, false);
  }
  if (allow_expunge) selected->ReportExpunges(tells_uids(), out);
  if (difference.new_messages) {
    imap::AppendCount(selected->count(), "EXISTS", out);
    if (!rev2) imap::AppendCount(selected->recent_count(), "RECENT", out);
  }
  watch.Seen(selected->modseq());
  co_return absl::OkStatus();
}

Task<absl::StatusOr<std::vector<imap::SequenceRange>>> ImapState::VanishedSince(
    ModSeq since, std::optional<imap::SequenceSet> known) {
  absl::StatusOr<MailboxChanges> changes =
      co_await store().GetChanges(tenant(), account(), selected->id(), since, false);
  if (!changes.ok() && FailureOf(changes.status()) == Failure::kConflict) {
    co_return selected->Missing(known);
  }
  if (!changes.ok()) co_return changes.status();
  std::vector<std::uint32_t> uids;
  std::vector<imap::SequenceRange> ranges;
  if (known) ranges = known->Resolve(selected->uid_next() - 1);
  for (const Uid uid : changes->expunged) {
    if (known && !imap::Contains(ranges, uid)) continue;
    if (!selected->Find(uid)) uids.push_back(uid);
  }
  std::sort(uids.begin(), uids.end());
  co_return imap::ToRanges(uids);
}

void ImapState::Deselect() {
  selected.reset();
  watch = ChangeHub::Watch();
  stale = false;
}

}  // namespace posthorn::gateway
