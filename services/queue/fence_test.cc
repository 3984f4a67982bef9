// What happens when a worker is late, dies or is not alone.

#include <set>

#include "services/queue/queue_test_base.h"

namespace posthorn::queue {
namespace {

class FenceTest : public QueueTest {
 protected:
  LeasedJob LeaseOne() {
    std::vector<LeasedJob> jobs = queue_->Lease(1, absl::Seconds(5));
    EXPECT_EQ(jobs.size(), 1u);
    return jobs.empty() ? LeasedJob() : jobs[0];
  }
  static LeaseKey KeyOf(const LeasedJob& job) {
    LeaseKey key;
    key.ref = job.ref;
    key.attempt = job.attempt;
    return key;
  }
  std::vector<JobId> Heartbeat(const LeasedJob& job) {
    auto lost = queue_->Run(queue_->core().Heartbeat({KeyOf(job)}));
    EXPECT_TRUE(lost.ok());
    return *lost;
  }
};

TEST_F(FenceTest, UnreportedLeaseGoesToAnother) {
  queue_->Enqueue(To({"a@one.example"}));
  const LeasedJob first = LeaseOne();
  clock_.Advance(absl::Seconds(59));
  EXPECT_TRUE(queue_->Lease().empty());
  clock_.Advance(absl::Seconds(2));
  const LeasedJob second = LeaseOne();
  EXPECT_EQ(second.ref.job, first.ref.job);
  EXPECT_EQ(second.attempt, 2);
  EXPECT_TRUE(second.repeated);
}

TEST_F(FenceTest, HeartbeatKeepsALease) {
  queue_->Enqueue(To({"a@one.example"}));
  const LeasedJob job = LeaseOne();
  for (int i = 0; i < 5; ++i) {
    clock_.Advance(absl::Seconds(40));
    EXPECT_TRUE(Heartbeat(job).empty());
  }
  clock_.Advance(absl::Seconds(59));
  EXPECT_TRUE(queue_->Lease().empty());
  clock_.Advance(absl::Seconds(2));
  EXPECT_EQ(LeaseOne().attempt, 2);
  EXPECT_EQ(Heartbeat(job).size(), 1u);  // the first worker learns that it lost the job
}

TEST_F(FenceTest, LateDeferralAndBounceAreDropped) {
  queue_->Enqueue(To({"a@one.example"}));
  const LeasedJob first = LeaseOne();
  clock_.Advance(absl::Seconds(61));
  const LeasedJob second = LeaseOne();
  JobReport late = Outcome(first, RecipientState::kBounced);
  late.notifications.push_back(To({"a@sender.test"}));
  queue_->Report({late});
  EXPECT_EQ(queue_->List().size(), 1u);
  EXPECT_EQ(queue_->List()[0].recipients[0].state, RecipientState::kQueued);
  EXPECT_EQ(Count("SELECT count(*) FROM queue.message"), 1);  // and no DSN
  queue_->Report({Outcome(second, RecipientState::kDelivered)});
  EXPECT_TRUE(queue_->List().empty());
}

TEST_F(FenceTest, LateDeliveryIsRecorded) {
  queue_->Enqueue(To({"a@one.example"}));
  const LeasedJob first = LeaseOne();
  clock_.Advance(absl::Seconds(61));
  const LeasedJob second = LeaseOne();
  queue_->Report({Outcome(first, RecipientState::kDelivered)});
  EXPECT_TRUE(queue_->List().empty());
  EXPECT_EQ(Heartbeat(second).size(), 1u);  // the second need not send
  // What the second says then changes nothing.
  queue_->Report({Outcome(second, RecipientState::kDeferred)});
  EXPECT_TRUE(queue_->List().empty());
  clock_.Advance(absl::Hours(1));
  EXPECT_TRUE(queue_->Lease().empty());
}

TEST_F(FenceTest, LateDeliveryOfSomeLeavesTheRest) {
  queue_->Enqueue(To({"a@one.example", "b@one.example"}));
  const LeasedJob first = LeaseOne();
  clock_.Advance(absl::Seconds(61));
  const LeasedJob second = LeaseOne();
  JobReport late = Outcome(first, RecipientState::kDelivered);
  late.recipients[1].outcome = RecipientState::kDeferred;
  queue_->Report({late});
  EXPECT_TRUE(Heartbeat(second).empty());
  queue_->Report({Outcome(second, RecipientState::kDeferred, clock_.Now())});
  const LeasedJob third = LeaseOne();
  ASSERT_EQ(third.recipients.size(), 1u);
  EXPECT_EQ(third.recipients[0].address, "b@one.example");
}

TEST_F(FenceTest, NothingIsLeasedToAWorkerThatHasGone) {
  queue_->Enqueue(To({"a@one.example"}));
  auto none = queue_->Run(queue_->core().Lease("gone", 10, absl::Seconds(5), [] { return true; }));
  ASSERT_TRUE(none.ok());
  EXPECT_TRUE(none->empty());
  // One that goes while its jobs are fetched gives them back.
  auto calls = std::make_shared<int>(0);
  none = queue_->Run(queue_->core().Lease("going", 10, absl::Seconds(5),
                                          [calls] { return ++*calls > 1; }));
  ASSERT_TRUE(none.ok());
  EXPECT_TRUE(none->empty());
  EXPECT_EQ(LeaseOne().recipients.size(), 1u);
}

TEST_F(FenceTest, AJobThatIsNamedTwiceIsLeasedOnce) {
  queue_->Enqueue(To({"a@one.example"}));
  queue_->Enqueue(To({"b@two.example"}, 2));
  postgres::DatabaseOptions options;
  options.connection = Spool::ConnectTo(url_);
  options.connections = 1;
  const std::unique_ptr<postgres::Database> database = postgres::Database::Open(options);
  Spool::Options spool_options;
  spool_options.connection = options.connection;
  Spool spool(*database, clock_, spool_options);
  std::vector<JobRef> named;
  for (const LeasedJob& job : queue_->Lease()) {
    queue_->Report({Outcome(job, RecipientState::kDeferred, clock_.Now())});
    named.insert(named.end(), 3, job.ref);
  }
  ASSERT_EQ(named.size(), 6u);
  const auto leased = queue_->Run(spool.Lease("w", named, clock_.Now() + absl::Minutes(1)));
  ASSERT_TRUE(leased.ok()) << leased.status();
  EXPECT_EQ(leased->jobs.size(), 2u);
  EXPECT_TRUE(leased->gone.empty());
  EXPECT_TRUE(leased->not_due.empty());
}

// Takes and reports until `done` is set; records every (job, attempt) seen.
void Work(Replica& queue, std::atomic<bool>& done,
          std::multiset<std::pair<std::int64_t, int>>& seen) {
  while (!done) {
    std::vector<LeasedJob> jobs = queue.Lease(7, absl::Milliseconds(200));
    std::vector<JobReport> reports;
    for (const LeasedJob& job : jobs) {
      seen.emplace(job.ref.job.value(), job.attempt);
      JobReport report;
      report.key.ref = job.ref;
      report.key.attempt = job.attempt;
      report.retry_at = absl::InfinitePast();
      for (const LeasedRecipient& recipient : job.recipients) {
        RecipientReport result;
        result.id = recipient.id;
        result.outcome = RecipientState::kDelivered;
        report.recipients.push_back(result);
      }
      reports.push_back(std::move(report));
    }
    if (!reports.empty()) queue.Report(std::move(reports));
  }
}

TEST_F(FenceTest, ReplicasNeverLeaseTheSameAttempt) {
  constexpr int kMessages = 300;
  const std::unique_ptr<Replica> other = Another();
  std::atomic<bool> done{false};
  std::multiset<std::pair<std::int64_t, int>> seen[3];
  std::vector<std::thread> workers;
  workers.emplace_back([&] { Work(*queue_, done, seen[0]); });
  workers.emplace_back([&] { Work(*other, done, seen[1]); });
  workers.emplace_back([&] { Work(*other, done, seen[2]); });
  for (int i = 0; i < kMessages; ++i) {
    Replica& replica = i % 2 == 0 ? *queue_ : *other;
    replica.Enqueue(To({"a@d" + std::to_string(i % 17) + ".example"}, 1 + i % 3));
  }
  EXPECT_TRUE(Eventually([&] { return Count("SELECT count(*) FROM queue.message") == 0; }));
  done = true;
  for (std::thread& worker : workers) worker.join();
  std::multiset<std::pair<std::int64_t, int>> all;
  for (const auto& part : seen) all.insert(part.begin(), part.end());
  EXPECT_EQ(all.size(), static_cast<std::size_t>(kMessages));
  EXPECT_EQ(std::set(all.begin(), all.end()).size(), all.size());
}

}  // namespace
}  // namespace posthorn::queue
