#ifndef POSTHORN_SERVICES_MAILBOX_DELIVERY_STORE_H_
#define POSTHORN_SERVICES_MAILBOX_DELIVERY_STORE_H_

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lib/base/ids.h"
#include "lib/base/task.h"
#include "lib/postgres/database.h"
#include "lib/postgres/write_group.h"
#include "services/mailbox/change_hints.h"
#include "services/mailbox/message_facts.h"
#include "services/mailbox/types.h"

namespace posthorn::mailbox {

// A body on its way into mailboxes, shared by the rows of its recipients. Immutable.
struct PreparedBody {
  TenantId tenant;
  std::string sha256;
  std::uint64_t size = 0;
  std::optional<std::string> frame;  // compressed; nullopt: stored already
  MessageFacts facts;
};

// One message for one mailbox of one account.
struct NewMessage {
  std::shared_ptr<const PreparedBody> body;
  AccountId account;
  MailboxId mailbox;  // none: INBOX
  MessageId id;
  std::string resend_key;  // empty: none
  std::string prefix;
  absl::Time received_at;
  std::uint32_t flags = 0;
  std::vector<std::string> keywords;
};

struct StoredMessage {
  bool duplicate = false;
  Uid uid = 0;  // of a duplicate: the first one's, 0 if that was another message id
  std::uint32_t uid_validity = 0;
  ModSeq modseq = 0;
};

// The one way by which messages come into mailboxes. What is stored at the same time is committed
// together. Idempotent by (tenant, account, message id). Thread-safe.
class DeliveryStore {
 public:
  DeliveryStore(postgres::Database& database, postgres::WriteGroupOptions options,
                ChangeHints& hints);

  // Hashes, compresses and scans a body of at most postgres::kInlineOctets; needs no database.
  static std::shared_ptr<const PreparedBody> Prepare(TenantId tenant, std::string_view body);
  // A body that BodyWriter has stored. kNotFound: it is not there (any more).
  Task<absl::StatusOr<std::shared_ptr<const PreparedBody>>> PrepareStored(TenantId tenant,
                                                                          std::string sha256);

  // Committed when it returns OK. Failures: kOverQuota, kNoSuchRecipient (no such account),
  // kNoSuchMailbox, kConflict (busy for seconds), kUnavailable (the stored body was collected).
  Task<absl::StatusOr<StoredMessage>> Store(NewMessage message);
  // Messages of one account (at least one), all of them or none, in a transaction of their own. The
  // same failures.
  Task<absl::StatusOr<std::vector<StoredMessage>>> StoreAll(std::vector<NewMessage> messages);

  // Stores `message` and expunges the message `old_uid` of `old_mailbox`, both or neither, in a
  // transaction of its own. What it takes with it makes room. The same failures, and kNotFound:
  // there is no such message.
  Task<absl::StatusOr<StoredMessage>> Replace(NewMessage message, MailboxId old_mailbox,
                                              Uid old_uid);

 private:
  using Group = postgres::WriteGroup<NewMessage, StoredMessage>;

  postgres::Database& database_;
  ChangeHints& hints_;
  Group group_;
};

}  // namespace posthorn::mailbox

#endif  // POSTHORN_SERVICES_MAILBOX_DELIVERY_STORE_H_
