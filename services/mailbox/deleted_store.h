#ifndef POSTHORN_SERVICES_MAILBOX_DELETED_STORE_H_
#define POSTHORN_SERVICES_MAILBOX_DELETED_STORE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lib/base/task.h"
#include "lib/postgres/database.h"
#include "services/mailbox/change_hints.h"
#include "services/mailbox/types.h"

namespace posthorn::mailbox {

// An expunged message that can still be had back.
struct DeletedMessage {
  std::int64_t id = 0;
  std::string mailbox;  // as it was called then
  Uid uid = 0;          // it had there
  absl::Time deleted_at;
  absl::Time received_at;
  std::uint64_t size = 0;
  std::string from;     // decoded; empty: none
  std::string subject;  // decoded; empty: none
};

// Which of them; all that is given holds.
struct DeletedFilter {
  std::string mailbox;  // empty: of all
  absl::Time since = absl::InfinitePast();
  absl::Time until = absl::InfiniteFuture();  // not itself
  std::int64_t after = 0;                     // the last id of the page before
  int limit = 1000;
};

// Keeps what sessions expunge, where their connection says so (ConnectionFor), until it is purged.
// Deleted messages count against no quota. Thread-safe.
class DeletedStore {
 public:
  static constexpr int kMaxPage = 1000;
  static constexpr std::size_t kMaxUndelete = 1000;

  DeletedStore(postgres::Database& database, ChangeHints& hints);

  // In the order of their ids, which is the order in which they went.
  Task<absl::StatusOr<std::vector<DeletedMessage>>> List(Account account, DeletedFilter filter);

  // Puts them back into `mailbox`, or where that is empty into the mailbox each was in, which is
  // made again where it is gone. All that are there, or none. New UIDs; flags (but \Deleted),
  // keywords and dates as they were. Answers how many. kOverQuota, kNotFound (no such account),
  // kMailboxNameInvalid.
  Task<absl::StatusOr<std::int64_t>> Undelete(Account account, std::vector<std::int64_t> ids,
                                              std::string mailbox);

  // Drops what was deleted longer ago than `age`, a batch a transaction, up to `limit` messages.
  // Safe on any number of replicas at a time. Answers how many.
  Task<absl::StatusOr<std::int64_t>> Purge(absl::Duration age, std::int64_t limit);

 private:
  postgres::Database& database_;
  ChangeHints& hints_;
};

}  // namespace posthorn::mailbox

#endif  // POSTHORN_SERVICES_MAILBOX_DELETED_STORE_H_
