// RFC 3501 section 6.4.6; UNCHANGEDSINCE by RFC 7162 section 3.1.3.
#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "lib/base/failure.h"
#include "lib/imap/sequence_set.h"
#include "services/gateway/imap/handlers.h"

namespace posthorn::gateway {
namespace {

using Mode = imap::StoreCommand::Mode;

StoreMode ToStoreMode(Mode mode) {
  switch (mode) {
    case Mode::kAdd:
      return StoreMode::kAdd;
    case Mode::kRemove:
      return StoreMode::kRemove;
    case Mode::kSet:
      break;
  }
  return StoreMode::kSet;
}

// The system flags the client of a silent STORE takes the message to have afterwards.
std::uint32_t Expected(std::uint32_t before, Mode mode, std::uint32_t flags) {
  switch (mode) {
    case Mode::kAdd:
      return before | flags;
    case Mode::kRemove:
      return before & ~flags;
    case Mode::kSet:
      break;
  }
  return flags;
}

}  // namespace

Task<ImapReply> HandleStore(ImapState& state, imap::StoreCommand command) {
  SelectedMailbox& mailbox = *state.selected;
  if (mailbox.read_only()) co_return ImapReply::Failed(MakeFailure(Failure::kReadOnly));
  if (!command.uid && !mailbox.ContainsSequences(command.set)) {
    co_return ImapReply::Bad("No such message");
  }
  std::vector<std::size_t> indexes = mailbox.Select(command.set, command.uid);
  const Uid lowest = state.LimitMessages(indexes);
  std::vector<UidRange> uids = mailbox.UidRanges(indexes);
  if (uids.empty()) co_return ImapReply::Ok("Store completed");
  std::vector<std::uint32_t> expected;
  if (command.silent) {
    expected.reserve(indexes.size());
    for (const std::size_t index : indexes) {
      expected.push_back(
          Expected(mailbox.messages()[index].system, command.mode, command.flags.system));
    }
  }
  MessageFlags flags;
  flags.system = command.flags.system;
  flags.keywords = std::move(command.flags.keywords);
  const StoreMode mode = ToStoreMode(command.mode);
  absl::StatusOr<StoreFlagsResult> result;
  if (command.unchanged_since) {
    state.condstore = true;
    result = co_await state.store().StoreFlagsUnchanged(state.tenant(), state.account(),
                                                        mailbox.id(), std::move(uids), mode,
                                                        std::move(flags), *command.unchanged_since);
  } else {
    result = co_await state.store().StoreFlags(state.tenant(), state.account(), mailbox.id(),
                                               std::move(uids), mode, std::move(flags));
  }
  if (!result.ok()) co_return ImapReply::Failed(result.status());
  if (mailbox.ApplyFlags(result->changed)) state.AppendFlagsResponses();
  std::vector<std::uint32_t> modified;
  for (std::size_t n = 0; n < indexes.size(); ++n) {
    // RFC 9738 section 3.1: from the highest UID down where not all are processed.
    const std::size_t i = lowest == 0 ? n : indexes.size() - 1 - n;
    const SelectedMailbox::Message& message = mailbox.messages()[indexes[i]];
    if (message.expunged) continue;
    if (std::binary_search(result->modified.begin(), result->modified.end(), message.uid)) {
      modified.push_back(command.uid ? message.uid : static_cast<std::uint32_t>(indexes[i] + 1));
      continue;
    }
    // Silent means: nothing but what the client cannot know.
    if (!command.silent || message.system != expected[i]) {
      state.AppendFlagsFetch(indexes[i], command.uid);
    } else if (state.condstore) {
      state.AppendModSeqFetch(indexes[i], command.uid);
    }
    if (state.flush_due()) {
      const absl::Status written = co_await state.Flush();
      if (!written.ok()) co_return ImapReply::Broken();
    }
  }
  ImapReply reply = ImapReply::Ok("Store completed");
  reply.lowest_processed = lowest;
  if (modified.empty()) co_return reply;
  // What changed them comes before the answer.
  state.stale = true;
  std::sort(modified.begin(), modified.end());
  reply.text = "Some messages were modified";
  reply.code = "MODIFIED " + imap::FormatSequenceSet(modified);
  co_return reply;
}

}  // namespace posthorn::gateway
