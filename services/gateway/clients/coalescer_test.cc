#include "services/gateway/clients/coalescer.h"

#include <optional>
#include <string>

#include "gtest/gtest.h"
#include "lib/base/failure.h"
#include "lib/base/manual_executor.h"

namespace posthorn::gateway {
namespace {

using Batch = Coalescer<int, std::string>;

// Calls that wait until the test answers them.
class CoalescerTest : public testing::Test {
 protected:
  struct Call {
    explicit Call(std::vector<int> items_in) : items(std::move(items_in)) {}
    std::vector<int> items;
    OneShot<absl::StatusOr<std::vector<std::string>>> answer;
  };

  Batch Make(Batch::Limits limits) {
    return Batch([this](std::vector<int> items) { return Send(std::move(items)); }, limits);
  }
  Task<absl::StatusOr<std::vector<std::string>>> Send(std::vector<int> items) {
    Call& call = *calls_.emplace_back(std::make_unique<Call>(std::move(items)));
    co_return co_await call.answer;
  }
  void Submit(Batch& batch, int item, std::size_t octets = 1) {
    results_.emplace_back();
    Spawn(executor_, SubmitOne(batch, item, octets, results_.size() - 1));
  }
  Task<void> SubmitOne(Batch& batch, int item, std::size_t octets, std::size_t slot) {
    absl::StatusOr<std::string> result = co_await batch.Submit(item, octets);
    results_[slot] = std::move(result);
  }
  void AnswerAll(std::size_t call) {
    std::vector<std::string> answers;
    for (const int item : calls_[call]->items) answers.push_back("r" + std::to_string(item));
    calls_[call]->answer.Set(std::move(answers));
    executor_.RunUntilIdle();
  }

  ManualExecutor executor_;
  std::vector<std::unique_ptr<Call>> calls_;
  std::deque<std::optional<absl::StatusOr<std::string>>> results_;
};

TEST_F(CoalescerTest, SendsASingleItemAtOnce) {
  Batch batch = Make(Batch::Limits());
  Submit(batch, 1);
  executor_.RunUntilIdle();
  ASSERT_EQ(calls_.size(), 1u);
  EXPECT_FALSE(results_[0].has_value());
  AnswerAll(0);
  EXPECT_EQ(results_[0]->value(), "r1");
}

TEST_F(CoalescerTest, GathersWhileCallsAreUnderWay) {
  Batch::Limits limits;
  limits.max_in_flight = 1;
  Batch batch = Make(limits);
  Submit(batch, 0);
  executor_.RunUntilIdle();
  for (int i = 1; i <= 5; ++i) Submit(batch, i);
  executor_.RunUntilIdle();
  ASSERT_EQ(calls_.size(), 1u);
  AnswerAll(0);
  ASSERT_EQ(calls_.size(), 2u);
  EXPECT_EQ(calls_[1]->items, (std::vector<int>{1, 2, 3, 4, 5}));
  AnswerAll(1);
  for (int i = 0; i <= 5; ++i) EXPECT_EQ(results_[i]->value(), "r" + std::to_string(i));
  // Idle again: the next one leaves at once.
  Submit(batch, 9);
  executor_.RunUntilIdle();
  EXPECT_EQ(calls_.size(), 3u);
  AnswerAll(2);
}

TEST_F(CoalescerTest, HoldsItsLimits) {
  Batch::Limits limits;
  limits.max_in_flight = 2;
  limits.max_items = 3;
  limits.max_octets = 100;
  Batch batch = Make(limits);
  for (int i = 0; i < 8; ++i) Submit(batch, i);
  executor_.RunUntilIdle();
  ASSERT_EQ(calls_.size(), 2u);
  EXPECT_EQ(calls_[0]->items.size(), 3u);
  EXPECT_EQ(calls_[1]->items.size(), 3u);
  Submit(batch, 8, 90);
  Submit(batch, 9, 500);
  executor_.RunUntilIdle();
  AnswerAll(0);
  ASSERT_EQ(calls_.size(), 3u);
  EXPECT_EQ(calls_[2]->items, (std::vector<int>{6, 7, 8}));
  AnswerAll(1);
  ASSERT_EQ(calls_.size(), 4u);  // larger than the limit: alone
  EXPECT_EQ(calls_[3]->items, (std::vector<int>{9}));
  AnswerAll(2);
  AnswerAll(3);
}

TEST_F(CoalescerTest, AFailedCallFailsWhatWaitsBehindIt) {
  Batch::Limits limits;
  limits.max_in_flight = 1;
  Batch batch = Make(limits);
  Submit(batch, 1);
  executor_.RunUntilIdle();
  Submit(batch, 2);
  Submit(batch, 3);
  executor_.RunUntilIdle();
  calls_[0]->answer.Set(MakeFailure(Failure::kDeadlineExceeded));
  executor_.RunUntilIdle();
  EXPECT_EQ(calls_.size(), 1u);
  for (const auto& result : results_) {
    EXPECT_EQ(FailureOf(result->status()), Failure::kDeadlineExceeded);
  }
  Submit(batch, 4);
  executor_.RunUntilIdle();
  AnswerAll(1);
  EXPECT_EQ(results_[3]->value(), "r4");
}

TEST_F(CoalescerTest, AnAnswerOfTheWrongSizeIsAFailure) {
  Batch batch = Make(Batch::Limits());
  Submit(batch, 1);
  Submit(batch, 2);
  executor_.RunUntilIdle();
  std::vector<std::string> answers;
  answers.push_back("only one");
  calls_[0]->answer.Set(std::move(answers));
  executor_.RunUntilIdle();
  EXPECT_FALSE(results_[0]->ok());
  EXPECT_FALSE(results_[1]->ok());
}

}  // namespace
}  // namespace posthorn::gateway
