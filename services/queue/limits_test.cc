// Limits on what waits, and what operators do with it.

#include <gmock/gmock.h>

#include "lib/base/failure.h"
#include "services/queue/queue_test_base.h"

namespace posthorn::queue {
namespace {

using ::testing::ElementsAre;

class LimitsTest : public QueueTest {
 protected:
  std::unique_ptr<Replica> WithLimits(BacklogLimits limits) {
    Core::Options options = Options();
    options.limits = limits;
    options.count_every = absl::Hours(1);  // counted when the test says
    return std::make_unique<Replica>(clock_, options);
  }
  static void CountNow(Replica& replica) {
    const absl::Status counted = replica.Run(replica.core().CountBacklog());
    EXPECT_TRUE(counted.ok()) << counted;
  }
  std::int64_t CountedMessages(std::int64_t tenant) {
    return Count("SELECT coalesce(sum(messages), 0)::bigint FROM queue.usage WHERE tenant_id = " +
                 std::to_string(tenant));
  }
  std::int64_t CountedOctets(std::int64_t tenant) {
    return Count("SELECT coalesce(sum(octets), 0)::bigint FROM queue.usage WHERE tenant_id = " +
                 std::to_string(tenant));
  }
};

TEST_F(LimitsTest, UsageFollowsEveryWayInAndOut) {
  const Message one = To({"a@one.example"});
  const Message two = To({"a@one.example", "b@two.example"});
  queue_->Enqueue(one);
  queue_->Enqueue(one);  // again
  queue_->Enqueue(two);
  queue_->Enqueue(To({"a@one.example"}, 2));
  EXPECT_EQ(CountedMessages(1), 2);
  EXPECT_EQ(CountedOctets(1), static_cast<std::int64_t>(one.size + two.size));
  EXPECT_EQ(CountedMessages(2), 1);
  std::vector<LeasedJob> jobs = queue_->Lease();
  ASSERT_EQ(jobs.size(), 4u);
  std::vector<JobReport> reports;
  for (const LeasedJob& job : jobs) {
    if (job.destination == "one.example") {
      reports.push_back(Outcome(job, RecipientState::kDelivered));
    }
  }
  queue_->Report(reports);
  EXPECT_EQ(CountedMessages(1), 1);  // `two` has a job left
  EXPECT_EQ(CountedMessages(2), 0);
  EXPECT_EQ(*queue_->Run(queue_->core().Cancel(Filter())), 1);
  EXPECT_EQ(CountedMessages(1), 0);
  EXPECT_EQ(CountedOctets(1), 0);
}

TEST_F(LimitsTest, PastTheLimitMailIsRefusedUntilSomeIsGone) {
  BacklogLimits limits;
  limits.tenant_messages = 2;
  const std::unique_ptr<Replica> replica = WithLimits(limits);
  CountNow(*replica);
  replica->Enqueue(To({"a@one.example"}));
  const Message second = To({"a@one.example"});
  replica->Enqueue(second);
  EXPECT_EQ(FailureOf(replica->TryEnqueue(To({"a@one.example"}))), Failure::kQueueFull);
  EXPECT_TRUE(replica->TryEnqueue(To({"a@one.example"}, 2)).ok());
  // Another replica knows after its count.
  const std::unique_ptr<Replica> other = WithLimits(limits);
  CountNow(*other);
  EXPECT_EQ(FailureOf(other->TryEnqueue(To({"a@one.example"}))), Failure::kQueueFull);
  Filter filter;
  filter.message = second.id;
  EXPECT_EQ(*other->Run(other->core().Cancel(filter)), 1);
  CountNow(*replica);
  EXPECT_TRUE(replica->TryEnqueue(To({"a@one.example"})).ok());
  EXPECT_EQ(FailureOf(replica->TryEnqueue(To({"a@one.example"}))), Failure::kQueueFull);
}

TEST_F(LimitsTest, ADuplicateTakesNoRoom) {
  BacklogLimits limits;
  limits.messages = 2;
  const std::unique_ptr<Replica> replica = WithLimits(limits);
  const Message message = To({"a@one.example"});
  replica->Enqueue(message);
  EXPECT_TRUE(replica->Enqueue(message).duplicate);
  EXPECT_TRUE(replica->TryEnqueue(To({"a@one.example"})).ok());
}

TEST_F(LimitsTest, NotificationsAreNeverRefused) {
  BacklogLimits limits;
  limits.messages = 1;
  const std::unique_ptr<Replica> replica = WithLimits(limits);
  replica->Enqueue(To({"a@one.example", "b@two.example"}));
  const std::vector<LeasedJob> jobs = replica->Lease();
  ASSERT_EQ(jobs.size(), 2u);
  JobReport report = Outcome(jobs[0], RecipientState::kBounced);
  report.notifications.push_back(To({"a@sender.test"}));
  replica->Report({report});
  EXPECT_EQ(replica->List().size(), 2u);
}

TEST_F(LimitsTest, HeldJobsAreNotTriedUntilReleased) {
  queue_->Enqueue(To({"a@one.example", "b@two.example"}));
  Filter filter;
  filter.destination = "one.example";
  EXPECT_EQ(*queue_->Run(queue_->core().Hold(filter)), 1);
  EXPECT_EQ(*queue_->Run(queue_->core().Hold(filter)), 0);
  std::vector<LeasedJob> jobs = queue_->Lease();
  ASSERT_EQ(jobs.size(), 1u);
  EXPECT_EQ(jobs[0].destination, "two.example");
  const std::vector<QueuedMessage> listed = queue_->List();
  EXPECT_TRUE(listed[0].recipients[0].held);
  EXPECT_FALSE(listed[0].recipients[0].next_attempt_at.has_value());
  EXPECT_FALSE(listed[0].recipients[1].held);
  // Neither a retry nor the reconciler frees it.
  EXPECT_EQ(*queue_->Run(queue_->core().Retry(filter)), 0);
  queue_->Reconcile();
  EXPECT_TRUE(queue_->Lease().empty());
  EXPECT_EQ(*queue_->Run(queue_->core().Release(filter)), 1);
  jobs = queue_->Lease();
  ASSERT_EQ(jobs.size(), 1u);
  EXPECT_EQ(jobs[0].destination, "one.example");
}

TEST_F(LimitsTest, WhatAWorkerHasIsHeldAfterItsAttempt) {
  queue_->Enqueue(To({"a@one.example"}));
  queue_->Enqueue(To({"a@two.example"}));
  const std::vector<LeasedJob> jobs = queue_->Lease();
  ASSERT_EQ(jobs.size(), 2u);
  EXPECT_EQ(*queue_->Run(queue_->core().Hold(Filter())), 2);
  queue_->Report({Outcome(jobs[0], RecipientState::kDeferred, clock_.Now())});
  EXPECT_TRUE(queue_->Lease().empty());
  clock_.Advance(absl::Minutes(5));  // the other's lease ends
  EXPECT_TRUE(queue_->Lease().empty());
  EXPECT_TRUE(queue_->Lease().empty());
  EXPECT_EQ(*queue_->Run(queue_->core().Release(Filter())), 2);
  EXPECT_EQ(queue_->Lease().size(), 2u);
}

TEST_F(LimitsTest, BounceAndRouteReachTheWorker) {
  queue_->Enqueue(To({"a@one.example", "b@two.example"}));
  std::vector<JobReport> deferred;
  for (const LeasedJob& job : queue_->Lease()) {
    EXPECT_EQ(job.bounce_reason + job.route, "");
    deferred.push_back(Outcome(job, RecipientState::kDeferred));
  }
  queue_->Report(std::move(deferred));
  Filter filter;
  filter.destination = "one.example";
  EXPECT_EQ(*queue_->Run(queue_->core().Bounce(filter, "spam")), 1);
  filter.destination = "two.example";
  EXPECT_EQ(*queue_->Run(queue_->core().Reroute(filter, "a.example,b.example:26")), 1);
  std::vector<LeasedJob> jobs = queue_->Lease();
  ASSERT_EQ(jobs.size(), 2u);  // due at once
  EXPECT_EQ(jobs[0].bounce_reason, "spam");
  EXPECT_EQ(jobs[1].route, "a.example,b.example:26");
  EXPECT_EQ(jobs[1].bounce_reason, "");
  queue_->Report({Outcome(jobs[1], RecipientState::kDeferred)});
  EXPECT_EQ(*queue_->Run(queue_->core().Reroute(filter, "")), 1);
  jobs = queue_->Lease();
  ASSERT_EQ(jobs.size(), 1u);
  EXPECT_EQ(jobs[0].route, "");
}

TEST_F(LimitsTest, SummaryCountsByDestinationAndAge) {
  const auto at_age = [&](Message message, absl::Duration age) {
    message.id = MessageId::Generate(clock_.Now() - age);
    queue_->Enqueue(message);
  };
  at_age(To({"a@one.example", "b@two.example"}), absl::Minutes(1));
  at_age(To({"a@one.example"}), absl::Minutes(12));
  at_age(To({"a@one.example"}), absl::Hours(100));
  at_age(To({"a@two.example"}, 2), absl::Minutes(7));
  Filter filter;
  filter.destination = "two.example";
  EXPECT_EQ(*queue_->Run(queue_->core().Hold(filter)), 2);
  auto summaries = queue_->Run(queue_->core().Summarize(TenantId(), 10));
  ASSERT_TRUE(summaries.ok()) << summaries.status();
  ASSERT_EQ(summaries->size(), 2u);
  EXPECT_EQ((*summaries)[0].destination, "one.example");
  EXPECT_EQ((*summaries)[0].jobs, 3);
  EXPECT_EQ((*summaries)[0].held, 0);
  EXPECT_THAT((*summaries)[0].by_age, ElementsAre(1, 0, 1, 0, 0, 0, 0, 0, 0, 1));
  EXPECT_EQ((*summaries)[1].held, 2);
  EXPECT_THAT((*summaries)[1].by_age, ElementsAre(1, 1, 0, 0, 0, 0, 0, 0, 0, 0));
  summaries = queue_->Run(queue_->core().Summarize(TenantId(2), 10));
  ASSERT_EQ(summaries->size(), 1u);
  EXPECT_EQ((*summaries)[0].jobs, 1);
  EXPECT_EQ(queue_->Run(queue_->core().Summarize(TenantId(), 1))->size(), 1u);
}

}  // namespace
}  // namespace posthorn::queue
