#ifndef POSTHORN_SERVICES_GATEWAY_IMAP_HANDLERS_H_
#define POSTHORN_SERVICES_GATEWAY_IMAP_HANDLERS_H_

#include <string>
#include <vector>

#include "lib/base/task.h"
#include "lib/imap/command.h"
#include "services/gateway/imap/reply.h"
#include "services/gateway/imap/state.h"

// One handler a command, in the file of its name. The session owns both the coroutine and `state`,
// so the reference outlives the call. The session has checked the state a command needs: `login`
// and `selected` are there where the command table says so. STARTTLS, AUTHENTICATE, APPEND's
// message and IDLE exchange more than one line; the shell drives them.
namespace posthorn::gateway {

// login.cc
Task<ImapReply> HandleLogin(ImapState& state, imap::LoginCommand command);
// authenticate.cc: the answer once no challenge follows any more.
ImapReply AfterAuthentication(ImapState& state, Authenticator::Exchange::Outcome outcome);

// id.cc, enable.cc
ImapReply HandleId(ImapState& state);
ImapReply HandleEnable(ImapState& state, const imap::EnableCommand& command);

Task<ImapReply> HandleSelect(ImapState& state, imap::SelectCommand command);
Task<ImapReply> HandleClose(ImapState& state, bool expunge);  // select.cc: CLOSE and UNSELECT
Task<ImapReply> HandleCreate(ImapState& state, imap::CreateCommand command);
Task<ImapReply> HandleDelete(ImapState& state, imap::DeleteCommand command);
Task<ImapReply> HandleRename(ImapState& state, imap::RenameCommand command);
Task<ImapReply> HandleSubscribe(ImapState& state, imap::SubscribeCommand command);
Task<ImapReply> HandleList(ImapState& state, imap::ListCommand command);
Task<ImapReply> HandleStatus(ImapState& state, imap::StatusCommand command);
imap::StatusValues StatusValuesOf(const ImapState& state, const MailboxInfo& info);  // status.cc
// Whether DELETED or DELETED-STORAGE is among them, for which the store has to count.
bool CountsDeleted(const std::vector<imap::StatusItem>& items);
void EnableCondstoreFor(const std::vector<imap::StatusItem>& items, ImapState& state);
Task<ImapReply> HandleExpunge(ImapState& state, imap::ExpungeCommand command);
Task<ImapReply> HandleStore(ImapState& state, imap::StoreCommand command);
Task<ImapReply> HandleCopy(ImapState& state, imap::CopyCommand command);
Task<ImapReply> HandleFetch(ImapState& state, imap::FetchCommand command);
Task<ImapReply> HandleSearch(ImapState& state, imap::SearchCommand command);
Task<ImapReply> HandleSort(ImapState& state, imap::SortCommand command);
Task<ImapReply> HandleThread(ImapState& state, imap::ThreadCommand command);
// quota.cc
Task<ImapReply> HandleGetQuota(ImapState& state, imap::GetQuotaCommand command);
Task<ImapReply> HandleGetQuotaRoot(ImapState& state, imap::GetQuotaRootCommand command);
ImapReply HandleSetQuota(const imap::SetQuotaCommand& command);

// append.cc: one APPEND of one message or several, or one REPLACE. Start, then Write for each
// piece, Next before each further message, then Finish; after an error of Start or Next nothing
// else is called, after one of Write the rest may be left out. Nothing is stored before Finish.
class ImapAppend {
 public:
  ImapAppend(ImapState& state, imap::AppendCommand command);
  ~ImapAppend();
  Task<absl::Status> Start();  // does the mailbox exist?
  Task<absl::Status> Write(std::string bytes);
  Task<absl::Status> Next(imap::AppendCommand message);
  Task<ImapReply> Finish(absl::Status received);
  // After an error of Next: the response code if there are too many messages (RFC 9738).
  const std::string& limit_code() const { return limit_code_; }

 private:
  void Begin(imap::AppendCommand message);
  // The current message is whole.
  Task<absl::Status> EndMessage();
  Task<absl::StatusOr<AppendAllResult>> Store();
  ImapReply AfterReplace(const std::string& code);

  ImapState& state_;
  imap::AppendCommand command_;  // of the current message
  const std::string mailbox_;
  Uid replaced_ = 0;                     // REPLACE: the message that goes
  std::vector<AppendMessage> messages_;  // those before it
  std::size_t inline_octets_ = 0;        // of bodies kept here, all messages together
  std::size_t keyword_octets_ = 0;
  std::string buffer_;
  std::unique_ptr<BodyWriter> writer_;  // where a body is too large to be kept here
  absl::Status failure_;
  std::string limit_code_;
};

}  // namespace posthorn::gateway

#endif  // POSTHORN_SERVICES_GATEWAY_IMAP_HANDLERS_H_
