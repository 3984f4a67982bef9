#include "services/delivery/worker.h"

#include <algorithm>
#include <utility>

#include "lib/base/failure.h"
#include "lib/telemetry/log.h"
#include "services/delivery/delivery_metrics.h"

namespace posthorn::delivery {
namespace {

constexpr absl::Duration kFirstBackoff = absl::Milliseconds(100);
constexpr absl::Duration kLastBackoff = absl::Seconds(5);
constexpr std::size_t kReportsPerCall = 200;
// Calls at once: while PostgreSQL commits one, another is on its way.
constexpr int kReportCalls = 2;
// Jobs held, run or not, for each that may run: bounds what an outage of the queue leaves unreported.
constexpr int kHeldForEachPlace = 4;

}  // namespace

Worker::Worker(WorkerOptions options, Executor& executor, QueuePort& queue, JobRunner& runner,
               const Clock& clock)
    : options_(std::move(options)),
      executor_(executor),
      queue_(queue),
      runner_(runner),
      clock_(clock),
      self_(std::make_shared<Worker*>(this)) {}

Worker::~Worker() { *self_ = nullptr; }

void Worker::Start() {
  ++tasks_;
  Spawn(executor_, LeaseLoop());
}

void Worker::Drain() {
  draining_ = true;
  WakeLeaser();
}

void Worker::WakeLeaser() {
  OneShot<bool>* waiting = std::exchange(leaser_waits_, nullptr);
  if (waiting != nullptr) waiting->Set(true);
}

int Worker::FreePlaces() const {
  const int held = static_cast<int>(held_.size());
  return std::min(options_.concurrency - running_, kHeldForEachPlace * options_.concurrency - held);
}

Task<void> Worker::LeaseLoop() {
  absl::Duration backoff = kFirstBackoff;
  while (!draining_) {
    // Leases come in batches: a call for each job that ends would cost more than the job.
    const int free = FreePlaces();
    if (free < std::max(1, options_.concurrency / 4)) {
      OneShot<bool> place_free;
      leaser_waits_ = &place_free;
      co_await place_free;
      continue;
    }
    // Counted from before the call, since the queue may have granted the lease at any moment of it.
    const absl::Time asked = clock_.Now();
    const absl::Duration wait = std::min(options_.max_wait, lease_ / 8);
    absl::StatusOr<LeasedJobs> leased = co_await queue_.Lease(options_.id, free, wait);
    if (!leased.ok()) {
      log::Debug("delivery", "lease failed", {{"error", leased.status()}});
      co_await SleepFor(backoff);
      backoff = std::min(backoff * 2, kLastBackoff);
      continue;
    }
    backoff = kFirstBackoff;
    lease_ = leased->lease;
    // A queue that is about to stop answers at once; it must not be asked in a tight loop.
    if (leased->jobs.empty() && clock_.Now() - asked < wait / 2) co_await SleepFor(kFirstBackoff);
    for (Job& job : leased->jobs) {
      const JobId id = job.key.job;
      // An attempt of ours that the queue has given up: the new one waits until it has ended.
      if (held_.contains(id)) continue;
      auto held = std::make_shared<Held>(std::move(job), asked, lease_, clock_);
      held_[id] = held;
      ++running_;
      ++tasks_;
      Metrics().jobs.Increment();
      Spawn(executor_, RunJob(std::move(held)));
    }
    ScheduleHeartbeat();
  }
  --tasks_;
}

Task<void> Worker::RunJob(std::shared_ptr<Held> held) {
  JobReport report = co_await runner_.Run(held->job, *held);
  --running_;
  finished_.push_back(std::move(report));
  if (report_loops_ < kReportCalls) {
    ++report_loops_;
    ++tasks_;
    Spawn(executor_, ReportLoop());
  }
  WakeLeaser();
  --tasks_;
}

// While calls are under way the next batch gathers.
Task<void> Worker::ReportLoop() {
  while (!finished_.empty()) {
    std::vector<JobReport> batch;
    if (finished_.size() <= kReportsPerCall) {
      batch.swap(finished_);
    } else {
      const auto middle = finished_.begin() + kReportsPerCall;
      batch.assign(std::make_move_iterator(finished_.begin()), std::make_move_iterator(middle));
      finished_.erase(finished_.begin(), middle);
    }
    co_await Report(std::move(batch));
  }
  --report_loops_;
  --tasks_;
}

Task<void> Worker::Report(std::vector<JobReport> batch) {
  absl::Duration backoff = kFirstBackoff;
  for (;;) {
    const absl::Status reported = co_await queue_.Report(options_.id, batch);
    if (reported.ok()) {
      Finished(batch);
      co_return;
    }
    Metrics().report_retries.Increment();
    if (IsPermanent(reported)) {
      if (batch.size() > 1) {
        // One of them is refused: each by itself, so that the others are recorded.
        for (JobReport& single : batch) {
          std::vector<JobReport> one;
          one.push_back(std::move(single));
          co_await Report(std::move(one));
        }
        co_return;
      }
      // Its lease ends, and the job is tried again.
      log::Error("delivery", "the queue refuses a report",
                 {{"job", batch.front().key.job.value()}, {"error", reported}});
      Finished(batch);
      co_return;
    }
    log::Warn("delivery", "report failed, will be repeated",
              {{"jobs", batch.size()}, {"error", reported}});
    co_await SleepFor(backoff);
    backoff = std::min(backoff * 2, kLastBackoff);
  }
}

void Worker::Finished(const std::vector<JobReport>& batch) {
  for (const JobReport& report : batch) {
    held_.erase(report.key.job);
    Metrics().jobs.Decrement();
  }
  WakeLeaser();
}

// A third of the lease: one call may fail and the lease is still confirmed in time.
void Worker::ScheduleHeartbeat() {
  if (held_.empty() || heartbeat_scheduled_) return;
  heartbeat_scheduled_ = true;
  executor_.PostAfter(lease_ / 3, [self = self_] {
    Worker* const worker = *self;
    if (worker == nullptr) return;
    ++worker->tasks_;
    Spawn(worker->executor_, worker->Heartbeat());
  });
}

Task<void> Worker::Heartbeat() {
  std::vector<LeaseKey> keys;
  for (const auto& [id, held] : held_) {
    if (!held->lost) keys.push_back(held->job.key);
  }
  if (!keys.empty()) {
    const absl::Time asked = clock_.Now();
    const absl::StatusOr<std::vector<JobId>> lost = co_await queue_.Heartbeat(options_.id, keys);
    if (lost.ok()) {
      Confirm(keys, asked, *lost);
    } else {
      log::Warn("delivery", "heartbeat failed", {{"error", lost.status()}});
    }
  }
  heartbeat_scheduled_ = false;
  ScheduleHeartbeat();
  --tasks_;
}

void Worker::Confirm(const std::vector<LeaseKey>& keys, absl::Time asked,
                     const std::vector<JobId>& lost) {
  for (const JobId id : lost) {
    const auto it = held_.find(id);
    if (it == held_.end() || it->second->lost) continue;
    it->second->lost = true;
    Metrics().leases_lost.Increment();
    log::Warn("delivery", "lease lost", {{"id", it->second->job.message_id.ToString()}});
  }
  for (const LeaseKey& key : keys) {
    const auto it = held_.find(key.job);
    if (it != held_.end() && it->second->job.key.attempt == key.attempt) {
      it->second->confirmed = std::max(it->second->confirmed, asked);
    }
  }
}

}  // namespace posthorn::delivery
