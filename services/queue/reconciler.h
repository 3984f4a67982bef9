#ifndef POSTHORN_SERVICES_QUEUE_RECONCILER_H_
#define POSTHORN_SERVICES_QUEUE_RECONCILER_H_

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lib/base/clock.h"
#include "lib/base/task.h"
#include "services/queue/background.h"
#include "services/queue/schedule.h"
#include "services/queue/spool.h"

namespace posthorn::queue {

// Keeps the schedule equal to the spool: adds what PostgreSQL says is due, or will be soon, and
// Redis doesn't know. What Redis knows and PostgreSQL lacks falls out when it is taken. A shard
// that Redis has lost is rebuilt by the same walk from its beginning; what workers hold is due
// there only when its lease ends, since PostgreSQL knows the leases. One replica a shard at a time.
// All methods belong to the background's executor.
class Reconciler {
 public:
  struct Options {
    absl::Duration every = absl::Seconds(10);
    std::string replica;  // unique
    int page = 1000;
    // Pages of a pass that finds nothing: the next one goes on from there.
    int quiet_pages = 5;
  };
  Reconciler(Background& background, Schedule& schedule, Spool& spool, const Clock& clock,
             Options options);

  // Runs passes until the background stops.
  Task<void> RunForever();
  // The next pass comes soon.
  void Poke();

  struct Pass {
    int added = 0;    // jobs that Redis didn't know
    int rebuilt = 0;  // shards
  };
  Task<absl::StatusOr<Pass>> RunOnce();

 private:
  // Walks due jobs of `shards` after `from`, until the end or, with `may_pause`, a quiet stretch.
  // Returns where to go on, nullopt at the end.
  Task<absl::StatusOr<std::optional<Spool::DueJob>>> Walk(std::vector<int> shards,
                                                          std::optional<Spool::DueJob> from,
                                                          bool may_pause, Pass& pass);

  Background& background_;
  Schedule& schedule_;
  Spool& spool_;
  const Clock& clock_;
  const Options options_;
  std::optional<Spool::DueJob> resume_;
  bool poked_ = false;
  std::shared_ptr<Background::Alarm> alarm_;
};

}  // namespace posthorn::queue

#endif  // POSTHORN_SERVICES_QUEUE_RECONCILER_H_
