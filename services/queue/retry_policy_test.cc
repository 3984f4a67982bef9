#include "services/queue/retry_policy.h"

#include <gtest/gtest.h>

#include "services/queue/types.h"

namespace posthorn::queue {
namespace {

TEST(RetryPolicyTest, FollowsTheScheduleAndRepeatsTheLast) {
  RetryPolicy policy;
  policy.jitter_percent = 0;
  EXPECT_EQ(policy.DelayAfter(1, 0.3), absl::Seconds(60));
  EXPECT_EQ(policy.DelayAfter(2, 0.3), absl::Seconds(300));
  EXPECT_EQ(policy.DelayAfter(8, 0.3), absl::Seconds(14400));
  EXPECT_EQ(policy.DelayAfter(1000000, 0.3), absl::Seconds(14400));
  EXPECT_EQ(policy.DelayAfter(0, 0.3), absl::Seconds(60));
}

TEST(RetryPolicyTest, JitterStaysWithinItsBounds) {
  RetryPolicy policy;
  policy.jitter_percent = 20;
  EXPECT_EQ(policy.DelayAfter(1, 0.0), absl::Seconds(48));
  EXPECT_EQ(policy.DelayAfter(1, 0.5), absl::Seconds(60));
  EXPECT_LT(policy.DelayAfter(1, 0.999999), absl::Seconds(72));
}

TEST(DestinationTest, IsTheLowerCaseDomainOrLocal) {
  Recipient remote;
  remote.address = "\"a@b\"@Example.NET";
  EXPECT_EQ(DestinationOf(remote), "example.net");
  Recipient local;
  local.address = "alice@example.test";
  local.account = AccountId(7);
  EXPECT_EQ(DestinationOf(local), "local");
}

TEST(DestinationTest, HashIsStable) {
  // Replicas of different releases share the shards: these numbers must never change.
  EXPECT_EQ(HashOf("local"), 474217291);
  EXPECT_EQ(HashOf("example.net"), 428150229);
  EXPECT_GE(HashOf("\xff\xfe"), 0);
}

}  // namespace
}  // namespace posthorn::queue
