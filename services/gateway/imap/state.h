#ifndef POSTHORN_SERVICES_GATEWAY_IMAP_STATE_H_
#define POSTHORN_SERVICES_GATEWAY_IMAP_STATE_H_

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "lib/base/executor.h"
#include "lib/base/task.h"
#include "lib/imap/format/format.h"
#include "lib/net/stream.h"
#include "services/gateway/change_hub.h"
#include "services/gateway/imap/reply.h"
#include "services/gateway/imap/selected_mailbox.h"
#include "services/gateway/imap/server.h"

namespace posthorn::gateway {

void AppendModSeq(ModSeq modseq, std::string& out);  // "MODSEQ (7)"

// What the handlers of one session share. Owned by the session, on its executor; handlers append
// to `out` through lib/imap/format and never touch the stream but by Flush.
class ImapState {
 public:
  // Long answers leave in pieces of about this size.
  static constexpr std::size_t kFlushOctets = 64 * 1024;

  ImapState(const ImapDependencies& dependencies_in, const ImapLimits& limits_in,
            const ImapListenerOptions& options_in, net::Stream& stream_in)
      : dependencies(dependencies_in), limits(limits_in), options(options_in), stream(&stream_in) {}

  MailStore& store() const { return *dependencies.store; }
  TenantId tenant() const { return login->tenant; }
  AccountId account() const { return login->account; }

  // Writes all of `out`. After an error only the end of the session is left.
  Task<absl::Status> Flush();
  // `task` while the client is told every now and then that its command runs (RFC 9585). Nothing
  // else may write until it is done, and nothing may be in the middle of a response.
  template <typename T>
  Task<T> Await(Task<T> task) {
    auto ticker = std::make_shared<Ticker>();
    TellLater(ticker);
    T value = co_await std::move(task);
    ticker->done = true;
    while (ticker->writing) co_await SleepFor(absl::Milliseconds(1));
    co_return value;
  }
  bool flush_due() const { return out.size() >= kFlushOctets; }

  // Whether mailbox names are UTF-8, and not modified UTF-7.
  bool utf8_names() const { return utf8 || rev2; }
  // Whether VANISHED tells of expunges.
  bool tells_uids() const { return qresync || uid_only; }

  // Whether a password may be sent: under TLS, or the listener trusts loopback.
  bool MayAuthenticate() const;
  std::string Capabilities() const;

  // Brings the selected mailbox up to date and appends what the client must know. With expunges
  // not allowed they wait for the next time. kNoSuchMailbox when the mailbox is gone.
  Task<absl::Status> Sync(bool allow_expunge);
  // UIDs in `known` (none: all) that were expunged after `since`, as ranges for VANISHED (EARLIER):
  // none that the session still shows. Where the store has forgotten what was expunged, all that
  // are not there.
  Task<absl::StatusOr<std::vector<imap::SequenceRange>>> VanishedSince(
      ModSeq since, std::optional<imap::SequenceSet> known);
  // FLAGS and PERMANENTFLAGS of the selected mailbox.
  void AppendFlagsResponses();
  // "* n FETCH (FLAGS (...))" of one message, with its UID if wanted.
  void AppendFlagsFetch(std::size_t index, bool with_uid);
  void AppendModSeqFetch(std::size_t index, bool with_uid);  // the same without the flags
  // RFC 9738: "MESSAGELIMIT 1000 4711"; 0: without the UID.
  std::string MessageLimitCode(Uid lowest_processed) const;
  // Leaves the last of `indexes` (ascending), as many as one command may process. The UID of the
  // first of them; 0: there were no more.
  Uid LimitMessages(std::vector<std::size_t>& indexes) const;
  // The answer to a command that does nothing where LimitMessages answers `lowest`.
  ImapReply TooManyMessages(Uid lowest) const;
  // What ENABLE turns on, by its name in upper case: the name as it is announced; empty: it is on,
  // or nothing that could be.
  std::string_view Enable(std::string_view name);
  // Everything that ENABLE has turned on is off again.
  void DisableAll();
  // Ends the selection.
  void Deselect();

  const ImapDependencies& dependencies;
  const ImapLimits& limits;
  const ImapListenerOptions& options;
  net::Stream* stream;                      // the connection, or `compressed` over it
  std::unique_ptr<net::Stream> compressed;  // RFC 4978; none: not asked for

  std::string out;
  std::string tag;         // of the command that runs
  bool condstore = false;  // RFC 7162 section 3.1: the client wants MODSEQ with flags
  bool utf8 = false;       // RFC 6855: the client speaks UTF-8
  bool rev2 = false;       // RFC 9051: and the newer revision
  bool uid_only = false;   // RFC 9586: no sequence numbers
  bool qresync = false;    // and section 3.2: UIDs with them, and VANISHED for EXPUNGE
  std::string appended_to;  // the mailbox that took the last APPEND; empty: it failed, or none did
  std::optional<Login> login;
  std::unique_ptr<SelectedMailbox> selected;
  ChangeHub::Watch watch;  // of the account, while a mailbox is selected
  bool stale = false;      // the account has changed since the last Sync
  bool idle_wait = false;  // the shell waits in IDLE: a change interrupts the stream

 private:
  struct Ticker {
    bool done = false;     // then the state may be gone
    bool writing = false;  // then it is not
  };
  void TellLater(std::shared_ptr<Ticker> ticker);
  Task<void> Tell(std::shared_ptr<Ticker> ticker);
  // "* n FETCH (", or "* uid UIDFETCH (", with the UID if wanted, and MODSEQ if the client wants it
  // always.
  void BeginFetch(std::size_t index, bool with_uid);
  // The same as GetChanges, from a new snapshot.
  Task<absl::StatusOr<MailboxChanges>> CompareWithSnapshot();
};

}  // namespace posthorn::gateway

#endif  // POSTHORN_SERVICES_GATEWAY_IMAP_STATE_H_
