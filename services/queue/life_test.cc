// A message's way through the queue: accept, lease, report.

#include <gmock/gmock.h>

#include "services/queue/queue_test_base.h"

namespace posthorn::queue {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

class LifeTest : public QueueTest {};

TEST_F(LifeTest, LeasedJobCarriesTheMessage) {
  Message message = To({"Bob@Example.NET", "carol@example.net"});
  message.recipients[0].original_address = "list@sender.test";
  message.body_is_8bit = true;
  message.local_resend_key = "resend key";
  const Message sent = message;
  const Accepted accepted = queue_->Enqueue(message);
  EXPECT_EQ(accepted.id, sent.id);
  EXPECT_FALSE(accepted.duplicate);

  const std::vector<LeasedJob> jobs = queue_->Lease();
  ASSERT_EQ(jobs.size(), 1u);
  const LeasedJob& job = jobs[0];
  EXPECT_EQ(job.attempt, 1);
  EXPECT_EQ(job.message, sent.id);
  EXPECT_EQ(job.destination, "example.net");
  EXPECT_EQ(job.reverse_path, "a@sender.test");
  EXPECT_EQ(job.prefix, sent.prefix);
  EXPECT_EQ(job.inline_body, sent.inline_body);
  EXPECT_TRUE(job.body_is_8bit);
  EXPECT_EQ(job.local_resend_key, "resend key");
  EXPECT_EQ(job.received_at, sent.received_at);
  EXPECT_EQ(job.expires_at, clock_.Now() + absl::Hours(120));
  EXPECT_FALSE(job.delay_warning_due);
  ASSERT_EQ(job.recipients.size(), 2u);
  EXPECT_EQ(job.recipients[0].address, "Bob@Example.NET");
  EXPECT_EQ(job.recipients[0].original_address, "list@sender.test");
  EXPECT_TRUE(queue_->Lease().empty());
}

TEST_F(LifeTest, RecipientsAreGroupedByDestination) {
  Message message = To({"a@one.example", "b@two.example", "c@ONE.example"});
  Recipient local;
  local.address = local.original_address = "dora@one.example";
  local.account = AccountId(7);
  message.recipients.push_back(local);
  for (int i = 0; i < 150; ++i) {
    Recipient many;
    many.address = many.original_address = "u" + std::to_string(i) + "@many.example";
    message.recipients.push_back(many);
  }
  queue_->Enqueue(message);
  std::vector<std::pair<std::string, std::size_t>> seen;
  for (const LeasedJob& job : queue_->Lease()) {
    seen.emplace_back(job.destination, job.recipients.size());
  }
  EXPECT_THAT(seen, UnorderedElementsAre(std::pair("one.example", 2u), std::pair("two.example", 1u),
                                         std::pair("local", 1u), std::pair("many.example", 100u),
                                         std::pair("many.example", 50u)));
}

TEST_F(LifeTest, DeliveredMessageLeavesNothingBehind) {
  queue_->Enqueue(To({"a@one.example", "b@two.example"}));
  const std::vector<LeasedJob> jobs = queue_->Lease();
  ASSERT_EQ(jobs.size(), 2u);
  queue_->Report({Outcome(jobs[0], RecipientState::kDelivered)});
  EXPECT_EQ(queue_->List().size(), 1u);
  queue_->Report({Outcome(jobs[1], RecipientState::kDelivered)});
  EXPECT_TRUE(queue_->List().empty());
  EXPECT_EQ(Count("SELECT (SELECT count(*) FROM queue.message) + (SELECT count(*) FROM queue.job)"
                  " + (SELECT count(*) FROM queue.recipient)"),
            0);
}

TEST_F(LifeTest, DeferredJobComesBackByTheScheduleOfRetries) {
  queue_->Enqueue(To({"a@one.example"}));
  const absl::Duration delays[] = {absl::Seconds(60), absl::Seconds(300), absl::Seconds(900)};
  int attempt = 0;
  for (const absl::Duration delay : delays) {
    const std::vector<LeasedJob> jobs = queue_->Lease();
    ASSERT_EQ(jobs.size(), 1u);
    EXPECT_EQ(jobs[0].attempt, ++attempt);
    queue_->Report({Outcome(jobs[0], RecipientState::kDeferred)});
    clock_.Advance(delay - absl::Seconds(2));
    EXPECT_TRUE(queue_->Lease().empty());
    clock_.Advance(absl::Seconds(2) + absl::Milliseconds(1));
  }
  EXPECT_EQ(queue_->Lease().size(), 1u);
}

TEST_F(LifeTest, WorkerMayNameTheTimeOfTheNextAttempt) {
  queue_->Enqueue(To({"a@one.example"}));
  std::vector<LeasedJob> jobs = queue_->Lease();
  queue_->Report(
      {Outcome(jobs[0], RecipientState::kDeferred, clock_.Now() + absl::Seconds(10))});
  clock_.Advance(absl::Seconds(11));
  EXPECT_EQ(queue_->Lease().size(), 1u);
}

TEST_F(LifeTest, OnlyPendingRecipientsAreTriedAgain) {
  queue_->Enqueue(To({"a@one.example", "b@one.example", "c@one.example"}));
  std::vector<LeasedJob> jobs = queue_->Lease();
  ASSERT_EQ(jobs.size(), 1u);
  JobReport report = Outcome(jobs[0], RecipientState::kDeferred, clock_.Now());
  report.recipients[0].outcome = RecipientState::kDelivered;
  report.recipients[2].outcome = RecipientState::kBounced;
  queue_->Report({report});
  const std::vector<QueuedMessage> listed = queue_->List();
  ASSERT_EQ(listed.size(), 1u);
  EXPECT_EQ(listed[0].recipients[0].state, RecipientState::kDelivered);
  EXPECT_EQ(listed[0].recipients[1].state, RecipientState::kDeferred);
  EXPECT_EQ(listed[0].recipients[2].state, RecipientState::kBounced);
  jobs = queue_->Lease();
  ASSERT_EQ(jobs.size(), 1u);
  ASSERT_EQ(jobs[0].recipients.size(), 1u);
  EXPECT_EQ(jobs[0].recipients[0].address, "b@one.example");
}

TEST_F(LifeTest, DelayWarningIsDueOnceAfterItsAge) {
  queue_->Enqueue(To({"a@one.example"}));
  std::vector<LeasedJob> jobs = queue_->Lease();
  EXPECT_FALSE(jobs[0].delay_warning_due);
  queue_->Report({Outcome(jobs[0], RecipientState::kDeferred, clock_.Now())});
  clock_.Advance(absl::Hours(5));
  jobs = queue_->Lease();
  EXPECT_TRUE(jobs[0].delay_warning_due);
  JobReport report = Outcome(jobs[0], RecipientState::kDeferred, clock_.Now());
  report.delay_warning_sent = true;
  queue_->Report({report});
  jobs = queue_->Lease();
  EXPECT_FALSE(jobs[0].delay_warning_due);
}

TEST_F(LifeTest, NotificationIsQueuedWithTheResultItTellsOf) {
  queue_->Enqueue(To({"a@one.example"}));
  const std::vector<LeasedJob> jobs = queue_->Lease();
  JobReport report = Outcome(jobs[0], RecipientState::kBounced);
  Message dsn = To({"a@sender.test"});
  dsn.reverse_path = "";
  report.notifications.push_back(dsn);
  queue_->Report({report});
  std::vector<LeasedJob> notifications = queue_->Lease(100, absl::Seconds(5));
  ASSERT_EQ(notifications.size(), 1u);
  EXPECT_EQ(notifications[0].message, dsn.id);
  EXPECT_EQ(notifications[0].reverse_path, "");

  // The same report again, as after a lost answer, also under a new id: nothing happens.
  report.notifications[0] = To({"a@sender.test"});
  queue_->Report({report});
  EXPECT_EQ(Count("SELECT count(*) FROM queue.message"), 1);
}

TEST_F(LifeTest, WaitingWorkerGetsWhatIsEnqueued) {
  std::promise<std::size_t> leased;
  std::thread worker([&] {
    Replica& queue = *queue_;
    leased.set_value(queue.Lease(10, absl::Seconds(20)).size());
  });
  absl::SleepFor(absl::Milliseconds(100));
  const absl::Time before = absl::Now();
  // From another replica: by the hint over Redis.
  Another()->Enqueue(To({"a@one.example"}));
  EXPECT_EQ(leased.get_future().get(), 1u);
  EXPECT_LT(absl::Now() - before, absl::Seconds(5));
  worker.join();
}

TEST_F(LifeTest, WaitEndsEmptyHanded) {
  const absl::Time before = absl::Now();
  EXPECT_TRUE(queue_->Lease(10, absl::Milliseconds(300)).empty());
  EXPECT_GE(absl::Now() - before, absl::Milliseconds(290));
}

TEST_F(LifeTest, DrainEndsWaitingAtOnce) {
  std::promise<std::size_t> leased;
  std::thread worker([&] { leased.set_value(queue_->Lease(10, absl::Seconds(30)).size()); });
  absl::SleepFor(absl::Milliseconds(50));
  const absl::Time before = absl::Now();
  queue_->core().Drain();
  EXPECT_EQ(leased.get_future().get(), 0u);
  EXPECT_LT(absl::Now() - before, absl::Seconds(5));
  worker.join();
}

TEST_F(LifeTest, TenantWithAFloodDoesNotStarveAnother) {
  for (int i = 0; i < 40; ++i) queue_->Enqueue(To({"a@one.example"}, 1));
  queue_->Enqueue(To({"b@one.example"}, 2));
  ASSERT_TRUE(Eventually([&] { return Count("SELECT count(*) FROM queue.job") == 41; }));
  int of_second = 0;
  for (const LeasedJob& job : queue_->Lease(10, absl::Seconds(5))) {
    of_second += job.ref.tenant == TenantId(2);
  }
  EXPECT_EQ(of_second, 1);
}

TEST_F(LifeTest, LargeBodyIsHeldAndReleased) {
  const std::string big(300000, 'x');
  postgres::BodyWriter writer(queue_->core().bodies(), TenantId(1));
  ASSERT_TRUE(queue_->Run(writer.Write(big)).ok());
  const auto stored = queue_->Run(writer.Finish(""));
  ASSERT_TRUE(stored.ok()) << stored.status();
  Message message = To({"a@one.example", "b@two.example"});
  message.inline_body.reset();
  message.body_sha256 = stored->sha256;
  message.size = stored->size;
  queue_->Enqueue(message);
  EXPECT_EQ(Count("SELECT refs FROM queue.body WHERE marked_at IS NULL"), 1);
  const std::vector<LeasedJob> jobs = queue_->Lease();
  ASSERT_EQ(jobs.size(), 2u);
  EXPECT_EQ(jobs[0].body_sha256, stored->sha256);
  EXPECT_EQ(jobs[0].size, big.size());
  EXPECT_FALSE(jobs[0].inline_body.has_value());
  queue_->Report({Outcome(jobs[0], RecipientState::kDelivered),
                  Outcome(jobs[1], RecipientState::kDelivered)});
  EXPECT_EQ(Count("SELECT refs FROM queue.body WHERE marked_at IS NOT NULL"), 0);

  Message dangling = To({"a@one.example"});
  dangling.inline_body.reset();
  dangling.body_sha256 = std::string(32, 'q');
  EXPECT_FALSE(queue_->TryEnqueue(dangling).ok());
}

// Plans that are made while the table is known to be empty have to serve when it is not.
TEST_F(LifeTest, EachIndexOfJobsServesItsOwnQuestion) {
  ASSERT_TRUE(Superuser()->ExecScript("VACUUM ANALYZE queue.job").ok());
  auto connection = postgres::Connection::Open(Spool::ConnectTo(url_));
  ASSERT_TRUE(connection.ok()) << connection.status();
  const auto plan = [&](const std::string& sql) {
    const TenantId tenant(1);
    const auto rows = (*connection)->ExecForTenants({&tenant, 1}, "EXPLAIN " + sql, {});
    EXPECT_TRUE(rows.ok()) << rows.status();
    std::string text;
    for (int i = 0; rows.ok() && i < rows->rows(); ++i) text += rows->Text(i, 0) + "\n";
    return text;
  };
  EXPECT_THAT(plan("DELETE FROM queue.job WHERE tenant_id = 1 AND job_id = 1"),
              HasSubstr("Index Scan using job_pkey"));
  EXPECT_THAT(plan("SELECT job_id FROM queue.job WHERE due_at <= now()"
                   " ORDER BY due_at, tenant_id, job_id LIMIT 10"),
              AllOf(HasSubstr("using job_due_at"), Not(HasSubstr("Sort"))));
}

}  // namespace
}  // namespace posthorn::queue
