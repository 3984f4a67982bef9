// COPY (RFC 3501 section 6.4.7) and MOVE (RFC 6851) with COPYUID (RFC 4315 section 3).
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/base/failure.h"
#include "lib/imap/sequence_set.h"
#include "services/gateway/imap/handlers.h"

namespace posthorn::gateway {

Task<ImapReply> HandleCopy(ImapState& state, imap::CopyCommand command) {
  SelectedMailbox& mailbox = *state.selected;
  const char* done = command.move ? "Move completed" : "Copy completed";
  if (command.move && mailbox.read_only()) {
    co_return ImapReply::Failed(MakeFailure(Failure::kReadOnly));
  }
  if (!command.uid && !mailbox.ContainsSequences(command.set)) {
    co_return ImapReply::Bad("No such message");
  }
  std::vector<std::size_t> indexes = mailbox.Select(command.set, command.uid);
  const Uid lowest = state.LimitMessages(indexes);
  // COPY is all or none (RFC 9738 section 3.1), MOVE may be of a part.
  if (lowest != 0 && !command.move) co_return state.TooManyMessages(lowest);
  std::vector<UidRange> uids = mailbox.UidRanges(indexes);
  if (uids.empty()) co_return ImapReply::Ok("No messages found");
  Task<absl::StatusOr<CopyResult>> copy =
      state.store().CopyMessages(state.tenant(), state.account(), mailbox.id(), std::move(uids),
                                 std::move(command.mailbox), command.move);
  absl::StatusOr<CopyResult> result = co_await state.Await(std::move(copy));
  if (!result.ok()) {
    const bool missing = FailureOf(result.status()) == Failure::kNoSuchMailbox;
    co_return ImapReply::Failed(result.status(), missing ? "TRYCREATE" : "");
  }
  std::string code;
  if (!result->source_uids.empty()) {
    code = absl::StrCat("COPYUID ", result->uid_validity, " ",
                        imap::FormatSequenceSet(result->source_uids), " ",
                        imap::FormatSequenceSet(result->destination_uids));
  }
  if (!command.move) co_return ImapReply::Ok(done, std::move(code));
  // RFC 6851 section 4.3: COPYUID comes before the EXPUNGE responses.
  if (!code.empty()) {
    imap::AppendStatusResponse({}, imap::Condition::kOk, code, "Moved UIDs", state.out);
  }
  mailbox.MarkExpunged(result->source_uids);
  mailbox.ReportExpunges(state.tells_uids(), state.out);
  ImapReply reply = ImapReply::Ok(done);
  reply.tells_modseq = !result->source_uids.empty();
  reply.lowest_processed = lowest;
  co_return reply;
}

}  // namespace posthorn::gateway
