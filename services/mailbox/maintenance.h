#ifndef POSTHORN_SERVICES_MAILBOX_MAINTENANCE_H_
#define POSTHORN_SERVICES_MAILBOX_MAINTENANCE_H_

#include <atomic>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lib/base/task.h"
#include "lib/postgres/body_store.h"
#include "services/mailbox/deleted_store.h"
#include "services/mailbox/quota_warnings.h"

namespace posthorn::mailbox {

// Background work of the mailbox store, safe to run on any number of replicas at a time: removes
// bodies that nothing has referred to for an hour, delivery ids older than the queue may retry,
// expunged UIDs older than a week and deleted messages older than they are kept; sends the warnings
// of quota.
class Maintenance {
 public:
  // The queue's default expiry and a day.
  static constexpr absl::Duration kDeliveryAge = absl::Hours(24 * 6);
  static constexpr absl::Duration kExpungedAge = absl::Hours(24 * 7);
  static constexpr absl::Duration kBodyGrace = absl::Hours(1);

  // `keep_deleted`: how long deleted messages are kept.
  Maintenance(postgres::BodyStore& bodies, DeletedStore& deleted, QuotaWarnings& warnings,
              absl::Duration keep_deleted)
      : bodies_(bodies), deleted_(deleted), warnings_(warnings), keep_deleted_(keep_deleted) {}

  // One round. Returns how many rows went.
  Task<absl::StatusOr<std::int64_t>> RunOnce(absl::Duration body_grace,
                                             absl::Duration delivery_age,
                                             absl::Duration expunged_age);
  // Until Stop, on the current executor: a round every minute, and warnings every few seconds. The
  // object outlives the task.
  Task<void> Run();
  void Stop() { stopping_ = true; }

 private:
  Task<absl::StatusOr<std::int64_t>> Prune(std::string sql, absl::Duration age);

  postgres::BodyStore& bodies_;
  DeletedStore& deleted_;
  QuotaWarnings& warnings_;
  const absl::Duration keep_deleted_;
  std::atomic<bool> stopping_{false};
};

}  // namespace posthorn::mailbox

#endif  // POSTHORN_SERVICES_MAILBOX_MAINTENANCE_H_
