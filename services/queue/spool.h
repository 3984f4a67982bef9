#ifndef POSTHORN_SERVICES_QUEUE_SPOOL_H_
#define POSTHORN_SERVICES_QUEUE_SPOOL_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lib/base/clock.h"
#include "lib/base/task.h"
#include "lib/postgres/database.h"
#include "services/queue/retry_policy.h"
#include "services/queue/types.h"

namespace posthorn::queue {

// The queue's truth: schema queue in PostgreSQL. Every change is committed when its task ends.
// Knows nothing of the schedule. Thread-safe; destroy it only when nobody awaits a call.
//
// All calls: kStorageDown while PostgreSQL is away.
class Spool {
 public:
  struct Options {
    postgres::ConnectionOptions connection;
    int group_connections = 2;
    RetryPolicies policy;
    absl::Duration keys_live = absl::Hours(24);
    absl::Duration lease = absl::Seconds(60);  // of what an Enqueue leases
    // How far ahead a message may be held (RFC 4865).
    absl::Duration max_hold = absl::Hours(24 * 30);
  };
  // What the service's connections need besides url and timeouts: the role, and settings that keep
  // plans on the indexes (statistics of tables that empty and fill by the second mislead).
  static postgres::ConnectionOptions ConnectTo(std::string url);

  // `database` and `clock` must outlive the spool.
  Spool(postgres::Database& database, const Clock& clock, Options options);
  ~Spool();

  // Whether a worker waits for that many jobs: then they are leased as they are stored, which saves
  // the way over the schedule. Called once a message; thread-safe.
  using Claim = std::function<bool(int jobs)>;

  struct EnqueueResult {
    Accepted accepted;
    std::vector<JobRef> jobs;  // to be scheduled for due_at
    absl::Time due_at;
    int priority = 0;
    std::vector<LeasedJob> claimed;  // their first attempt has begun
  };
  // One result a message, all committed together. An error of one message: kBadAddress (a
  // recipient without domain), kNotFound (no such stored body), kBadParameter (held too long),
  // kInvalidArgument.
  Task<absl::StatusOr<std::vector<absl::StatusOr<EnqueueResult>>>> Enqueue(
      std::vector<Message> messages, Claim claim);

  struct LeaseResult {
    std::vector<LeasedJob> jobs;
    std::vector<JobRef> gone;                            // PostgreSQL has them no more
    std::vector<std::pair<JobRef, absl::Time>> not_due;  // leased or due only then
  };
  // Starts an attempt of those of `jobs` that are due.
  Task<absl::StatusOr<LeaseResult>> Lease(std::string worker, std::vector<JobRef> jobs,
                                          absl::Time lease_end);
  // What decides whether a due job may wait on without being leased.
  struct Candidate {
    JobRef ref;
    std::string destination;
    std::string reverse_path;
    int priority = 0;
    absl::Time look_at;  // an attempt is wanted then at the latest: it expires, its sender is warned
  };
  // Those of `jobs` that are due and that nobody wants anything special of; in no order.
  Task<absl::StatusOr<std::vector<Candidate>>> Candidates(std::vector<JobRef> jobs);
  // Lets due jobs wait until then, without an attempt. Those that do; the others have changed.
  Task<absl::StatusOr<std::vector<JobRef>>> PutOff(
      std::vector<std::pair<JobRef, absl::Time>> jobs);
  // Whether each lease is still held under its attempt; then it lasts until `lease_end`.
  Task<absl::StatusOr<std::vector<bool>>> Heartbeat(std::vector<LeaseKey> leases,
                                                    absl::Time lease_end);

  struct ReportResult {
    JobOutcome outcome;
    absl::Time due_at;  // kWaits
    int priority = 0;   // of the job
    // The jobs of the DSNs that were enqueued, with their priorities.
    std::vector<std::pair<JobRef, int>> notifications;
  };
  // One result a report. Reports of one job in one call are not allowed.
  Task<absl::StatusOr<std::vector<ReportResult>>> Report(std::vector<JobReport> reports);

  // By message id, after `after`.
  Task<absl::StatusOr<std::vector<QueuedMessage>>> List(Filter filter, int limit,
                                                        std::optional<MessageId> after);
  // Makes waiting jobs due now.
  Task<absl::StatusOr<std::vector<JobRef>>> Retry(Filter filter);
  struct CancelResult {
    std::vector<JobRef> jobs;  // gone
    int recipients = 0;
  };
  Task<absl::StatusOr<CancelResult>> Cancel(Filter filter);
  // Keeps jobs from being tried; makes those that are held due now.
  Task<absl::StatusOr<std::vector<JobRef>>> Hold(Filter filter);
  Task<absl::StatusOr<std::vector<JobRef>>> Release(Filter filter);
  // Both make jobs due now (Reroute: unless held). The next attempt returns them for `reason`;
  // attempts go to `hosts` ("host,host:port"; empty: no more).
  Task<absl::StatusOr<std::vector<JobRef>>> Bounce(Filter filter, std::string reason);
  Task<absl::StatusOr<std::vector<JobRef>>> Reroute(Filter filter, std::string hosts);
  // The destinations with the most jobs, of one tenant or (none) of all.
  Task<absl::StatusOr<std::vector<DestinationSummary>>> Summarize(TenantId tenant, int limit);

  // The last events, up to 1,000, of one tenant's message or (none) of whose it is.
  Task<absl::StatusOr<History>> HistoryOf(TenantId tenant, MessageId message);
  // Makes room for the events of the next days, and drops those older than `days`.
  Task<absl::Status> KeepEvents(int days);

  struct Usage {
    TenantId tenant;
    std::int64_t messages = 0;
    std::int64_t octets = 0;
  };
  Task<absl::StatusOr<std::vector<Usage>>> CountByTenant();

  struct DueJob {
    JobRef ref;
    absl::Time due_at;
    absl::Time next_at;  // later than due_at while leased
    int priority = 0;
  };
  // Jobs of these shards with due_at up to `horizon`, by (due_at, tenant, job), after `after`.
  Task<absl::StatusOr<std::vector<DueJob>>> Due(std::vector<int> shards, int shard_count,
                                                absl::Time horizon, std::optional<DueJob> after,
                                                int limit);

  struct Totals {
    std::int64_t messages = 0;
    std::int64_t jobs = 0;
    std::int64_t leased = 0;
    std::int64_t deferred = 0;
    std::optional<absl::Time> oldest;
  };
  Task<absl::StatusOr<Totals>> CountAll();
  // Removes keys of accepted messages that have expired.
  Task<absl::Status> ExpireKeys();
  // All tenants that have messages here.
  Task<absl::StatusOr<std::vector<TenantId>>> Tenants();

 private:
  class Groups;
  Task<absl::StatusOr<std::vector<TenantId>>> TenantsOf(const Filter& filter);
  // Runs `sql`, which answers jobs, on all messages that match, page by page. Its parameters are the
  // time (if `timed`), the arrays that name the messages, the destination, and `extra` if there.
  Task<absl::StatusOr<std::vector<JobRef>>> Change(Filter filter, const char* sql, bool timed,
                                                   std::optional<std::string> extra);

  postgres::Database& database_;
  const Clock& clock_;
  const Options options_;
  std::unique_ptr<Groups> groups_;
};

}  // namespace posthorn::queue

#endif  // POSTHORN_SERVICES_QUEUE_SPOOL_H_
