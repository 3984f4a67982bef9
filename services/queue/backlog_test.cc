#include "services/queue/backlog.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "lib/base/failure.h"

namespace posthorn::queue {
namespace {

constexpr TenantId kFirst(1), kSecond(2);

TEST(BacklogTest, WithoutLimitsEverythingIsTaken) {
  Backlog backlog{BacklogLimits()};
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(backlog.Reserve(kFirst, 1 << 30).ok());
}

TEST(BacklogTest, CountsOfATenantBindItAlone) {
  BacklogLimits limits;
  limits.tenant_messages = 3;
  limits.tenant_octets = 1000;
  Backlog backlog(limits);
  EXPECT_TRUE(backlog.Reserve(kFirst, 400).ok());
  EXPECT_TRUE(backlog.Reserve(kFirst, 400).ok());
  const absl::Status full = backlog.Reserve(kFirst, 400);
  EXPECT_EQ(FailureOf(full), Failure::kQueueFull);
  EXPECT_EQ(RowOf(Failure::kQueueFull).smtp_code, 452);
  EXPECT_EQ(RowOf(Failure::kQueueFull).enhanced, "4.3.1");
  EXPECT_EQ(RowOf(Failure::kQueueFull).grpc_code, absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(backlog.Reserve(kFirst, 100).ok());
  EXPECT_FALSE(backlog.Reserve(kFirst, 1).ok());  // three messages
  EXPECT_TRUE(backlog.Reserve(kSecond, 1000).ok());
}

TEST(BacklogTest, LimitsOverAllHoldForAllTogether) {
  BacklogLimits limits;
  limits.messages = 2;
  Backlog backlog(limits);
  EXPECT_TRUE(backlog.Reserve(kFirst, 1).ok());
  EXPECT_TRUE(backlog.Reserve(kSecond, 1).ok());
  EXPECT_FALSE(backlog.Reserve(TenantId(3), 1).ok());
  backlog.Settle(kSecond, 1, false);  // a duplicate, or the commit failed
  EXPECT_TRUE(backlog.Reserve(TenantId(3), 1).ok());
}

TEST(BacklogTest, ACountMakesRoomAndKeepsWhatCameDuringIt) {
  BacklogLimits limits;
  limits.tenant_messages = 2;
  Backlog backlog(limits);
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(backlog.Reserve(kFirst, 1).ok());
    backlog.Settle(kFirst, 1, true);
  }
  EXPECT_FALSE(backlog.Reserve(kFirst, 1).ok());
  backlog.BeginCount();
  backlog.EndCount({});  // both were delivered
  ASSERT_TRUE(backlog.Reserve(kFirst, 1).ok());
  backlog.BeginCount();
  backlog.Settle(kFirst, 1, true);
  backlog.EndCount({});
  EXPECT_TRUE(backlog.Reserve(kFirst, 1).ok());
  EXPECT_FALSE(backlog.Reserve(kFirst, 1).ok());
  Backlog::Count count;
  count.tenant = kSecond;
  count.messages = 2;
  backlog.BeginCount();
  backlog.EndCount({count});
  EXPECT_FALSE(backlog.Reserve(kSecond, 1).ok());
}

TEST(BacklogTest, ConcurrentCallsNeverPassTheLimitTogether) {
  BacklogLimits limits;
  limits.messages = 1000;
  Backlog backlog(limits);
  std::atomic<int> taken = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 1000; ++i) {
        if (!backlog.Reserve(TenantId(t + 1), 10).ok()) continue;
        ++taken;
        backlog.Settle(TenantId(t + 1), 10, true);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(taken, 1000);
}

}  // namespace
}  // namespace posthorn::queue
