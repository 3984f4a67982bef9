#ifndef POSTHORN_SERVICES_QUEUE_CORE_H_
#define POSTHORN_SERVICES_QUEUE_CORE_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "lib/base/clock.h"
#include "lib/net/event_loop.h"
#include "lib/postgres/body_store.h"
#include "lib/postgres/database.h"
#include "lib/redis/client.h"
#include "services/queue/background.h"
#include "services/queue/backlog.h"
#include "services/queue/dispatcher.h"
#include "services/queue/reconciler.h"
#include "services/queue/schedule.h"
#include "services/queue/spool.h"
#include "services/queue/tls_reports.h"
#include "services/queue/traffic.h"

namespace posthorn::queue {

// The queue without its wire: spool and schedule together, and what runs in the background. Every
// change is first committed in the spool, then told to the schedule without waiting for it. Calls
// may be awaited on any executor. Starts also while PostgreSQL or Redis are away.
class Core {
 public:
  struct Options {
    std::string postgres_url;
    int postgres_connections = 4;
    absl::Duration statement_timeout = absl::Seconds(30);
    redis::Options redis;
    int shards = 16;
    Schedule::Weights tenant_weights;
    RetryPolicies policy;
    absl::Duration max_hold = absl::Hours(24 * 30);
    BacklogLimits limits;
    absl::Duration count_every = absl::Seconds(2);  // for the limits; infinite: when asked to
    int keep_events_days = 7;
    Dispatcher::Options dispatcher;
    absl::Duration reconcile_every = absl::Seconds(10);
    absl::Duration housekeeping_every = absl::Seconds(60);
    Traffic::Options traffic;  // `chance` and `probe_schedule` are filled in
    absl::Duration load_pauses_every = absl::Seconds(2);
  };
  // `loop` (the schedule's) and `clock` must outlive the core.
  Core(net::EventLoop& loop, const Clock& clock, Options options);
  ~Core();  // as Stop

  Task<absl::StatusOr<std::vector<absl::StatusOr<Accepted>>>> Enqueue(
      std::vector<Message> messages);
  Task<absl::StatusOr<std::vector<LeasedJob>>> Lease(std::string worker, int max,
                                                     absl::Duration wait,
                                                     std::function<bool()> is_gone);
  // The jobs whose leases are lost.
  Task<absl::StatusOr<std::vector<JobId>>> Heartbeat(std::vector<LeaseKey> leases);
  // A report without retry_at (InfinitePast) waits by the schedule of retries.
  Task<absl::Status> Report(std::vector<JobReport> reports);

  Task<absl::StatusOr<std::vector<QueuedMessage>>> List(Filter filter, int limit,
                                                        std::optional<MessageId> after);
  Task<absl::StatusOr<History>> HistoryOf(TenantId tenant, MessageId message);
  Task<absl::StatusOr<int>> Retry(Filter filter);   // jobs
  Task<absl::StatusOr<int>> Cancel(Filter filter);  // recipients
  // All answer the number of jobs; see Spool.
  Task<absl::StatusOr<int>> Hold(Filter filter);
  Task<absl::StatusOr<int>> Release(Filter filter);
  Task<absl::StatusOr<int>> Bounce(Filter filter, std::string reason);
  Task<absl::StatusOr<int>> Reroute(Filter filter, std::string hosts);
  Task<absl::StatusOr<std::vector<DestinationSummary>>> Summarize(TenantId tenant, int limit);
  const Options& options() const { return options_; }

  Traffic& traffic() { return traffic_; }
  Pauses& pauses() { return pauses_; }
  TlsReports& tls_reports() { return tls_reports_; }
  // Ends a pause, forgets what answers have led to, and makes what waits for it due. kNotFound:
  // nothing is known of such a destination. The number of jobs.
  Task<absl::StatusOr<int>> Resume(std::string pattern);
  absl::Time now() const { return clock_.Now(); }

  postgres::BodyStore& bodies() { return bodies_; }
  postgres::Database& database() { return *database_; }
  const Clock& clock() const { return clock_; }
  absl::Duration lease() const { return options_.dispatcher.lease; }
  bool IsStorageUp() const { return database_->IsUp(); }

  // Ends waiting leases; new ones answer empty. Thread-safe.
  void Drain();
  // When no call is under way any more. Not on the loop's thread.
  void Stop();

  // For tests: one pass of the reconciler; and a wait until the schedule has been told everything.
  Task<absl::StatusOr<Reconciler::Pass>> ReconcileNow();
  Task<void> Settle();
  // One round for the log of events, one count for the limits.
  Task<absl::Status> KeepEvents() { return spool_.KeepEvents(options_.keep_events_days); }
  Task<absl::Status> CountBacklog();

 private:
  void Tell(std::vector<Schedule::Change> changes);
  void HandOver(std::vector<LeasedJob> jobs, int claimed);
  Task<std::vector<JobRef>> PutOffStanding(std::vector<JobRef> jobs);
  Task<void> TellAll();
  Task<void> KeepHouse();
  Task<absl::Status> CollectBodies();
  Task<void> CountOnce();
  Task<void> KeepCounting();
  Task<void> KeepLoadingPauses();
  Task<absl::StatusOr<int>> MakeDue(Task<absl::StatusOr<std::vector<JobRef>>> change);

  net::EventLoop& loop_;
  const Clock& clock_;
  const Options options_;
  std::unique_ptr<postgres::Database> database_;
  postgres::BodyStore bodies_;
  Spool spool_;
  Backlog backlog_;
  TlsReports tls_reports_;
  redis::Client redis_;
  Pauses pauses_;
  Traffic traffic_;
  Schedule schedule_;
  Background background_;
  Reconciler reconciler_;
  Dispatcher dispatcher_;
  std::unique_ptr<redis::Subscriber> hints_;

  std::vector<Schedule::Change> untold_;  // of the loop
  bool telling_ = false;                  // of the loop
};

}  // namespace posthorn::queue

#endif  // POSTHORN_SERVICES_QUEUE_CORE_H_
