// Jobs that a waiting worker gets straight from the enqueue.

#include <atomic>
#include <future>

#include <gmock/gmock.h>

#include "services/queue/queue_test_base.h"

namespace posthorn::queue {
namespace {

class HandOverTest : public QueueTest {
 protected:
  // A worker's call that waits; `gone` says that the worker is not there any more.
  std::future<std::vector<LeasedJob>> Wait(std::atomic<bool>& gone) {
    return std::async(std::launch::async, [this, &gone] {
      std::function<bool()> is_gone = [&gone] { return gone.load(); };
      absl::StatusOr<std::vector<LeasedJob>> jobs = queue_->Run(
          queue_->core().Lease("worker", 10, absl::Seconds(20), std::move(is_gone)));
      return jobs.ok() ? *std::move(jobs) : std::vector<LeasedJob>();
    });
  }
  static bool Ready(std::future<std::vector<LeasedJob>>& future) {
    return future.wait_for(std::chrono::milliseconds(20)) == std::future_status::ready;
  }
};

TEST_F(HandOverTest, WaitingWorkerNeedsNoSchedule) {
  redis_server_.Kill();  // so that nothing can come by way of it
  std::atomic<bool> gone{false};
  std::future<std::vector<LeasedJob>> waiting = Wait(gone);
  Message sent = To({"Bob@Example.NET", "carol@example.net"});
  std::vector<MessageId> ids;
  while (!Ready(waiting)) {  // until one comes while the call waits
    sent.id = MessageId::Generate(absl::Now());
    ids.push_back(sent.id);
    queue_->Enqueue(sent);
  }
  const std::vector<LeasedJob> jobs = waiting.get();
  ASSERT_EQ(jobs.size(), 1u);
  const LeasedJob& job = jobs[0];
  EXPECT_EQ(job.message, ids.back());
  EXPECT_EQ(job.attempt, 1);
  EXPECT_FALSE(job.repeated);
  EXPECT_EQ(job.destination, "example.net");
  EXPECT_EQ(job.reverse_path, sent.reverse_path);
  EXPECT_EQ(job.prefix, sent.prefix);
  EXPECT_EQ(job.inline_body, sent.inline_body);
  EXPECT_EQ(job.received_at, sent.received_at);
  EXPECT_EQ(job.expires_at, clock_.Now() + absl::Hours(120));
  ASSERT_EQ(job.recipients.size(), 2u);
  EXPECT_EQ(job.recipients[0].id, 1);
  EXPECT_EQ(job.recipients[0].address, "Bob@Example.NET");
  EXPECT_EQ(Count("SELECT count(*) FROM queue.job WHERE attempt = 1 AND leased_until IS NOT NULL"),
            1);
  // Its report counts, as that of any other attempt.
  queue_->Report({Outcome(job, RecipientState::kDelivered)});
  EXPECT_EQ(queue_->List().size(), ids.size() - 1);
}

// A busy worker is between two calls most of the time.
TEST_F(HandOverTest, PlacesThatAnAnswerLeavesFreeCanBeClaimed) {
  redis_server_.Kill();
  std::atomic<bool> gone{false};
  bool handed = false;
  for (int i = 0; i < 100 && !handed; ++i) {  // it has to come within a moment after the answer
    std::future<std::vector<LeasedJob>> waiting = Wait(gone);
    while (!Ready(waiting)) queue_->Enqueue(To({"first@example.net"}));
    waiting.get();
    queue_->Enqueue(To({"second@example.net"}));
    for (const LeasedJob& job : queue_->Lease()) {
      handed = handed || job.recipients[0].address == "second@example.net";
    }
  }
  EXPECT_TRUE(handed);
}

TEST_F(HandOverTest, OptionsComeAlongAndAPriorityIsKeptForTheNextAttempt) {
  std::atomic<bool> gone{false};
  std::future<std::vector<LeasedJob>> waiting = Wait(gone);
  Message sent = To({"urgent@example.net"});
  sent.options = "of the envelope";
  sent.recipients[0].options = "of the recipient";
  sent.priority = 5;
  while (!Ready(waiting)) {
    queue_->Lease();  // what came before the call waited
    sent.id = MessageId::Generate(absl::Now());
    queue_->Enqueue(sent);
  }
  const std::vector<LeasedJob> jobs = waiting.get();
  ASSERT_EQ(jobs.size(), 1u);
  EXPECT_EQ(jobs[0].options, sent.options);
  EXPECT_EQ(jobs[0].recipients[0].options, "of the recipient");
  EXPECT_EQ(Count("SELECT count(*) FROM queue.message WHERE options = 'of the envelope'"),
            Count("SELECT count(*) FROM queue.message"));
  // Behind others by time, before them by priority.
  queue_->Enqueue(To({"plain@example.net"}));
  queue_->Report({Outcome(jobs[0], RecipientState::kDeferred, clock_.Now() + absl::Seconds(5))});
  clock_.Advance(absl::Seconds(6));
  const std::vector<LeasedJob> next = queue_->Lease(1);
  ASSERT_EQ(next.size(), 1u);
  EXPECT_EQ(next[0].recipients[0].address, "urgent@example.net");
}

TEST_F(HandOverTest, WhatIsHeldIsNotHandedOver) {
  std::atomic<bool> gone{false};
  std::future<std::vector<LeasedJob>> waiting = Wait(gone);
  absl::SleepFor(absl::Milliseconds(50));
  Message held = To({"held@example.net"});
  held.hold_until = clock_.Now() + absl::Hours(1);
  for (int i = 0; i < 10; ++i) {
    held.id = MessageId::Generate(absl::Now());
    queue_->Enqueue(held);
  }
  EXPECT_FALSE(Ready(waiting));
  EXPECT_EQ(Count("SELECT count(*) FROM queue.job WHERE attempt = 0 AND leased_until IS NULL"), 10);
  while (!Ready(waiting)) queue_->Enqueue(To({"now@example.net"}));
  for (const LeasedJob& job : waiting.get()) {
    EXPECT_EQ(job.recipients[0].address, "now@example.net");
  }
}

TEST_F(HandOverTest, WhatNobodyTakesGoesToTheSchedule) {
  std::atomic<bool> gone{true};
  std::future<std::vector<LeasedJob>> waiting = Wait(gone);
  EXPECT_TRUE(waiting.get().empty());  // gone before it waited
  gone = false;
  waiting = Wait(gone);
  absl::SleepFor(absl::Milliseconds(50));
  gone = true;
  queue_->Enqueue(To({"a@one.example"}));
  EXPECT_TRUE(waiting.get().empty());
  std::vector<LeasedJob> jobs;
  EXPECT_TRUE(Eventually([&] {
    clock_.Advance(absl::Seconds(2));
    jobs = queue_->Lease();
    return !jobs.empty();
  }));
  ASSERT_EQ(jobs.size(), 1u);
  EXPECT_EQ(jobs[0].destination, "one.example");
}

TEST_F(HandOverTest, WorkerThatVanishesWithItsJobIsReplaced) {
  std::atomic<bool> gone{false};
  std::future<std::vector<LeasedJob>> waiting = Wait(gone);
  while (!Ready(waiting)) queue_->Enqueue(To({"a@one.example"}));
  const std::vector<LeasedJob> first = waiting.get();
  ASSERT_FALSE(first.empty());
  queue_->Lease();  // the rest
  EXPECT_TRUE(queue_->Lease().empty());
  clock_.Advance(absl::Seconds(61));
  queue_->Reconcile();
  bool again = false;
  for (const LeasedJob& job : queue_->Lease()) {
    if (job.message != first[0].message) continue;
    again = true;
    EXPECT_EQ(job.attempt, 2);
    EXPECT_TRUE(job.repeated);
  }
  EXPECT_TRUE(again);
}

}  // namespace
}  // namespace posthorn::queue
