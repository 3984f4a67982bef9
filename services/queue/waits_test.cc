// Jobs that wait because of a limit.

#include "services/queue/queue_test_base.h"

namespace posthorn::queue {
namespace {

class WaitsTest : public QueueTest {
 protected:
  static JobReport Waited(const LeasedJob& job, absl::Time until) {
    JobReport report;
    report.key.ref = job.ref;
    report.key.attempt = job.attempt;
    report.key.destination = job.destination;
    report.retry_at = until;
    report.waited = true;
    report.waits = job.waits;
    return report;
  }
  LeasedJob LeaseOne() {
    std::vector<LeasedJob> jobs = queue_->Lease();
    EXPECT_EQ(jobs.size(), 1u);
    return jobs.empty() ? LeasedJob() : jobs[0];
  }
};

TEST_F(WaitsTest, WaitingUsesUpNoAttempt) {
  const Message message = To({"a@one.example"});
  queue_->Enqueue(message);
  for (int i = 0; i < 3; ++i) {
    const LeasedJob job = LeaseOne();
    EXPECT_EQ(job.waits, i);
    EXPECT_EQ(job.attempt, i + 1);  // the fence goes on
    queue_->Report({Waited(job, clock_.Now() + absl::Seconds(10))});
    EXPECT_TRUE(queue_->Lease().empty());
    const QueuedRecipient waiting = queue_->List()[0].recipients[0];
    EXPECT_EQ(waiting.attempts, 0);
    EXPECT_EQ(waiting.state, RecipientState::kQueued);
    clock_.Advance(absl::Seconds(10));
  }
  // The first real attempt is followed by the first delay.
  LeasedJob job = LeaseOne();
  JobReport failed = Outcome(job, RecipientState::kDeferred);
  failed.waits = job.waits;
  queue_->Report({failed});
  const QueuedRecipient deferred = queue_->List()[0].recipients[0];
  EXPECT_EQ(deferred.attempts, 1);
  EXPECT_EQ(*deferred.next_attempt_at, clock_.Now() + absl::Seconds(60));
  auto history = queue_->Run(queue_->core().HistoryOf(message.tenant, message.id));
  ASSERT_TRUE(history.ok());
  EXPECT_EQ(history->events.back().kind, EventKind::kDeferred);
  EXPECT_EQ(history->events.back().attempt, 1);
}

TEST_F(WaitsTest, TheFenceHoldsForWaitingJobs) {
  queue_->Enqueue(To({"a@one.example"}));
  const LeasedJob job = LeaseOne();
  queue_->Report({Waited(job, clock_.Now())});
  const LeasedJob again = LeaseOne();
  // The same report once more, after its answer was lost: the new attempt goes on.
  queue_->Report({Waited(job, clock_.Now())});
  EXPECT_TRUE(queue_->Lease().empty());
  queue_->Report({Outcome(again, RecipientState::kDelivered)});
  EXPECT_TRUE(queue_->List().empty());
}

TEST_F(WaitsTest, PartOfAJobMayBeDeliveredWhileTheRestWaits) {
  queue_->Enqueue(To({"a@one.example", "b@one.example"}));
  const LeasedJob job = LeaseOne();
  ASSERT_EQ(job.recipients.size(), 2u);
  JobReport report = Waited(job, clock_.Now());
  report.recipients.push_back(Outcome(job, RecipientState::kDelivered).recipients[0]);
  queue_->Report({report});
  const LeasedJob rest = LeaseOne();
  ASSERT_EQ(rest.recipients.size(), 1u);
  EXPECT_EQ(rest.recipients[0].address, "b@one.example");
  EXPECT_EQ(rest.waits, 1);
}

TEST_F(WaitsTest, TheDelayWarningIsSentOnceWhileAJobWaits) {
  queue_->Enqueue(To({"a@one.example"}));
  clock_.Advance(absl::Hours(5));
  const LeasedJob job = LeaseOne();
  EXPECT_TRUE(job.delay_warning_due);
  JobReport report = Waited(job, clock_.Now());
  report.delay_warning_sent = true;
  queue_->Report({report});
  EXPECT_FALSE(LeaseOne().delay_warning_due);
}

TEST_F(WaitsTest, OneThatWaitsIsNotCountedAsTried) {
  queue_->Enqueue(To({"a@one.example"}));
  queue_->Enqueue(To({"a@two.example"}));
  std::vector<JobReport> reports;
  for (const LeasedJob& job : queue_->Lease()) {
    reports.push_back(job.destination == "one.example"
                          ? Waited(job, clock_.Now() + absl::Hours(1))
                          : Outcome(job, RecipientState::kDeferred));
  }
  queue_->Report(reports);
  const auto summaries = queue_->Run(queue_->core().Summarize(TenantId(), 10));
  ASSERT_TRUE(summaries.ok());
  ASSERT_EQ(summaries->size(), 2u);
  EXPECT_EQ((*summaries)[0].deferred, 0);
  EXPECT_EQ((*summaries)[1].deferred, 1);
  // Nor does anybody wait for long without being looked at.
  EXPECT_LE(*queue_->List()[0].recipients[0].next_attempt_at,
            clock_.Now() + 2 * Traffic::kLongestWait);
}

}  // namespace
}  // namespace posthorn::queue
