// EXPUNGE (RFC 3501 section 6.4.3) and UID EXPUNGE (RFC 4315 section 2.1).
#include <utility>

#include "lib/base/failure.h"
#include "services/gateway/imap/handlers.h"

namespace posthorn::gateway {

Task<ImapReply> HandleExpunge(ImapState& state, imap::ExpungeCommand command) {
  if (state.selected->read_only()) {
    co_return ImapReply::Failed(MakeFailure(Failure::kReadOnly));
  }
  std::vector<UidRange> uids;
  if (command.uids) {
    uids = state.selected->UidRanges(state.selected->Select(*command.uids, true));
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
  co_return reply;
}

}  // namespace posthorn::gateway
