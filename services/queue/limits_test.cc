// Limits on what waits.

#include "lib/base/failure.h"
#include "services/queue/queue_test_base.h"

namespace posthorn::queue {
namespace {

class LimitsTest : public QueueTest {
 protected:
  std::unique_ptr<Replica> WithLimits(BacklogLimits limits) {
    Core::Options options = Options();
    options.limits = limits;
    options.count_every = absl::InfiniteDuration();  // counted when the test says
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

}  // namespace
}  // namespace posthorn::queue
