#ifndef POSTHORN_SERVICES_MAILBOX_MAIL_TRANSFER_H_
#define POSTHORN_SERVICES_MAILBOX_MAIL_TRANSFER_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lib/base/task.h"
#include "lib/postgres/body_store.h"
#include "services/mailbox/delivery_store.h"
#include "services/mailbox/mailbox_store.h"
#include "services/mailbox/types.h"

namespace posthorn::mailbox {

struct ExportedMessage {
  Uid uid = 0;
  std::uint32_t flags = 0;
  std::vector<std::string> keywords;
  absl::Time received_at;
  std::uint64_t size = 0;
  std::string data;       // all of BODY[] if `complete`
  bool complete = false;  // otherwise: Read
};

// A message on its way in. `key` names it in its source.
struct ImportedMessage {
  std::string key;  // kImportKeyOctets
  std::string mailbox;
  std::uint32_t flags = 0;
  std::vector<std::string> keywords;
  absl::Time received_at;
  std::string data;           // at most postgres::kInlineOctets
  std::string stored_sha256;  // instead of `data`: a body that BodyWriter has stored
};
inline constexpr std::size_t kImportKeyOctets = 16;

struct ImportCounts {
  std::int64_t stored = 0;
  std::int64_t known = 0;  // were imported before
};

// Moves the mail of accounts out and in, a bounded piece a call. What was imported is remembered
// for as long as the account lives. Thread-safe.
class MailTransfer {
 public:
  static constexpr std::size_t kMaxKeys = 1000;
  static constexpr std::size_t kReadOctets = 1024 * 1024;

  MailTransfer(postgres::Database& database, postgres::BodyStore& bodies, MailboxStore& mailboxes,
               DeliveryStore& deliveries)
      : database_(database), bodies_(bodies), mailboxes_(mailboxes), deliveries_(deliveries) {}

  Task<absl::StatusOr<std::vector<MailboxInfo>>> List(Account account);
  // Made with its parents if it is not there.
  Task<absl::StatusOr<MailboxInfo>> Ensure(Account account, std::string name, bool subscribe);

  // Messages with UIDs above `after`, ascending, as many as fit into about 2 MiB; empty: no more.
  // kNotFound: no such mailbox.
  Task<absl::StatusOr<std::vector<ExportedMessage>>> Export(Account account, MailboxId mailbox,
                                                            Uid after);
  // Up to kReadOctets of BODY[]; fewer: that is the end. kNotFound.
  Task<absl::StatusOr<std::string>> Read(Account account, MailboxId mailbox, Uid uid,
                                         std::uint64_t offset);

  // Which keys are known; at most kMaxKeys.
  Task<absl::StatusOr<std::vector<bool>>> Find(Account account,
                                               const std::vector<std::string>& keys);
  // Stores those whose keys are not known, with UIDs in this order. On an error some may be stored:
  // the same call again goes on from there. kOverQuota, kNoSuchMailbox, kUnavailable (a stored body
  // was collected).
  Task<absl::StatusOr<ImportCounts>> Import(Account account, std::vector<ImportedMessage> messages);
  // Makes keys known; kInvalidArgument as for Find.
  Task<absl::Status> Remember(Account account, std::vector<std::string> keys);

 private:
  Task<absl::StatusOr<std::vector<NewMessage>>> Prepare(Account account,
                                                        std::vector<ImportedMessage> messages);
  static absl::Status CheckKeys(const std::vector<std::string>& keys);

  postgres::Database& database_;
  postgres::BodyStore& bodies_;
  MailboxStore& mailboxes_;
  DeliveryStore& deliveries_;
};

}  // namespace posthorn::mailbox

#endif  // POSTHORN_SERVICES_MAILBOX_MAIL_TRANSFER_H_
