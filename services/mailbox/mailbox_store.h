#ifndef POSTHORN_SERVICES_MAILBOX_MAILBOX_STORE_H_
#define POSTHORN_SERVICES_MAILBOX_MAILBOX_STORE_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lib/base/task.h"
#include "lib/postgres/database.h"
#include "services/mailbox/change_hints.h"
#include "services/mailbox/types.h"

namespace posthorn::mailbox {

struct MailboxList {
  std::vector<MailboxInfo> mailboxes;  // by name
  std::vector<std::string> other_subscriptions;
};

// A mailbox at one moment. `entries` are the first of them where there are more than a batch:
// MoreEntries has the rest, as far as they are still there; what happened to those since `info`
// comes with GetChanges(info.highest_modseq), also expunges of UIDs never seen.
struct OpenedMailbox {
  MailboxInfo info;
  Uid recent_from_uid = 0;
  std::vector<Entry> entries;
  bool complete = true;
};

struct Changes {
  MailboxInfo info;
  std::vector<Entry> changed;
  std::vector<Uid> expunged;
  Uid recent_from_uid = 0;
};

enum class FlagMode : int { kSet = 1, kAdd = 2, kRemove = 3 };

struct FlagChanges {
  std::vector<Entry> changed;
  ModSeq highest_modseq = 0;
  std::vector<Uid> modified;  // left alone, ascending
};
inline constexpr ModSeq kAnyModSeq = INT64_MAX;

struct CopyResult {
  std::uint32_t uid_validity = 0;
  std::vector<Uid> source;
  std::vector<Uid> destination;
};

struct ExpungeResult {
  std::vector<Uid> expunged;
  ModSeq highest_modseq = 0;
};

// The mailboxes of accounts. Every change is committed when its task returns OK, and one change as
// a whole. Counts are exact. What is not there and what belongs to another account or tenant both
// read kNoSuchMailbox (by name) or kNotFound (by id). Ranges must be Normalised. Thread-safe.
class MailboxStore {
 public:
  static constexpr int kEntryBatch = 20000;

  MailboxStore(postgres::Database& database, ChangeHints& hints);

  // `count_deleted`: with MailboxInfo::deleted and deleted_size, for which messages are counted.
  Task<absl::StatusOr<MailboxList>> List(Account account, bool count_deleted = false);
  Task<absl::StatusOr<MailboxInfo>> Get(Account account, std::string name,
                                        bool count_deleted = false);
  // Only what APPEND needs of it: `id` and `uid_validity`, without a count.
  Task<absl::StatusOr<MailboxInfo>> Find(Account account, std::string name);
  // kMailboxExists, kMailboxNameInvalid. Missing parents are created.
  Task<absl::StatusOr<MailboxInfo>> Create(Account account, std::string name,
                                           std::string special_use);
  // Mailboxes below it stay. INBOX: kPermissionDenied; a name that is no mailbox but has some below
  // it: kMailboxHasChildren.
  Task<absl::Status> Delete(Account account, std::string name);
  // With what lies below it, also where `from` itself is no mailbox; of INBOX the messages move to a new mailbox (RFC 3501 section 6.3.5).
  Task<absl::Status> Rename(Account account, std::string from, std::string to);
  Task<absl::Status> Subscribe(Account account, std::string name, bool subscribed);

  // `claim_recent`: what no session was told of as recent is recent in this one only.
  Task<absl::StatusOr<OpenedMailbox>> Open(Account account, std::string name, bool claim_recent);
  // Up to kEntryBatch entries with after < UID < before.
  Task<absl::StatusOr<std::vector<Entry>>> MoreEntries(Account account, MailboxId mailbox,
                                                       Uid after, Uid before);
  // kConflict: `since` is older than what is remembered of expunged messages.
  Task<absl::StatusOr<Changes>> GetChanges(Account account, MailboxId mailbox, ModSeq since,
                                           bool claim_recent);

  // Of messages whose MODSEQ is not above `unchanged_since`; the others are `modified`.
  Task<absl::StatusOr<FlagChanges>> StoreFlags(Account account, MailboxId mailbox,
                                               std::vector<UidRange> uids, FlagMode mode,
                                               std::uint32_t flags,
                                               std::vector<std::string> keywords,
                                               ModSeq unchanged_since = kAnyModSeq);
  Task<absl::StatusOr<CopyResult>> Copy(Account account, MailboxId mailbox,
                                        std::vector<UidRange> uids, std::string destination,
                                        bool move);
  Task<absl::StatusOr<ExpungeResult>> Expunge(Account account, MailboxId mailbox,
                                              std::vector<UidRange> uids, bool only_deleted);

  // kNotFound.
  Task<absl::StatusOr<Quota>> GetQuota(Account account);
  // In the order asked; 0: no such account.
  Task<absl::StatusOr<std::vector<ModSeq>>> Watermarks(std::vector<Account> accounts);

  // kMailboxInUse while another holder's lease runs.
  Task<absl::Status> AcquirePopLock(Account account, std::string holder, absl::Duration lease);
  Task<absl::Status> ReleasePopLock(Account account, std::string holder);

 private:
  // kNotFound: no such account of this tenant.
  Task<absl::Status> RequireAccount(Account account);
  postgres::Database& database_;
  ChangeHints& hints_;
};

}  // namespace posthorn::mailbox

#endif  // POSTHORN_SERVICES_MAILBOX_MAILBOX_STORE_H_
