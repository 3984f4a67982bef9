#ifndef POSTHORN_SERVICES_GATEWAY_CLIENTS_MAIL_STORE_H_
#define POSTHORN_SERVICES_GATEWAY_CLIENTS_MAIL_STORE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lib/base/ids.h"
#include "lib/base/task.h"

namespace posthorn::gateway {

// System flags as bits, as in posthorn.mailbox.v1.Flags.
inline constexpr std::uint32_t kFlagSeen = 1;
inline constexpr std::uint32_t kFlagAnswered = 2;
inline constexpr std::uint32_t kFlagFlagged = 4;
inline constexpr std::uint32_t kFlagDeleted = 8;
inline constexpr std::uint32_t kFlagDraft = 16;

struct MessageFlags {
  std::uint32_t system = 0;
  std::vector<std::string> keywords;
};

struct MailboxInfo {
  MailboxId id;
  std::string name;         // UTF-8, "/" separates levels
  std::string special_use;  // "\\Sent"; empty: none
  bool subscribed = false;
  std::uint32_t uid_validity = 0;
  Uid uid_next = 0;
  std::uint32_t messages = 0;
  std::uint32_t unseen = 0;
  std::uint32_t recent = 0;
  ModSeq highest_modseq = 0;
  std::uint64_t size = 0;  // octets of all messages
  // Where they were asked for: messages with \Deleted, and their octets.
  std::uint32_t deleted = 0;
  std::uint64_t deleted_size = 0;
};

struct MailboxList {
  std::vector<MailboxInfo> mailboxes;            // by name
  std::vector<std::string> other_subscriptions;  // subscribed, but missing
};

struct MailEntry {
  Uid uid = 0;
  ModSeq modseq = 0;
  MessageFlags flags;
  std::uint64_t size = 0;  // octets of BODY[]
  absl::Time received_at;
};

// One batch of a mailbox's snapshot, in UID order.
struct MailboxBatch {
  std::optional<MailboxInfo> info;  // first batch only
  Uid recent_from_uid = 0;          // first batch only: \Recent from here on; 0: none is
  std::vector<MailEntry> entries;
};

struct MailboxChanges {
  MailboxInfo info;                // at the high-water mark
  std::vector<MailEntry> changed;  // new messages and changed flags, in UID order
  std::vector<Uid> expunged;
  Uid recent_from_uid = 0;
};

struct UidRange {
  UidRange() = default;
  UidRange(Uid first_in, Uid last_in) : first(first_in), last(last_in) {}
  Uid first = 0;
  Uid last = 0;  // inclusive
  friend bool operator==(const UidRange&, const UidRange&) = default;
};

// What Fetch reads. Sizes and dates always come.
struct FetchParts {
  bool envelope = false;
  bool structure = false;
  bool header = false;  // of BODY[], with the prefix and the empty line
  bool body = false;    // BODY[] of messages up to 64 KiB
  bool saved_at = false;
  bool ids = false;
  // kLazy: only what is there already; kYes: what is not there is made, and kept.
  enum class Preview { kNo, kLazy, kYes };
  Preview preview = Preview::kNo;
};

struct MessageData {
  Uid uid = 0;
  std::uint64_t size = 0;
  absl::Time received_at;
  std::string structure;  // lib/mime structure, serialised; offsets count from the body's start
  std::string envelope;   // lib/mime envelope, serialised
  std::string header;
  std::string body;
  bool body_complete = false;  // `body` holds all of BODY[]
  std::uint32_t prefix_size = 0;
  absl::Time saved_at;  // when it came into this mailbox
  // The same for copies; never given to another message or thread of the account.
  std::int64_t email_id = 0;
  std::int64_t thread_id = 0;
  std::optional<std::string> preview;  // UTF-8, at most 200 characters; none: not made yet
};

struct Quota {
  std::uint64_t used_octets = 0;
  std::uint64_t limit_octets = 0;  // 0: none
  std::uint64_t used_messages = 0;
  std::uint64_t limit_messages = 0;  // 0: none
};

enum class StoreMode { kSet, kAdd, kRemove };

struct StoreFlagsResult {
  std::vector<MailEntry> changed;  // those whose flags really changed
  ModSeq highest_modseq = 0;
  std::vector<Uid> modified;  // StoreFlagsUnchanged: left alone, ascending
};

// A body in the mailbox service's store, from BodyWriter::Finish.
struct StoredBody {
  std::string sha256;
  std::uint64_t size = 0;
};

struct AppendMessage {
  MessageFlags flags;
  absl::Time received_at;
  std::string inline_body;  // at most 64 KiB; or else:
  std::optional<StoredBody> stored_body;
};

struct AppendResult {
  std::uint32_t uid_validity = 0;
  Uid uid = 0;
};

struct AppendAllResult {
  std::uint32_t uid_validity = 0;
  std::vector<Uid> uids;  // in the order given
};

struct CopyResult {
  std::uint32_t uid_validity = 0;
  std::vector<Uid> source_uids;       // in UID order
  std::vector<Uid> destination_uids;  // the same length and order
};

struct ExpungeResult {
  std::vector<Uid> expunged;
  ModSeq highest_modseq = 0;
};

// A search key that needs more than a session's snapshot; flags, UIDs, sizes and internal dates
// are decided by the gateway and come as kUids. Children of kNot: one.
struct StoreSearchKey {
  enum class Kind {
    kHeader,      // name, value (empty: the header exists)
    kBody,        // value
    kText,        // value
    kSentBefore,  // days
    kSentOn,
    kSentSince,
    kAllOf,
    kAnyOf,
    kNot,
    kUids,
  };
  StoreSearchKey() = default;
  explicit StoreSearchKey(Kind kind_in) : kind(kind_in) {}

  Kind kind = Kind::kAllOf;
  std::string name;
  std::string value;  // UTF-8
  std::int32_t days_since_epoch = 0;
  std::vector<StoreSearchKey> children;
  std::vector<UidRange> uids;
};

// A stream of values, owned by its reader, on the executor it was made on. Next gives nullopt at
// the end; after an error or the end it is not called again. Destroying it early cancels.
template <typename T>
class Reader {
 public:
  virtual ~Reader() = default;
  virtual Task<absl::StatusOr<std::optional<T>>> Next() = 0;
};

// Puts a body into the mailbox service's store. Write returns an error once the stream broke;
// destroying it before Finish abandons the body.
class BodyWriter {
 public:
  virtual ~BodyWriter() = default;
  virtual Task<absl::Status> Write(std::string bytes) = 0;  // at most 256 KiB
  virtual Task<absl::StatusOr<StoredBody>> Finish() = 0;
};

// The mailboxes of accounts, as the IMAP and POP3 sessions need them: the gateway's view of
// posthorn.mailbox.v1.Mailboxes (see mailbox.proto for each call's rules). Tenant and account come
// first; what belongs to another reads as not found. State changes are committed when a call
// returns OK. Thread-safe; must outlive its calls and readers.
class MailStore {
 public:
  virtual ~MailStore() = default;

  // `count_deleted`: with MailboxInfo::deleted and deleted_size, for which messages are counted.
  virtual Task<absl::StatusOr<MailboxList>> ListMailboxes(TenantId tenant, AccountId account,
                                                          bool count_deleted) = 0;
  // Missing parents are created. kMailboxExists, kMailboxNameInvalid.
  virtual Task<absl::StatusOr<MailboxInfo>> CreateMailbox(TenantId tenant, AccountId account,
                                                          std::string name,
                                                          std::string special_use) = 0;
  virtual Task<absl::Status> DeleteMailbox(TenantId tenant, AccountId account,
                                           std::string name) = 0;
  virtual Task<absl::Status> RenameMailbox(TenantId tenant, AccountId account, std::string from,
                                           std::string to) = 0;
  virtual Task<absl::Status> Subscribe(TenantId tenant, AccountId account, std::string name,
                                       bool subscribed) = 0;
  // kNoSuchMailbox. `count_deleted` as above.
  virtual Task<absl::StatusOr<MailboxInfo>> GetMailbox(TenantId tenant, AccountId account,
                                                       std::string name, bool count_deleted) = 0;

  // The snapshot of a mailbox; an error of the call itself (kNoSuchMailbox) comes from the first
  // Next. `claim_recent`: the new messages are \Recent in this session only.
  virtual std::unique_ptr<Reader<MailboxBatch>> OpenMailbox(TenantId tenant, AccountId account,
                                                            std::string name,
                                                            bool claim_recent) = 0;
  // What happened after `since_modseq`. kNoSuchMailbox or kNotFound when the mailbox was deleted,
  // kConflict when expunges since then were forgotten: take a new snapshot.
  virtual Task<absl::StatusOr<MailboxChanges>> GetChanges(TenantId tenant, AccountId account,
                                                          MailboxId mailbox, ModSeq since_modseq,
                                                          bool claim_recent) = 0;

  // In UID order, in batches of bounded size. Expunged messages are left out.
  virtual std::unique_ptr<Reader<std::vector<MessageData>>> Fetch(TenantId tenant,
                                                                  AccountId account,
                                                                  MailboxId mailbox,
                                                                  std::vector<UidRange> uids,
                                                                  FetchParts parts) = 0;
  // Octets [offset, offset + length) of BODY[], in pieces of at most 256 KiB; length 0: to the
  // end. kNotFound when the message is gone.
  virtual std::unique_ptr<Reader<std::string>> ReadMessage(TenantId tenant, AccountId account,
                                                           MailboxId mailbox, Uid uid,
                                                           std::uint64_t offset,
                                                           std::uint64_t length) = 0;

  virtual Task<absl::StatusOr<StoreFlagsResult>> StoreFlags(TenantId tenant, AccountId account,
                                                            MailboxId mailbox,
                                                            std::vector<UidRange> uids,
                                                            StoreMode mode, MessageFlags flags) = 0;
  // The same for those whose MODSEQ is not above `unchanged_since`; the rest are `modified`.
  virtual Task<absl::StatusOr<StoreFlagsResult>> StoreFlagsUnchanged(
      TenantId tenant, AccountId account, MailboxId mailbox, std::vector<UidRange> uids,
      StoreMode mode, MessageFlags flags, ModSeq unchanged_since) = 0;
  virtual std::unique_ptr<BodyWriter> PutBody(TenantId tenant) = 0;
  // kNoSuchMailbox, kOverQuota.
  virtual Task<absl::StatusOr<AppendResult>> Append(TenantId tenant, AccountId account,
                                                    std::string mailbox, AppendMessage message) = 0;
  // All of them or none. The inline bodies hold at most 64 KiB together.
  virtual Task<absl::StatusOr<AppendAllResult>> AppendAll(TenantId tenant, AccountId account,
                                                          std::string mailbox,
                                                          std::vector<AppendMessage> messages) = 0;
  // Stores `message` and removes an old one, both or neither: kNotFound if that is not there.
  virtual Task<absl::StatusOr<AppendResult>> Replace(TenantId tenant, AccountId account,
                                                     std::string mailbox, AppendMessage message,
                                                     MailboxId old_mailbox, Uid old_uid) = 0;
  virtual Task<absl::StatusOr<CopyResult>> CopyMessages(TenantId tenant, AccountId account,
                                                        MailboxId mailbox,
                                                        std::vector<UidRange> uids,
                                                        std::string destination, bool move) = 0;
  // `uids` empty: all. POP3 says only_deleted = false.
  virtual Task<absl::StatusOr<ExpungeResult>> Expunge(TenantId tenant, AccountId account,
                                                      MailboxId mailbox, std::vector<UidRange> uids,
                                                      bool only_deleted) = 0;
  // Those of `uids` that match, ascending.
  virtual Task<absl::StatusOr<std::vector<Uid>>> Search(TenantId tenant, AccountId account,
                                                        MailboxId mailbox,
                                                        std::vector<UidRange> uids,
                                                        StoreSearchKey key) = 0;

  virtual Task<absl::StatusOr<Quota>> GetQuota(TenantId tenant, AccountId account) = 0;

  // The highest MODSEQ of each account, in the order asked; 0: no such account.
  virtual Task<absl::StatusOr<std::vector<ModSeq>>> GetWatermarks(
      std::vector<std::pair<TenantId, AccountId>> accounts) = 0;

  // POP3: one session an account, over all replicas. `holder`: 16 random bytes of the session, the
  // same holder renews. kMailboxInUse while another has it.
  virtual Task<absl::Status> AcquirePopLock(TenantId tenant, AccountId account, std::string holder,
                                            absl::Duration lease) = 0;
  virtual Task<absl::Status> ReleasePopLock(TenantId tenant, AccountId account,
                                            std::string holder) = 0;
};

}  // namespace posthorn::gateway

#endif  // POSTHORN_SERVICES_GATEWAY_CLIENTS_MAIL_STORE_H_
