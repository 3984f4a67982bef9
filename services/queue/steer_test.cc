// What operators do with what waits.

#include <gmock/gmock.h>

#include "services/queue/queue_test_base.h"

namespace posthorn::queue {
namespace {

using ::testing::ElementsAre;

class SteerTest : public QueueTest {};

TEST_F(SteerTest, HeldJobsAreNotTriedUntilReleased) {
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

TEST_F(SteerTest, WhatAWorkerHasIsHeldAfterItsAttempt) {
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

TEST_F(SteerTest, BounceAndRouteReachTheWorker) {
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

TEST_F(SteerTest, WhatAWorkerHasIsReturnedAfterItsAttempt) {
  queue_->Enqueue(To({"a@one.example"}));
  std::vector<LeasedJob> jobs = queue_->Lease();
  ASSERT_EQ(jobs.size(), 1u);
  EXPECT_EQ(*queue_->Run(queue_->core().Bounce(Filter(), "spam")), 1);
  EXPECT_TRUE(queue_->Lease().empty());  // the attempt goes on
  queue_->Report({Outcome(jobs[0], RecipientState::kDeferred, clock_.Now() + absl::Hours(4))});
  queue_->Reconcile();
  jobs = queue_->Lease();
  ASSERT_EQ(jobs.size(), 1u);
  EXPECT_EQ(jobs[0].bounce_reason, "spam");
}

TEST_F(SteerTest, SummaryCountsByDestinationAndAge) {
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
