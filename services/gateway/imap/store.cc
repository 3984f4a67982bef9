// RFC 3501 section 6.4.6; UNCHANGEDSINCE by RFC 7162 section 3.1.3.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

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

bool Contains(const std::vector<std::string>& keywords, const std::string& keyword) {
  return std::any_of(keywords.begin(), keywords.end(), [&](const std::string& candidate) {
    return absl::EqualsIgnoreCase(candidate, keyword);
  });
}

bool ContainsAll(const std::vector<std::string>& keywords, const std::vector<std::string>& wanted) {
  return std::all_of(wanted.begin(), wanted.end(),
                     [&](const std::string& keyword) { return Contains(keywords, keyword); });
}

// Whether a message that had `before` has `after` by this STORE alone. Neither holds duplicates.
bool Explains(Mode mode, const imap::FlagList& given, const imap::FlagList& before,
              const imap::FlagList& after) {
  imap::FlagList expected = mode == Mode::kSet ? given : before;
  if (mode == Mode::kAdd) {
    expected.system |= given.system;
    for (const std::string& keyword : given.keywords) {
      if (!Contains(before.keywords, keyword)) expected.keywords.push_back(keyword);
    }
  } else if (mode == Mode::kRemove) {
    expected.system &= ~given.system;
    std::erase_if(expected.keywords,
                  [&](const std::string& keyword) { return Contains(given.keywords, keyword); });
  }
  return expected.system == after.system && expected.keywords.size() == after.keywords.size() &&
         ContainsAll(after.keywords, expected.keywords);
}

imap::FlagList FlagsOf(const SelectedMailbox& mailbox, const SelectedMailbox::Message& message) {
  imap::FlagList flags;
  flags.system = message.system;
  flags.keywords = mailbox.KeywordsOf(message);
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
  std::vector<SelectedMailbox::Message> before;
  if (command.silent) {
    before.reserve(indexes.size());
    for (const std::size_t index : indexes) before.push_back(mailbox.messages()[index]);
  }
  MessageFlags flags;
  flags.system = command.flags.system;
  flags.keywords = command.flags.keywords;
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
    const auto changed =
        std::lower_bound(result->changed.begin(), result->changed.end(), message.uid,
                         [](const MailEntry& entry, Uid wanted) { return entry.uid < wanted; });
    bool known = command.silent;  // to the client, without being told
    if (changed != result->changed.end() && changed->uid == message.uid) {
      known = known && Explains(command.mode, command.flags, FlagsOf(mailbox, before[i]),
                                FlagsOf(mailbox, message));
    } else if (const imap::FlagList shown = FlagsOf(mailbox, message);
               !Explains(command.mode, command.flags, shown, shown)) {
      // Others have set it so before, or expunged the message: the view is behind.
      state.stale = true;
      continue;
    }
    // Silent means: nothing but what the client cannot know.
    if (!known) {
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
