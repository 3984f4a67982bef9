#ifndef POSTHORN_SERVICES_QUEUE_DISPATCHER_H_
#define POSTHORN_SERVICES_QUEUE_DISPATCHER_H_

#include <atomic>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lib/base/clock.h"
#include "lib/base/task.h"
#include "services/queue/background.h"
#include "services/queue/schedule.h"
#include "services/queue/spool.h"
#include "services/queue/tenant_turns.h"

namespace posthorn::queue {

// Hands due jobs to workers: takes them from the schedule, starts their attempts in the spool, and
// lets workers wait until something is due. All methods belong to the background's executor.
class Dispatcher {
 public:
  struct Options {
    absl::Duration lease = absl::Seconds(60);
    int max_jobs = 200;  // in one answer, each with up to 64 KiB of body
    // How often waiting workers make it look at the schedule: what other replicas or the time have
    // made due. Normally a hint comes first.
    absl::Duration look_every = absl::Milliseconds(200);
    // How long it goes by what it knows of who waits in which shard. Real time.
    absl::Duration share_for = absl::Milliseconds(50);
  };
  // Lets those of the jobs, which are marked leased in the schedule, wait whose destinations stand
  // still, and tells the schedule; answers the others.
  using PutOff = std::function<Task<std::vector<JobRef>>(std::vector<JobRef>)>;
  // `on_lost` is called when Redis turns out to have lost a shard.
  Dispatcher(Background& background, Schedule& schedule, Spool& spool, const Clock& clock,
             Options options, std::function<void()> on_lost, PutOff put_off);

  // Up to `max` jobs, grouped by destination, waiting up to `wait` for the first. Empty: none came.
  // `is_gone` says that the worker's call has ended, so that nothing is leased to nobody. Places that
  // an answer leaves free can be claimed until the worker's next call, for a moment.
  Task<absl::StatusOr<std::vector<LeasedJob>>> Lease(std::string worker, int max,
                                                     absl::Duration wait,
                                                     std::function<bool()> is_gone);

  // There is something due in `shard`.
  void MarkDue(int shard);

  // Takes `jobs` places of workers that wait or are about to ask again; false if there are not so many, or if more jobs are due
  // than workers take: then the schedule decides, which is fair. Thread-safe.
  bool Claim(int jobs);
  // Jobs that Spool::Enqueue leased for claimed places, for the workers that wait.
  void HandOver(std::vector<LeasedJob> jobs);
  // Gives claimed places back, used or not. Thread-safe.
  void Unclaim(int jobs) { places_.fetch_add(jobs, std::memory_order_relaxed); }

  // Ends all waiting; from now on every lease is empty.
  void Drain();

 private:
  struct Call {
    bool expired = false;
    std::shared_ptr<Background::Alarm> alarm;
  };

  // Places that a worker's last answer left free.
  struct Credit {
    int places = 0;
  };

  struct Handed {
    LeasedJob job;
    absl::Time at;
  };

  Task<absl::StatusOr<std::vector<LeasedJob>>> Wait(const std::string& worker, int max,
                                                    absl::Duration wait,
                                                    const std::function<bool()>& is_gone);
  void KeepCredit(std::string worker, int places);
  void EndCredit(const std::string& worker);
  // Of what was handed over; what has waited too long goes back to the schedule.
  std::vector<LeasedJob> TakeHanded(int max);
  Task<void> ExpireHanded();
  Task<absl::StatusOr<std::vector<LeasedJob>>> TakeDue(std::string worker, int max);
  // Pops up to `max` jobs: by shares while several tenants wait in several shards, else by shard.
  Task<std::vector<JobRef>> PopDue(int max, absl::Time now, absl::Time lease_end);
  Task<void> PopShares(int max, absl::Time now, absl::Time lease_end, std::vector<JobRef>& taken);
  Task<void> LookAround();
  // Ends the attempts at once: the jobs are due again.
  Task<void> GiveBack(std::vector<LeasedJob> jobs);
  void WakeOne();

  Background& background_;
  Schedule& schedule_;
  Spool& spool_;
  const Clock& clock_;
  const Options options_;
  const std::function<void()> on_lost_;
  const PutOff put_off_;

  // Places of waiting workers, and credits, that are not claimed; may be below zero for a moment.
  std::atomic<int> places_{0};
  std::atomic<bool> backlog_{false};  // more is due than the last call could take
  absl::flat_hash_map<std::string, std::shared_ptr<Credit>> credits_;  // by worker
  std::deque<Handed> handed_;
  bool handed_last_ = false;  // the last call was served from handed_
  bool expiring_ = false;
  std::set<int> due_shards_;  // may have due jobs
  bool sweeping_ = false;     // most of what was taken last had to wait on
  int last_shard_ = -1;       // where the last take ended: shards take turns
  TenantTurns turns_;
  absl::Time shared_until_ = absl::InfinitePast();  // turns_ is to be updated then
  std::list<std::shared_ptr<Call>> waiting_;
  bool looking_ = false;
  bool draining_ = false;
};

}  // namespace posthorn::queue

#endif  // POSTHORN_SERVICES_QUEUE_DISPATCHER_H_
