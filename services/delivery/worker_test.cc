#include "services/delivery/worker.h"

#include <gtest/gtest.h>

#include "lib/base/manual_executor.h"
#include "services/delivery/testing/fakes.h"

namespace posthorn::delivery {
namespace {

// Runs until told to end, and shows the lease it was given.
class FakeRunner final : public JobRunner {
 public:
  explicit FakeRunner(bool hold_in) : hold(hold_in) {}
  Task<JobReport> Run(const Job& job, const LeaseView& lease) override {
    ++started;
    leases[job.key.job] = &lease;
    if (hold) {
      OneShot<bool>& wait = waits[job.key.job];
      co_await wait;
    }
    leases.erase(job.key.job);
    JobReport report;
    report.key = job.key;
    co_return report;
  }
  void End(int id) { waits[JobId(id)].Set(true); }

  const bool hold;
  int started = 0;
  std::map<JobId, OneShot<bool>> waits;
  std::map<JobId, const LeaseView*> leases;
};

class WorkerTest : public ::testing::Test {
 protected:
  static Job MakeJob(int id) {
    Job job;
    job.key.job = JobId(id);
    job.key.attempt = 1;
    return job;
  }
  static std::vector<Job> Batch(int first, int count) {
    std::vector<Job> jobs;
    for (int i = 0; i < count; ++i) jobs.push_back(MakeJob(first + i));
    return jobs;
  }
  void Start(JobRunner& runner) {
    worker_ = std::make_unique<Worker>(options_, executor_, queue_, runner, clock_);
    worker_->Start();
    executor_.RunUntilIdle();
  }
  void Pass(absl::Duration time) {
    // Both clocks in small steps, as real time would.
    for (absl::Duration left = time; left > absl::ZeroDuration(); left -= absl::Milliseconds(100)) {
      clock_.Advance(absl::Milliseconds(100));
      executor_.Advance(absl::Milliseconds(100));
    }
  }
  void Finish() {
    worker_->Drain();
    Pass(absl::Seconds(30));
    EXPECT_TRUE(worker_->idle());
    worker_.reset();
    executor_.RunUntilIdle();
  }
  std::size_t Reported() const {
    std::size_t count = 0;
    for (const auto& call : queue_.reports) count += call.size();
    return count;
  }

  ManualExecutor executor_;
  FakeClock clock_{absl::FromUnixSeconds(1000)};
  FakeQueue queue_;
  WorkerOptions options_;
  std::unique_ptr<Worker> worker_;
};

TEST_F(WorkerTest, RunsAndReportsInBatches) {
  FakeRunner runner(false);
  queue_.batches.push_back(Batch(1, 40));
  Start(runner);
  EXPECT_EQ(runner.started, 40);
  EXPECT_EQ(Reported(), 40u);
  EXPECT_LE(queue_.reports.size(), 3u);
  Finish();
}

TEST_F(WorkerTest, HoldsNoMoreThanItsConcurrency) {
  options_.concurrency = 4;
  FakeRunner runner(true);
  queue_.batches.push_back(Batch(1, 4));
  queue_.batches.push_back(Batch(5, 2));
  Start(runner);
  EXPECT_EQ(runner.started, 4);
  const int calls = queue_.lease_calls;
  Pass(absl::Seconds(5));
  EXPECT_EQ(queue_.lease_calls, calls);
  runner.End(1);
  executor_.RunUntilIdle();
  EXPECT_EQ(runner.started, 6 - 0);
  for (int id = 2; id <= 6; ++id) runner.End(id);
  Pass(absl::Seconds(1));
  EXPECT_EQ(Reported(), 6u);
  Finish();
}

// The final dot needs a lease that was confirmed within half its length.
TEST_F(WorkerTest, HeartbeatsKeepTheLeaseSure) {
  queue_.lease = absl::Seconds(30);
  FakeRunner runner(true);
  queue_.batches.push_back(Batch(1, 1));
  Start(runner);
  const LeaseView* lease = runner.leases.at(JobId(1));
  EXPECT_TRUE(lease->MaySendFinalDot());
  Pass(absl::Seconds(100));
  EXPECT_GE(queue_.heartbeats.size(), 9u);
  EXPECT_TRUE(lease->MaySendFinalDot());
  queue_.heartbeat_failure = MakeFailure(Failure::kUnavailable);
  Pass(absl::Seconds(16));
  EXPECT_FALSE(lease->MaySendFinalDot());
  EXPECT_FALSE(lease->Lost());
  queue_.heartbeat_failure = absl::OkStatus();
  Pass(absl::Seconds(11));
  EXPECT_TRUE(lease->MaySendFinalDot());
  runner.End(1);
  Finish();
}

TEST_F(WorkerTest, ALostLeaseIsNeverSureAgain) {
  queue_.lease = absl::Seconds(30);
  FakeRunner runner(true);
  queue_.batches.push_back(Batch(1, 2));
  Start(runner);
  queue_.lost = {JobId(1)};
  Pass(absl::Seconds(11));
  EXPECT_FALSE(runner.leases.at(JobId(1))->MaySendFinalDot());
  EXPECT_TRUE(runner.leases.at(JobId(1))->Lost());
  EXPECT_TRUE(runner.leases.at(JobId(2))->MaySendFinalDot());
  queue_.lost.clear();
  Pass(absl::Seconds(20));
  EXPECT_FALSE(runner.leases.at(JobId(1))->MaySendFinalDot());
  runner.End(1);
  runner.End(2);
  Finish();
  EXPECT_EQ(Reported(), 2u);  // a delivery is a fact, also late
}

TEST_F(WorkerTest, RepeatsAReportAndKeepsTheLeaseUntilItIsTaken) {
  queue_.lease = absl::Seconds(3);
  FakeRunner runner(false);
  queue_.batches.push_back(Batch(1, 2));
  for (int i = 0; i < 5; ++i) queue_.report_failures.push_back(MakeFailure(Failure::kUnavailable));
  Start(runner);
  EXPECT_EQ(Reported(), 0u);
  Pass(absl::Seconds(20));
  EXPECT_EQ(Reported(), 2u);
  EXPECT_FALSE(queue_.heartbeats.empty());
  const std::size_t beats = queue_.heartbeats.size();
  Pass(absl::Seconds(20));
  EXPECT_LE(queue_.heartbeats.size(), beats + 1);
  Finish();
}

// What has run needs no place any more; but what an outage leaves unreported is bounded.
TEST_F(WorkerTest, PlacesAreFreeBeforeTheReportIsStored) {
  options_.concurrency = 2;
  FakeRunner runner(false);
  for (int i = 0; i < 10; ++i) queue_.batches.push_back(Batch(1 + 2 * i, 2));
  for (int i = 0; i < 8; ++i) queue_.report_failures.push_back(MakeFailure(Failure::kUnavailable));
  Start(runner);
  EXPECT_EQ(Reported(), 0u);
  EXPECT_EQ(runner.started, 8);
  Pass(absl::Seconds(30));
  EXPECT_EQ(runner.started, 20);
  EXPECT_EQ(Reported(), 20u);
  Finish();
}

TEST_F(WorkerTest, OneRefusedReportDoesNotHoldUpTheOthers) {
  FakeRunner runner(false);
  queue_.batches.push_back(Batch(1, 3));
  // The batch, then the first of the three by itself.
  queue_.report_failures = {MakeFailure(Failure::kInvalidArgument),
                            MakeFailure(Failure::kInvalidArgument)};
  Start(runner);
  EXPECT_EQ(Reported(), 2u);
  Finish();
}

TEST_F(WorkerTest, DrainingEndsWhatIsUnderWayFirst) {
  FakeRunner runner(true);
  queue_.batches.push_back(Batch(1, 1));
  Start(runner);
  worker_->Drain();
  Pass(absl::Seconds(5));
  EXPECT_FALSE(worker_->idle());
  const int calls = queue_.lease_calls;
  runner.End(1);
  Pass(absl::Seconds(5));
  EXPECT_TRUE(worker_->idle());
  EXPECT_EQ(queue_.lease_calls, calls);
  EXPECT_EQ(Reported(), 1u);
  Finish();
}

TEST_F(WorkerTest, AJobThatComesBackWhileItRunsIsNotRunTwiceAtOnce) {
  FakeRunner runner(true);
  queue_.batches.push_back(Batch(1, 1));
  queue_.batches.push_back(Batch(1, 1));
  Start(runner);
  EXPECT_EQ(runner.started, 1);
  runner.End(1);
  Finish();
}

}  // namespace
}  // namespace posthorn::delivery
