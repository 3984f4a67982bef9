// EXPUNGE (RFC 3501 section 6.4.3) and UID EXPUNGE (RFC 4315 section 2.1).
#include <algorithm>
#include <utility>

#include "lib/base/failure.h"
#include "services/gateway/imap/handlers.h"

namespace posthorn::gateway {

Task<ImapReply> HandleExpunge(ImapState& state, imap::ExpungeCommand command) {
  if (state.selected->read_only()) {
    co_return ImapReply::Failed(MakeFailure(Failure::kReadOnly));
  }
  std::vector<UidRange> uids;
  Uid lowest = 0;
  if (command.uids) {
    std::vector<std::size_t> indexes = state.selected->Select(*command.uids, true);
    // RFC 9738 section 3.1: those that go are counted, and EXPUNGE itself has no limit.
    if (indexes.size() > state.limits.messages) {
      const auto stays = [&](std::size_t index) {
        const SelectedMailbox::Message& message = state.selected->messages()[index];
        return message.expunged || (message.system & imap::kDeleted) == 0;
      };
      indexes.erase(std::remove_if(indexes.begin(), indexes.end(), stays), indexes.end());
      lowest = state.LimitMessages(indexes);
    }
    uids = state.selected->UidRanges(indexes);
    // No range would mean all of them.
    if (uids.empty()) co_return ImapReply::Ok("Expunge completed");
  }
  absl::StatusOr<ExpungeResult> result = co_await state.store().Expunge(
      state.tenant(), state.account(), state.selected->id(), std::move(uids), true);
  if (!result.ok()) co_return ImapReply::Failed(result.status());
  state.selected->MarkExpunged(result->expunged);
  state.selected->ReportExpunges(state.tells_uids(), state.out);
  ImapReply reply = ImapReply::Ok("Expunge completed");
  reply.tells_modseq = !result->expunged.empty();
  reply.lowest_processed = lowest;
  co_return reply;
}

}  // namespace posthorn::gateway
