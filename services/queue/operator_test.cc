#include "lib/base/failure.h"
#include "services/queue/queue_test_base.h"

namespace posthorn::queue {
namespace {

class OperatorTest : public QueueTest {
 protected:
  int Cancel(Filter filter) { return *queue_->Run(queue_->core().Cancel(std::move(filter))); }
  int Retry(Filter filter) { return *queue_->Run(queue_->core().Retry(std::move(filter))); }
  void DeferAll() {
    std::vector<JobReport> reports;
    for (const LeasedJob& job : queue_->Lease()) {
      reports.push_back(Outcome(job, RecipientState::kDeferred));
    }
    queue_->Report(std::move(reports));
  }
};

TEST_F(OperatorTest, ListsWhatIsQueuedWithTheServersWords) {
  const Message message = To({"a@one.example", "b@two.example"});
  queue_->Enqueue(message);
  std::vector<QueuedMessage> listed = queue_->List();
  ASSERT_EQ(listed.size(), 1u);
  EXPECT_EQ(listed[0].id, message.id);
  EXPECT_EQ(listed[0].reverse_path, "a@sender.test");
  EXPECT_EQ(listed[0].size, message.size);
  ASSERT_EQ(listed[0].recipients.size(), 2u);
  EXPECT_EQ(listed[0].recipients[0].destination, "one.example");
  EXPECT_EQ(listed[0].recipients[0].state, RecipientState::kQueued);
  EXPECT_EQ(listed[0].recipients[0].attempts, 0);
  DeferAll();
  listed = queue_->List();
  const QueuedRecipient& recipient = listed[0].recipients[0];
  EXPECT_EQ(recipient.state, RecipientState::kDeferred);
  EXPECT_EQ(recipient.attempts, 1);
  EXPECT_EQ(recipient.next_attempt_at, clock_.Now() + absl::Seconds(60));
  EXPECT_EQ(recipient.last_reply, "mx.example.net (192.0.2.1): 451 4.3.0 words of the server");
}

TEST_F(OperatorTest, FiltersAndPages) {
  Message first = To({"a@one.example"}, 1);
  Message second = To({"a@two.example"}, 2);
  second.id = MessageId::Generate(absl::Now() + absl::Seconds(1));  // listed after the first
  second.reverse_path = "Other@sender.test";
  queue_->Enqueue(first);
  queue_->Enqueue(second);
  Filter filter;
  EXPECT_EQ(queue_->List(filter).size(), 2u);
  filter.tenant = TenantId(2);
  EXPECT_EQ(queue_->List(filter).size(), 1u);
  filter = Filter();
  filter.destination = "one.example";
  EXPECT_EQ(queue_->List(filter)[0].id, first.id);
  filter = Filter();
  filter.reverse_path = "other@sender.test";
  EXPECT_EQ(queue_->List(filter)[0].id, second.id);
  filter = Filter();
  filter.message = first.id;
  filter.tenant = TenantId(2);
  EXPECT_TRUE(queue_->List(filter).empty());
  auto page = queue_->Run(queue_->core().List(Filter(), 1, std::nullopt));
  ASSERT_EQ(page->size(), 1u);
  EXPECT_EQ((*page)[0].id, first.id);
  page = queue_->Run(queue_->core().List(Filter(), 1, first.id));
  ASSERT_EQ(page->size(), 1u);
  EXPECT_EQ((*page)[0].id, second.id);
}

TEST_F(OperatorTest, RetryMakesDeferredJobsDueNow) {
  queue_->Enqueue(To({"a@one.example"}));
  queue_->Enqueue(To({"a@two.example"}));
  DeferAll();
  Filter filter;
  filter.destination = "one.example";
  EXPECT_EQ(Retry(filter), 1);
  const std::vector<LeasedJob> jobs = queue_->Lease(10, absl::Seconds(5));
  ASSERT_EQ(jobs.size(), 1u);
  EXPECT_EQ(jobs[0].destination, "one.example");
  EXPECT_EQ(Retry(filter), 0);  // leased: its worker decides
}

TEST_F(OperatorTest, CancelRemovesPendingRecipients) {
  queue_->Enqueue(To({"a@one.example", "b@one.example", "c@two.example"}));
  Filter filter;
  filter.destination = "one.example";
  EXPECT_EQ(Cancel(filter), 2);
  const std::vector<QueuedMessage> listed = queue_->List();
  ASSERT_EQ(listed.size(), 1u);
  EXPECT_EQ(listed[0].recipients[0].state, RecipientState::kCancelled);
  EXPECT_EQ(listed[0].recipients[0].destination, "one.example");
  EXPECT_EQ(listed[0].recipients[2].state, RecipientState::kQueued);
  const std::vector<LeasedJob> jobs = queue_->Lease();
  ASSERT_EQ(jobs.size(), 1u);
  EXPECT_EQ(jobs[0].destination, "two.example");
  // Also what a worker holds: it learns of it and its report finds nothing.
  EXPECT_EQ(Cancel(Filter()), 1);
  EXPECT_TRUE(queue_->List().empty());
  JobReport late = Outcome(jobs[0], RecipientState::kBounced);
  late.notifications.push_back(To({"a@sender.test"}));
  queue_->Report({late});
  EXPECT_TRUE(queue_->List().empty());
}

TEST_F(OperatorTest, ExpiredKeysAreRemoved) {
  queue_->Enqueue(To({"a@one.example"}));
  queue_->Enqueue(To({"a@one.example"}, 2));
  clock_.Advance(absl::Hours(25));
  queue_->Enqueue(To({"a@one.example"}, 3));
  postgres::DatabaseOptions options;
  options.connection = Spool::ConnectTo(url_);
  options.connections = 1;
  const std::unique_ptr<postgres::Database> database = postgres::Database::Open(options);
  Spool::Options spool_options;
  spool_options.connection = options.connection;
  Spool spool(*database, clock_, spool_options);
  const absl::Status expired = queue_->Run(spool.ExpireKeys());
  EXPECT_TRUE(expired.ok()) << expired;
  EXPECT_EQ(Count("SELECT count(*) FROM queue.accepted"), 1);
  const auto totals = queue_->Run(spool.CountAll());
  ASSERT_TRUE(totals.ok()) << totals.status();
  EXPECT_EQ(totals->messages, 3);
  EXPECT_EQ(totals->jobs, 3);
}

}  // namespace
}  // namespace posthorn::queue
