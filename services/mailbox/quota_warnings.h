#ifndef POSTHORN_SERVICES_MAILBOX_QUOTA_WARNINGS_H_
#define POSTHORN_SERVICES_MAILBOX_QUOTA_WARNINGS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "lib/base/clock.h"
#include "lib/base/task.h"
#include "lib/postgres/database.h"
#include "services/mailbox/delivery_store.h"
#include "services/mailbox/types.h"

namespace posthorn::mailbox {

// Tells accounts by mail that they come close to their quota: once each time they reach one of the
// percentages, whichever replica notices and whatever is killed in between. A warning that does not
// fit into the mailbox any more is dropped. Thread-safe.
class QuotaWarnings {
 public:
  // `percents` between 50 (below that use is not noted, migration 0051) and 100; none: no warnings.
  QuotaWarnings(postgres::Database& database, DeliveryStore& deliveries, const Clock& clock,
                std::vector<int> percents);

  // Looks at up to `limit` accounts whose use has changed. Answers how many were warned.
  Task<absl::StatusOr<int>> RunOnce(int limit);

 private:
  struct Use {
    std::int64_t quota_bytes = 0;
    std::int64_t used_bytes = 0;
    std::int64_t quota_messages = 0;
    std::int64_t messages = 0;
    int warned_percent = 0;
    std::int64_t generation = 0;
    std::string address;
  };
  // The highest of the percentages that is reached, or 0.
  int LevelOf(const Use& use) const;
  Task<absl::StatusOr<bool>> Look(Account account);
  Task<absl::Status> Warn(Account account, const Use& use, int level);

  postgres::Database& database_;
  DeliveryStore& deliveries_;
  const Clock& clock_;
  const std::vector<int> percents_;
};

}  // namespace posthorn::mailbox

#endif  // POSTHORN_SERVICES_MAILBOX_QUOTA_WARNINGS_H_
