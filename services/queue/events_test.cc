// The log of what happened to mail.

#include <gmock/gmock.h>

#include "absl/strings/str_cat.h"
#include "services/queue/queue_test_base.h"

namespace posthorn::queue {
namespace {

using ::testing::ElementsAre;

class EventsTest : public QueueTest {
 protected:
  History HistoryOf(MessageId message, TenantId tenant = TenantId()) {
    absl::StatusOr<History> history =
        queue_->Run(queue_->core().HistoryOf(tenant, message));
    EXPECT_TRUE(history.ok()) << history.status();
    return history.ok() ? *std::move(history) : History();
  }
  // "kind recipient attempt reply" of each.
  static std::vector<std::string> Lines(const History& history) {
    std::vector<std::string> lines;
    for (const Event& event : history.events) {
      lines.push_back(absl::StrCat(static_cast<int>(event.kind), " ", event.recipient, " ",
                                   event.attempt, " ", event.enhanced_status));
    }
    return lines;
  }
};

TEST_F(EventsTest, EachChangeIsToldInOrderAndOutlivesTheMessage) {
  const Message message = To({"a@one.example", "b@one.example", "c@two.example"});
  queue_->Enqueue(message);
  queue_->Enqueue(message);  // again, which is none
  std::vector<LeasedJob> jobs = queue_->Lease();
  ASSERT_EQ(jobs.size(), 2u);
  JobReport report = Outcome(jobs[0], RecipientState::kDeferred, clock_.Now());
  report.recipients[1].outcome = RecipientState::kDelivered;
  report.recipients[1].enhanced_status = "2.1.5";
  queue_->Report({report});
  JobReport expired = Outcome(jobs[1], RecipientState::kBounced);
  expired.recipients[0].enhanced_status = "5.4.7";
  queue_->Report({expired});
  jobs = queue_->Lease();
  ASSERT_EQ(jobs.size(), 1u);
  clock_.Advance(absl::Seconds(5));
  JobReport last = Outcome(jobs[0], RecipientState::kBounced);
  last.recipients[0].enhanced_status = "5.1.1";
  queue_->Report({last});
  queue_->Report({last});  // outdated
  EXPECT_TRUE(queue_->List().empty());
  const History history = HistoryOf(message.id);
  EXPECT_EQ(history.tenant, TenantId(1));
  EXPECT_THAT(Lines(history),
              ElementsAre("1  0 ", "2 a@one.example 1 4.3.0", "3 b@one.example 1 2.1.5",
                          "5 c@two.example 1 5.4.7", "4 a@one.example 2 5.1.1"));
  EXPECT_EQ(history.events.back().at, clock_.Now());
  EXPECT_EQ(history.events.back().remote_host, "mx.example.net (192.0.2.1)");
  EXPECT_EQ(history.events.back().destination, "one.example");
}

TEST_F(EventsTest, ALateDeliveryAndACancellationAreToldOfToo) {
  const Message message = To({"a@one.example"});
  queue_->Enqueue(message);
  const std::vector<LeasedJob> first = queue_->Lease();
  clock_.Advance(absl::Seconds(61));
  ASSERT_EQ(queue_->Lease().size(), 1u);
  queue_->Report({Outcome(first[0], RecipientState::kDeferred)});  // outdated: no event
  queue_->Report({Outcome(first[0], RecipientState::kDelivered)});
  EXPECT_THAT(Lines(HistoryOf(message.id)), ElementsAre("1  0 ", "3 a@one.example 1 2.0.0"));

  const Message cancelled = To({"a@one.example"});
  queue_->Enqueue(cancelled);
  Filter filter;
  filter.message = cancelled.id;
  EXPECT_EQ(*queue_->Run(queue_->core().Cancel(filter)), 1);
  EXPECT_THAT(Lines(HistoryOf(cancelled.id)), ElementsAre("1  0 ", "6 a@one.example 0 "));
}

TEST_F(EventsTest, AnotherTenantSeesNothing) {
  const Message message = To({"a@one.example"});
  queue_->Enqueue(message);
  EXPECT_TRUE(HistoryOf(message.id, TenantId(2)).events.empty());
  EXPECT_EQ(HistoryOf(message.id, TenantId(1)).events.size(), 1u);
  EXPECT_FALSE(HistoryOf(MessageId::Generate(absl::Now())).tenant);
}

TEST_F(EventsTest, AreDroppedByTheDayAndNeverInTheWayOfMail) {
  const auto keep = [&] {
    const absl::Status kept = queue_->Run(queue_->core().KeepEvents());
    EXPECT_TRUE(kept.ok()) << kept;
  };
  const auto in_rest = [&] { return Count("SELECT count(*) FROM queue.event_rest"); };
  keep();
  const Message first = To({"a@one.example"});
  queue_->Enqueue(first);
  EXPECT_EQ(in_rest(), 0);
  clock_.Advance(absl::Hours(24 * 5));  // nobody made a partition for this day
  const Message second = To({"a@one.example"});
  queue_->Enqueue(second);
  EXPECT_EQ(in_rest(), 1);
  keep();
  clock_.Advance(absl::Hours(24 * 4));
  keep();
  EXPECT_TRUE(HistoryOf(first.id).events.empty());
  EXPECT_EQ(HistoryOf(second.id).events.size(), 1u);
  clock_.Advance(absl::Hours(24 * 4));
  keep();
  EXPECT_TRUE(HistoryOf(second.id).events.empty());
  EXPECT_EQ(in_rest(), 0);
}

}  // namespace
}  // namespace posthorn::queue
