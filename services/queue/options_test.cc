// What a sender asks for with ESMTP parameters, on its way through the queue.

#include <map>
#include <set>

#include <gmock/gmock.h>

#include "lib/base/failure.h"
#include "services/queue/queue_test_base.h"

namespace posthorn::queue {
namespace {

using ::testing::ElementsAre;

class OptionsTest : public QueueTest {
 protected:
  static Message Urgent(const std::string& to, int priority) {
    Message message = To({to});
    message.priority = priority;
    return message;
  }
  static std::vector<std::string> AddressesOf(const std::vector<LeasedJob>& jobs) {
    std::vector<std::string> addresses;
    for (const LeasedJob& job : jobs) addresses.push_back(job.recipients[0].address);
    return addresses;
  }
  redis::Reply Redis(std::vector<std::string> command) {
    net::EventLoop loop;
    redis::Client client(loop, redis::Options(redis_server_.address(), ""));
    absl::StatusOr<redis::Reply> reply = queue_->Run(client.Command(std::move(command)));
    EXPECT_TRUE(reply.ok()) << reply.status();
    return reply.ok() ? *std::move(reply) : redis::Reply();
  }
  // One by one, since a lease orders its jobs by destination.
  std::vector<std::string> TakeAll() {
    std::vector<std::string> addresses;
    for (;;) {
      const std::vector<LeasedJob> jobs = queue_->Lease(1);
      if (jobs.empty()) return addresses;
      addresses.push_back(jobs[0].recipients[0].address);
    }
  }
};

TEST_F(OptionsTest, TravelWithTheJobAndItsRecipients) {
  Message message = To({"a@one.example", "b@one.example", "c@two.example"});
  message.options = std::string("env\0elope", 9);
  message.recipients[1].options = "second";
  message.recipients[2].options = "third";
  queue_->Enqueue(message);
  queue_->Enqueue(To({"d@three.example"}));
  std::vector<LeasedJob> jobs = queue_->Lease();
  ASSERT_EQ(jobs.size(), 3u);
  for (const LeasedJob& job : jobs) {
    EXPECT_EQ(job.options, job.destination == "three.example" ? "" : message.options);
    EXPECT_FALSE(job.deliver_by_notified);
    for (const LeasedRecipient& recipient : job.recipients) {
      EXPECT_EQ(recipient.options, recipient.address == "b@one.example"   ? "second"
                                   : recipient.address == "c@two.example" ? "third"
                                                                          : "");
    }
  }
  EXPECT_EQ(queue_->List()[0].options, message.options);
  // Also on the next attempt, for those that are left.
  JobReport report = Outcome(jobs[0], RecipientState::kDeferred, clock_.Now());
  report.recipients[0].outcome = RecipientState::kDelivered;
  queue_->Report({report});
  jobs = queue_->Lease();
  ASSERT_EQ(jobs.size(), 1u);
  ASSERT_EQ(jobs[0].recipients.size(), 1u);
  EXPECT_EQ(jobs[0].recipients[0].options, "second");
}

TEST_F(OptionsTest, OfADuplicateChangeNothing) {
  Message message = To({"a@one.example"});
  message.options = "first";
  queue_->Enqueue(message);
  message.options = "again";
  message.recipients[0].options = "again";
  message.hold_until = clock_.Now() + absl::Hours(1);
  EXPECT_TRUE(queue_->Enqueue(message).duplicate);
  const std::vector<LeasedJob> jobs = queue_->Lease();
  ASSERT_EQ(jobs.size(), 1u);
  EXPECT_EQ(jobs[0].options, "first");
  EXPECT_EQ(jobs[0].recipients[0].options, "");
}

TEST_F(OptionsTest, NoAttemptBeforeTheReleaseAndTheExpiryCountsFromIt) {
  Message message = To({"a@one.example", "b@two.example"});
  message.options = "held";
  message.hold_until = clock_.Now() + absl::Hours(24);
  queue_->Enqueue(message);
  EXPECT_TRUE(queue_->Lease().empty());
  const std::vector<QueuedMessage> listed = queue_->List();
  ASSERT_EQ(listed.size(), 1u);
  EXPECT_EQ(listed[0].recipients[0].state, RecipientState::kQueued);
  EXPECT_EQ(listed[0].recipients[0].next_attempt_at, message.hold_until);
  EXPECT_EQ(listed[0].expires_at, message.hold_until + absl::Hours(120));

  clock_.Advance(absl::Hours(24) - absl::Seconds(2));
  EXPECT_TRUE(queue_->Lease().empty());
  clock_.Advance(absl::Seconds(2));
  std::vector<LeasedJob> jobs = queue_->Lease();
  ASSERT_EQ(jobs.size(), 2u);
  EXPECT_FALSE(jobs[0].delay_warning_due);  // it is not late yet
  queue_->Report({Outcome(jobs[0], RecipientState::kDelivered),
                  Outcome(jobs[1], RecipientState::kDeferred, clock_.Now() + absl::Hours(4))});
  clock_.Advance(absl::Hours(4));
  jobs = queue_->Lease();
  ASSERT_EQ(jobs.size(), 1u);
  EXPECT_TRUE(jobs[0].delay_warning_due);
}

TEST_F(OptionsTest, AHeldMessageSurvivesTheLossOfRedisAndCanBeCancelled) {
  Message message = To({"a@one.example"});
  message.hold_until = clock_.Now() + absl::Hours(24);
  queue_->Enqueue(message);
  EXPECT_TRUE(queue_->Lease().empty());
  Redis({"FLUSHALL"});
  queue_->Reconcile();
  EXPECT_TRUE(queue_->Lease().empty());
  clock_.Advance(absl::Hours(24));
  queue_->Reconcile();
  EXPECT_EQ(queue_->Lease().size(), 1u);

  message = To({"a@one.example"});
  message.hold_until = clock_.Now() + absl::Hours(24);
  queue_->Enqueue(message);
  Filter filter;
  filter.message = message.id;
  EXPECT_EQ(*queue_->Run(queue_->core().Cancel(filter)), 1);
  clock_.Advance(absl::Hours(25));
  EXPECT_EQ(queue_->Lease().size(), 1u);  // only the first, whose lease has ended
}

TEST_F(OptionsTest, AReleaseBeyondTheMaximumIsRefused) {
  Message message = To({"a@one.example"});
  message.hold_until = clock_.Now() + absl::Hours(24 * 30) + absl::Seconds(1);
  const absl::Status refused = queue_->TryEnqueue(message);
  EXPECT_EQ(FailureOf(refused), Failure::kBadParameter);
  message.hold_until = clock_.Now() + absl::Hours(24 * 30);
  EXPECT_TRUE(queue_->TryEnqueue(message).ok());
}

TEST_F(OptionsTest, HigherPriorityGoesFirstWithinATenant) {
  queue_->Enqueue(To({"plain1@one.example"}));
  queue_->Enqueue(Urgent("low@one.example", -3));
  queue_->Enqueue(Urgent("high@one.example", 4));
  queue_->Enqueue(Urgent("highest@one.example", 9));
  clock_.Advance(absl::Seconds(1));
  queue_->Enqueue(To({"plain2@one.example"}));
  EXPECT_THAT(TakeAll(), ElementsAre("highest@one.example", "high@one.example",
                                     "plain1@one.example", "plain2@one.example",
                                     "low@one.example"));
}

TEST_F(OptionsTest, PriorityDoesNotTakeFromOtherTenants) {
  for (int i = 0; i < 40; ++i) queue_->Enqueue(Urgent("a@one.example", 9));
  Message other = To({"b@one.example"}, 2);
  other.priority = -9;
  queue_->Enqueue(other);
  int of_second = 0;
  for (const LeasedJob& job : queue_->Lease(10)) of_second += job.ref.tenant == TenantId(2);
  EXPECT_EQ(of_second, 1);
}

TEST_F(OptionsTest, ABacklogDoesNotDelayAnotherTenantsSingleMessage) {
  for (int i = 0; i < 50; ++i) queue_->Enqueue(To({"a@one.example"}, 1));
  queue_->Lease(1);
  clock_.Advance(absl::Seconds(1));
  for (int round = 0; round < 5; ++round) {
    queue_->Enqueue(To({"b@one.example"}, 2));
    queue_->Enqueue(To({"a@one.example"}, 1));  // and it goes on sending
    int leases = 0;
    for (bool seen = false; !seen; ++leases) {
      ASSERT_LT(leases, 3);
      for (const LeasedJob& job : queue_->Lease(1)) seen |= job.ref.tenant == TenantId(2);
    }
  }
}

TEST_F(OptionsTest, TenantsTakeTurnsByTheirWeights) {
  Core::Options options = Options();
  options.tenant_weights = {{TenantId(2), 3}};
  Replica replica(clock_, options);
  for (int i = 0; i < 60; ++i) {
    for (const int tenant : {1, 2, 3}) replica.Enqueue(To({"a@one.example"}, tenant));
  }
  std::map<std::int64_t, int> one_by_one, together;
  for (int i = 0; i < 25; ++i) {
    for (const LeasedJob& job : replica.Lease(1)) ++one_by_one[job.ref.tenant.value()];
  }
  EXPECT_EQ(one_by_one[2], 15);
  EXPECT_EQ(one_by_one[1], 5);
  for (const LeasedJob& job : replica.Lease(50)) ++together[job.ref.tenant.value()];
  EXPECT_EQ(together[2], 30);
  EXPECT_EQ(together[3], 10);
}

TEST_F(OptionsTest, ATenantsShareIsOfAllShards) {
  for (int i = 0; i < 60; ++i) {
    queue_->Enqueue(To({"a@d" + std::to_string(i) + ".example"}, 2));
  }
  for (int i = 0; i < 10; ++i) queue_->Enqueue(To({"a@one.example"}, 1));
  int mine = 0;
  std::set<int> shards;
  for (int i = 0; i < 5; ++i) {
    for (const LeasedJob& job : queue_->Lease(4)) {
      mine += job.ref.tenant == TenantId(1);
      if (job.ref.tenant == TenantId(2)) shards.insert(job.ref.hash % Options().shards);
    }
  }
  EXPECT_EQ(mine, 10);
  EXPECT_EQ(shards.size(), 4u) << "the other's shards have their turns";
  EXPECT_EQ(queue_->Lease(100).size(), 50u);
}

TEST_F(OptionsTest, PriorityStaysThroughRetriesLostLeasesAndTheLossOfRedis) {
  queue_->Enqueue(Urgent("urgent@one.example", 5));
  queue_->Enqueue(To({"plain@one.example"}));
  std::vector<LeasedJob> jobs = queue_->Lease();
  ASSERT_EQ(jobs.size(), 2u);
  std::vector<JobReport> reports;
  // The schedule of retries is the same for both, but the urgent one is due later.
  for (const LeasedJob& job : jobs) {
    const bool urgent = job.recipients[0].address == "urgent@one.example";
    reports.push_back(Outcome(job, RecipientState::kDeferred,
                              clock_.Now() + absl::Seconds(urgent ? 20 : 10)));
  }
  queue_->Report(std::move(reports));
  clock_.Advance(absl::Seconds(30));
  EXPECT_THAT(TakeAll(), ElementsAre("urgent@one.example", "plain@one.example"));
  clock_.Advance(absl::Minutes(2));  // nobody reported
  EXPECT_THAT(TakeAll(), ElementsAre("urgent@one.example", "plain@one.example"));
  Redis({"FLUSHALL"});
  clock_.Advance(absl::Minutes(2));
  queue_->Reconcile();
  EXPECT_THAT(TakeAll(), ElementsAre("urgent@one.example", "plain@one.example"));
}

TEST_F(OptionsTest, NothingOfAPriorityStaysInRedis) {
  queue_->Enqueue(Urgent("a@one.example", 5));
  const std::vector<LeasedJob> jobs = queue_->Lease();
  ASSERT_EQ(jobs.size(), 1u);
  queue_->Report({Outcome(jobs[0], RecipientState::kDelivered)});
  EXPECT_TRUE(queue_->Lease().empty());  // everything has been told
  for (const redis::Reply& key : Redis({"KEYS", "*"}).elements) {
    EXPECT_EQ(key.text.find(":p"), std::string::npos) << key.text;
  }
}

TEST_F(OptionsTest, PolicyGoesByTenantAndDestination) {
  Core::Options options = Options();
  RetryRule slow;
  slow.destination = "*.slow.example";
  slow.policy = options.policy.general;
  slow.policy.schedule = {absl::Hours(1)};
  slow.policy.expiry = absl::Hours(240);
  slow.policy.delay_warning = absl::Minutes(30);
  RetryRule hasty;
  hasty.tenant = TenantId(2);
  hasty.destination = "*";
  hasty.policy = options.policy.general;
  hasty.policy.schedule = {absl::Seconds(5)};
  hasty.policy.expiry = absl::Hours(1);
  options.policy.rules = {slow, hasty};
  Replica replica(clock_, options);
  const absl::Time start = clock_.Now();
  replica.Enqueue(To({"a@one.example", "b@mx.slow.example"}));
  replica.Enqueue(To({"c@two.example"}, 2));
  EXPECT_EQ(replica.List()[0].expires_at, start + absl::Hours(240));  // of the last recipient
  std::vector<LeasedJob> jobs = replica.Lease();
  ASSERT_EQ(jobs.size(), 3u);  // by destination
  EXPECT_EQ(jobs[0].expires_at, start + absl::Hours(240));
  EXPECT_EQ(jobs[1].expires_at, start + absl::Hours(120));
  EXPECT_EQ(jobs[2].expires_at, start + absl::Hours(1));
  std::vector<JobReport> reports;
  for (const LeasedJob& job : jobs) reports.push_back(Outcome(job, RecipientState::kDeferred));
  replica.Report(std::move(reports));
  const auto destinations_after = [&](absl::Duration wait) {
    clock_.Advance(wait);
    std::vector<std::string> destinations;
    for (const LeasedJob& job : replica.Lease()) {
      destinations.push_back(job.destination);
      EXPECT_EQ(job.delay_warning_due, job.destination == "mx.slow.example");
    }
    return destinations;
  };
  EXPECT_THAT(destinations_after(absl::Seconds(5)), ElementsAre("two.example"));
  EXPECT_THAT(destinations_after(absl::Seconds(50)), ElementsAre());
  EXPECT_THAT(destinations_after(absl::Seconds(5)), ElementsAre("one.example"));
  EXPECT_THAT(destinations_after(absl::Seconds(3510)),
              ElementsAre("one.example", "two.example"));  // their leases ended
  EXPECT_THAT(destinations_after(absl::Seconds(30)), ElementsAre("mx.slow.example"));
}

TEST_F(OptionsTest, AWorkerMayAskForAnEarlierAttempt) {
  queue_->Enqueue(To({"a@one.example"}));
  std::vector<LeasedJob> jobs = queue_->Lease();
  JobReport report = Outcome(jobs[0], RecipientState::kDeferred);  // a minute, by the schedule
  report.retry_before = clock_.Now() + absl::Seconds(7);
  queue_->Report({report});
  clock_.Advance(absl::Seconds(8));
  jobs = queue_->Lease();
  ASSERT_EQ(jobs.size(), 1u);
  report = Outcome(jobs[0], RecipientState::kDeferred, clock_.Now());
  report.deliver_by_notified = true;
  report.notifications.push_back(To({"a@sender.test"}));
  queue_->Report({report});
  for (const LeasedJob& job : queue_->Lease()) {
    EXPECT_EQ(job.deliver_by_notified, job.ref == jobs[0].ref);
  }
}

}  // namespace
}  // namespace posthorn::queue
