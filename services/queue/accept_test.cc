// Accepting the same thing twice.

#include <gmock/gmock.h>

#include "lib/base/failure.h"
#include "services/queue/queue_test_base.h"

namespace posthorn::queue {
namespace {

class AcceptTest : public QueueTest {};

TEST_F(AcceptTest, SameMessageIdIsAcceptedOnce) {
  const Message message = To({"a@one.example"});
  EXPECT_FALSE(queue_->Enqueue(message).duplicate);
  const Accepted again = queue_->Enqueue(message);
  EXPECT_TRUE(again.duplicate);
  EXPECT_EQ(again.id, message.id);
  const std::vector<LeasedJob> jobs = queue_->Lease();
  ASSERT_EQ(jobs.size(), 1u);
  queue_->Report({Outcome(jobs[0], RecipientState::kDelivered)});
  // Also when it has been delivered meanwhile.
  EXPECT_TRUE(queue_->Enqueue(message).duplicate);
  EXPECT_TRUE(queue_->Lease().empty());
  EXPECT_EQ(Count("SELECT count(*) FROM queue.message"), 0);
}

TEST_F(AcceptTest, ResendIsRecognisedForADay) {
  Message first = To({"a@one.example"});
  first.resend_key = std::string(32, 'k');
  Message resent = To({"a@one.example"});
  resent.resend_key = first.resend_key;
  queue_->Enqueue(first);
  const Accepted again = queue_->Enqueue(resent);
  EXPECT_TRUE(again.duplicate);
  EXPECT_EQ(again.id, first.id);

  clock_.Advance(absl::Hours(25));
  resent.id = MessageId::Generate(absl::Now());
  EXPECT_FALSE(queue_->Enqueue(resent).duplicate);
}

TEST_F(AcceptTest, OtherRecipientsTenantOrKeyAreAnotherMessage) {
  Message first = To({"a@one.example"});
  first.resend_key = std::string(32, 'k');
  queue_->Enqueue(first);
  Message other_recipient = To({"b@one.example"});
  other_recipient.resend_key = first.resend_key;
  EXPECT_FALSE(queue_->Enqueue(other_recipient).duplicate);
  Message other_tenant = To({"a@one.example"}, 2);
  other_tenant.resend_key = first.resend_key;
  EXPECT_FALSE(queue_->Enqueue(other_tenant).duplicate);
  Message other_key = To({"a@one.example"});
  other_key.resend_key = std::string(32, 'l');
  EXPECT_FALSE(queue_->Enqueue(other_key).duplicate);
}

TEST_F(AcceptTest, IdempotencyKeyIsUniquePerTenant) {
  Message first = To({"a@one.example"});
  first.idempotency_key = "order 17";
  Message second = To({"b@one.example"});  // whatever else it says
  second.idempotency_key = "order 17";
  queue_->Enqueue(first);
  EXPECT_EQ(queue_->Enqueue(second).id, first.id);
  Message other_tenant = To({"b@one.example"}, 2);
  other_tenant.idempotency_key = "order 17";
  EXPECT_FALSE(queue_->Enqueue(other_tenant).duplicate);
}

TEST_F(AcceptTest, TwinsInOneGroupAreAcceptedOnce) {
  std::vector<Message> messages;
  for (int i = 0; i < 6; ++i) {
    Message message = To({"a@one.example"}, 1 + i % 2);
    message.idempotency_key = "twin";
    messages.push_back(message);
  }
  auto results = queue_->Run(queue_->core().Enqueue(messages));
  ASSERT_TRUE(results.ok()) << results.status();
  int fresh = 0;
  for (const auto& result : *results) fresh += !result->duplicate;
  EXPECT_EQ(fresh, 2);
  EXPECT_EQ((*results)[2]->id, messages[0].id);
  EXPECT_EQ((*results)[5]->id, messages[1].id);
  EXPECT_EQ(Count("SELECT count(*) FROM queue.message"), 2);
}

TEST_F(AcceptTest, BadMessageDoesNotHoldUpTheOthers) {
  std::vector<Message> messages = {To({"a@one.example"}), To({"nobody"}), To({"b@one.example"})};
  auto results = queue_->Run(queue_->core().Enqueue(messages));
  ASSERT_TRUE(results.ok());
  EXPECT_TRUE((*results)[0].ok());
  EXPECT_EQ(FailureOf((*results)[1].status()), Failure::kBadAddress);
  EXPECT_TRUE((*results)[2].ok());
  EXPECT_EQ(Count("SELECT count(*) FROM queue.message"), 2);
}

TEST_F(AcceptTest, ManyAtOnceAreAllStored) {
  constexpr int kCalls = 200;
  std::atomic<int> good{0};
  std::vector<std::thread> callers;
  for (int t = 0; t < 8; ++t) {
    callers.emplace_back([&, t] {
      Replica replica(clock_, Options());
      for (int i = 0; i < kCalls / 8; ++i) {
        if (replica.TryEnqueue(To({"a@one.example"}, 1 + t % 3)).ok()) ++good;
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(good, kCalls);
  EXPECT_EQ(Count("SELECT count(*) FROM queue.message"), kCalls);
}

TEST_F(AcceptTest, OddTextIsStoredHarmlessly) {
  Message message = To({std::string("a\xff\0b@one.example", 16)});
  message.reverse_path = "\xc3\x28@x";
  EXPECT_TRUE(queue_->TryEnqueue(message).ok());
  EXPECT_EQ(queue_->Lease().size(), 1u);
}

// One call is one group: what becomes of one says nothing about another.
TEST_F(AcceptTest, EachMessageOfAGroupHasItsOwnAnswer) {
  Message earlier = To({"a@one.example"});
  earlier.idempotency_key = "known";
  queue_->Enqueue(earlier);
  std::vector<Message> group;
  group.push_back(To({"b@one.example", "b@two.example"}));
  group[0].idempotency_key = "twice";
  group.push_back(To({"c@one.example"}));
  group[1].idempotency_key = "known";
  group.push_back(To({"d@one.example"}));
  group[2].idempotency_key = "twice";
  group.push_back(To({"e@one.example"}));
  group[3].inline_body.reset();
  group[3].body_sha256 = std::string(32, 'q');
  group.push_back(To({"f@three.example"}, 2));
  group[4].idempotency_key = "twice";  // of another tenant
  group.push_back(To({"h@five.example"}));
  std::vector<MessageId> ids;
  for (const Message& message : group) ids.push_back(message.id);
  const auto results = queue_->Run(queue_->core().Enqueue(std::move(group)));
  ASSERT_TRUE(results.ok()) << results.status();
  ASSERT_EQ(results->size(), 6u);
  const auto expect = [&](std::size_t i, const MessageId& id, bool duplicate) {
    const absl::StatusOr<Accepted>& result = (*results)[i];
    ASSERT_TRUE(result.ok()) << i << ": " << result.status();
    EXPECT_EQ(result->id, id) << i;
    EXPECT_EQ(result->duplicate, duplicate) << i;
  };
  expect(0, ids[0], false);
  expect(1, earlier.id, true);
  expect(2, ids[0], true);
  EXPECT_FALSE((*results)[3].ok());
  expect(4, ids[4], false);
  expect(5, ids[5], false);

  std::vector<std::string> addresses;
  for (const LeasedJob& job : queue_->Lease()) {
    for (const LeasedRecipient& recipient : job.recipients) addresses.push_back(recipient.address);
  }
  EXPECT_THAT(addresses,
              ::testing::UnorderedElementsAre("a@one.example", "b@one.example", "b@two.example",
                                              "f@three.example", "h@five.example"));
  EXPECT_EQ(Count("SELECT sum(messages)::bigint FROM queue.usage WHERE tenant_id = 1"), 3);
  EXPECT_EQ(Count("SELECT sum(messages)::bigint FROM queue.usage WHERE tenant_id = 2"), 1);
  EXPECT_EQ(Count("SELECT count(*) FROM queue.event"), 4);
}

}  // namespace
}  // namespace posthorn::queue
