#ifndef POSTHORN_SERVICES_QUEUE_SCHEDULE_H_
#define POSTHORN_SERVICES_QUEUE_SCHEDULE_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lib/base/task.h"
#include "lib/redis/client.h"
#include "services/queue/types.h"

namespace posthorn::queue {

// When which job is due, in Redis: never the truth, only what makes finding due jobs cheap. Every
// answer is checked against the spool, so a lost or outdated entry costs time and nothing else.
//
// A shard is a hash of the destination, so a shard's jobs share destinations and its keys one tag:
//   {q<N>}:t:<tenant>  zset  job id -> due, milliseconds since the epoch
//   {q<N>}:t:<tenant>:<priority>  the same for jobs with a priority other than 0
//   {q<N>}:p:<tenant>  zset  priorities other than 0 of waiting jobs, highest first
//   {q<N>}:prio        hash  "<tenant>:<job>" -> its priority, if it is not 0
//   {q<N>}:tenants     zset  tenant -> its earliest due, or its last turn if that was later
//   {q<N>}:turns       hash  tenant with waiting jobs -> its last turn
//   {q<N>}:had         hash  tenant with a weight -> jobs it has had in this turn
//   {q<N>}:count       string, of pops
//   {q<N>}:lease       zset  "<tenant>:<job>" -> end of the lease
//   {q<N>}:epoch       string, present as long as the shard was not lost
//   {q<N>}:reconciler  string, the replica that reconciles the shard
// Tenants with due jobs share what is taken from a shard by their weights, and take turns where it is
// less than they are; a tenant's due jobs go by priority first (RFC 6710), then by time. What is fair
// over all shards is TenantTurns' to say.
//
// Methods may be awaited on any executor. Errors are those of redis::Client.
class Schedule {
 public:
  // Published when jobs have become due; the message is the shard.
  static constexpr char kDueChannel[] = "posthorn:queue:due";

  // Those of tenants whose weight is not 1: at least 2.
  using Weights = std::vector<std::pair<TenantId, int>>;
  Schedule(redis::Client& client, int shards, Weights weights)
      : client_(client), shards_(shards), weights_(std::move(weights)) {}

  int shards() const { return shards_; }
  const Weights& weights() const { return weights_; }
  int ShardOf(const JobRef& job) const { return job.hash % shards_; }

  struct Change {
    enum class Kind : char {
      kDue = 'S',        // waits until `at`, whatever was known
      kDueOrSooner = 'A',  // waits until `at` unless leased or waiting for something sooner
      kLeased = 'H',     // leased until `at`
      kGone = 'D',
    };
    Change(Kind kind_in, JobRef job_in, absl::Time at_in = absl::UnixEpoch(), int priority_in = 0)
        : kind(kind_in), job(job_in), at(at_in), priority(priority_in) {}
    Kind kind;
    JobRef job;
    absl::Time at;
    int priority;  // -9 to 9; 0: what is known of the job, or none
  };
  // Applies the changes of any shards, one script call a shard, all sent together. Returns how many
  // jobs were news to Redis. An error says that some may not have been applied.
  Task<absl::StatusOr<int>> Apply(std::vector<Change> changes, absl::Time now);

  // Up to `max` jobs of one tenant; without one, of all that wait in the shard.
  struct Share {
    int shard = 0;
    TenantId tenant;
    int max = 0;
  };
  struct Popped {
    std::vector<JobRef> jobs;  // `hash` is that of the shard, not of the destination
    int expired = 0;           // leases that had ended unreported
  };
  // Takes due jobs and marks them leased until `lease_end`: an answer for each share, all asked for
  // together.
  Task<std::vector<absl::StatusOr<Popped>>> Pop(std::vector<Share> shares, absl::Time now,
                                                absl::Time lease_end);

  struct DueTenants {
    int shard = 0;
    std::vector<TenantId> tenants;  // the 64 whose turn was longest ago
    int expired = 0;                // leases that had ended unreported; their jobs are due again
  };
  // Who has due jobs in these shards. Shards that do not answer are left out.
  Task<std::vector<DueTenants>> WhoIsDue(std::vector<int> shards, absl::Time now);

  struct ShardState {
    bool known = false;     // the epoch is there: Redis has not lost the shard
    bool due = false;       // something can be popped
    bool answered = false;  // in a cluster a shard may be away alone; then the others say nothing
  };
  // Of all shards. An error if none answers.
  Task<absl::StatusOr<std::vector<ShardState>>> Look(absl::Time now);

  // Declares the shard complete again.
  Task<absl::Status> SetEpoch(int shard, std::string epoch);
  // True if `replica` is the one to reconcile the shard for the next `ttl`.
  Task<absl::StatusOr<bool>> HoldReconciler(int shard, std::string replica, absl::Duration ttl);

 private:
  redis::Client& client_;
  const int shards_;
  const Weights weights_;
};

// Applies changes whose loss the reconciler repairs: errors are only counted.
Task<void> ApplyQuietly(Schedule& schedule, std::vector<Schedule::Change> changes, absl::Time now);

}  // namespace posthorn::queue

#endif  // POSTHORN_SERVICES_QUEUE_SCHEDULE_H_
