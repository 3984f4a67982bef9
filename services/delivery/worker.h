#ifndef POSTHORN_SERVICES_DELIVERY_WORKER_H_
#define POSTHORN_SERVICES_DELIVERY_WORKER_H_

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "lib/base/clock.h"
#include "lib/base/one_shot.h"
#include "lib/base/task.h"
#include "services/delivery/job_runner.h"
#include "services/delivery/ports.h"

namespace posthorn::delivery {

struct WorkerOptions {
  std::string id;        // unique over all workers of the platform
  int concurrency = 64;  // jobs under way
  absl::Duration max_wait = absl::Seconds(2);  // of a lease call, for the first job
};

// Leases jobs, runs them, keeps their leases alive and reports what became of them. The lease of a job
// is renewed until its report is committed, so that what was delivered gets recorded through an outage
// of the queue; its place is free as soon as it has run, as long as not too many wait to be reported. Belongs to one executor, which with
// `queue`, `runner` and `clock` outlives it; destroyed only when idle() or with the executor
// stopped.
class Worker {
 public:
  Worker(WorkerOptions options, Executor& executor, QueuePort& queue, JobRunner& runner,
         const Clock& clock);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // The rest is called on the executor.
  void Start();
  void Drain();  // leases nothing more
  // Drained, and nothing under way.
  bool idle() const { return draining_ && tasks_ == 0; }

 private:
  class Held final : public LeaseView {
   public:
    Held(Job job_in, absl::Time confirmed_in, absl::Duration length, const Clock& clock)
        : job(std::move(job_in)), confirmed(confirmed_in), length_(length), clock_(clock) {}
    bool MaySendFinalDot() const override {
      return !lost && clock_.Now() - confirmed < length_ / 2;
    }
    bool Lost() const override { return lost; }

    const Job job;
    absl::Time confirmed;
    bool lost = false;

   private:
    const absl::Duration length_;
    const Clock& clock_;
  };

  Task<void> LeaseLoop();
  Task<void> Heartbeat();
  Task<void> ReportLoop();
  Task<void> RunJob(std::shared_ptr<Held> held);
  Task<void> Report(std::vector<JobReport> batch);
  void Finished(const std::vector<JobReport>& batch);
  int FreePlaces() const;
  void WakeLeaser();
  void ScheduleHeartbeat();
  void Confirm(const std::vector<LeaseKey>& keys, absl::Time asked,
               const std::vector<JobId>& lost);

  const WorkerOptions options_;
  Executor& executor_;
  QueuePort& queue_;
  JobRunner& runner_;
  const Clock& clock_;

  absl::flat_hash_map<JobId, std::shared_ptr<Held>> held_;
  int running_ = 0;    // jobs; held_ has those too that wait to be reported
  int tasks_ = 0;      // coroutines that refer to this
  std::vector<JobReport> finished_;
  int report_loops_ = 0;
  bool heartbeat_scheduled_ = false;
  bool draining_ = false;
  // Short until the queue has told its own, so that the first jobs are not held too long.
  absl::Duration lease_ = absl::Seconds(2);
  OneShot<bool>* leaser_waits_ = nullptr;
  std::shared_ptr<Worker*> self_;  // cleared when destroyed, for timers
};

}  // namespace posthorn::delivery

#endif  // POSTHORN_SERVICES_DELIVERY_WORKER_H_
