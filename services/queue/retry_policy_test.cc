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

TEST(RetryPoliciesTest, TheFirstRuleThatFitsCounts) {
  RetryPolicies policies;
  const auto add = [&](TenantId tenant, const std::string& destination, int seconds) {
    RetryRule rule;
    rule.tenant = tenant;
    rule.destination = destination;
    rule.policy.schedule = {absl::Seconds(seconds)};
    policies.rules.push_back(std::move(rule));
  };
  add(TenantId(1), "example.net", 1);
  add(TenantId(), "*.example.net", 2);
  add(TenantId(2), "*", 3);
  add(TenantId(), "local", 4);
  const auto delay = [&](std::int64_t tenant, std::string_view destination) {
    return policies.For(TenantId(tenant), destination).DelayAfter(1, 0.5);
  };
  EXPECT_EQ(delay(1, "example.net"), absl::Seconds(1));
  EXPECT_EQ(delay(2, "example.net"), absl::Seconds(3));
  EXPECT_EQ(delay(3, "example.net"), absl::Seconds(60));
  EXPECT_EQ(delay(2, "mx.example.net"), absl::Seconds(2));
  EXPECT_EQ(delay(1, "badexample.net"), absl::Seconds(60));
  EXPECT_EQ(delay(1, ".example.net"), absl::Seconds(60));
  EXPECT_EQ(delay(1, "local"), absl::Seconds(4));
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
