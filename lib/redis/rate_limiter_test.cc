// One contract for the bucket in Redis and the one in this process, then what happens between them.
#include "lib/redis/rate_limiter.h"

#include <gtest/gtest.h>

#include <memory>
#include <optional>

#include "lib/redis/client.h"
#include "lib/redis/redis_test_support.h"
#include "tests/support/redis_fixture.h"

namespace posthorn::redis {
namespace {

// A token takes so long that none comes back during a test.
const Limit kSlow(10, absl::Hours(10), 5);

class RateLimiterContractTest : public ::testing::TestWithParam<bool> {
 protected:
  RateLimiterContractTest() {
    if (!GetParam()) return;
    server_.emplace();
    client_ = std::make_unique<Client>(loop_, Options(server_->address(), ""));
    EXPECT_TRUE(Eventually([&] { return client_->connected(); }));
  }
  ~RateLimiterContractTest() override { client_.reset(); }

  Decision Take(RateLimiter& limiter, const std::string& key, Limit limit, std::int64_t cost = 1) {
    return RunOn(loop_, limiter.Take(key, limit, cost));
  }

  std::optional<posthorn::testing::RedisServer> server_;
  net::EventLoop loop_;
  FakeClock clock_{absl::FromUnixSeconds(1700000000)};
  std::unique_ptr<Client> client_;
};

TEST_P(RateLimiterContractTest, AllowsTheBurstThenRefuses) {
  RateLimiter limiter(client_.get(), clock_, RateLimiterOptions());
  for (int i = 0; i < 5; ++i) {
    const Decision decision = Take(limiter, "a", kSlow);
    EXPECT_TRUE(decision.allowed) << i;
    EXPECT_EQ(decision.remaining, 4 - i);
    EXPECT_EQ(decision.shared, GetParam());
  }
  const Decision refused = Take(limiter, "a", kSlow);
  EXPECT_FALSE(refused.allowed);
  EXPECT_EQ(refused.remaining, 0);
  EXPECT_GT(refused.retry_after, absl::Minutes(59));
  EXPECT_LE(refused.retry_after, absl::Hours(1));
  EXPECT_TRUE(Take(limiter, "b", kSlow).allowed) << "keys are apart";
}

TEST_P(RateLimiterContractTest, TakesAllOfACostOrNothing) {
  RateLimiter limiter(client_.get(), clock_, RateLimiterOptions());
  EXPECT_TRUE(Take(limiter, "a", kSlow, 3).allowed);
  EXPECT_FALSE(Take(limiter, "a", kSlow, 3).allowed);
  EXPECT_EQ(Take(limiter, "a", kSlow, 0).remaining, 2) << "a refusal takes nothing";
  EXPECT_TRUE(Take(limiter, "a", kSlow, 0).allowed) << "looking takes nothing";
  EXPECT_TRUE(Take(limiter, "a", kSlow, 2).allowed);
  EXPECT_TRUE(Take(limiter, "large", kSlow, 1000).allowed) << "a full bucket is enough";
  EXPECT_FALSE(Take(limiter, "large", kSlow, 1).allowed);
}

TEST_P(RateLimiterContractTest, TokensComeBack) {
  RateLimiter limiter(client_.get(), clock_, RateLimiterOptions());
  const Limit fast(1000, absl::Seconds(1), 1);  // one a millisecond
  EXPECT_TRUE(Take(limiter, "a", fast).allowed);
  EXPECT_TRUE(Eventually([&] {
    clock_.Advance(absl::Milliseconds(1));
    return Take(limiter, "a", fast).allowed;
  }));
}

INSTANTIATE_TEST_SUITE_P(Backends, RateLimiterContractTest, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "Redis" : "Local"; });

TEST(RateLimiterTest, ReplicasShareOneBucketInRedis) {
  posthorn::testing::RedisServer server;
  net::EventLoop loop;
  FakeClock clock(absl::FromUnixSeconds(1700000000));
  FakeClock ahead(absl::FromUnixSeconds(1800000000));
  Client one(loop, Options(server.address(), ""));
  Client two(loop, Options(server.address(), ""));
  RateLimiter first(&one, clock, RateLimiterOptions());
  RateLimiter second(&two, ahead, RateLimiterOptions());
  int allowed = 0;
  for (int i = 0; i < 5; ++i) {
    allowed += RunOn(loop, first.Take("k", kSlow)).allowed ? 1 : 0;
    allowed += RunOn(loop, second.Take("k", kSlow)).allowed ? 1 : 0;
  }
  EXPECT_EQ(allowed, 5);
}

TEST(RateLimiterTest, WithoutRedisEachReplicaHasItsShare) {
  posthorn::testing::RedisServer server;
  net::EventLoop loop;
  FakeClock clock(absl::FromUnixSeconds(1700000000));
  Client client(loop, Options(server.address(), ""));
  ASSERT_TRUE(Eventually([&] { return client.connected(); }));
  RateLimiterOptions options;
  options.replicas = 2;
  RateLimiter limiter(&client, clock, options);
  EXPECT_TRUE(RunOn(loop, limiter.Take("k", kSlow)).shared);
  server.Kill();
  ASSERT_TRUE(Eventually([&] { return !RunOn(loop, limiter.Take("other", kSlow, 0)).shared; }));
  int allowed = 0;
  for (int i = 0; i < 10; ++i) {
    const Decision decision = RunOn(loop, limiter.Take("k", kSlow));
    EXPECT_FALSE(decision.shared);
    allowed += decision.allowed ? 1 : 0;
  }
  EXPECT_EQ(allowed, 2);  // half of five, rounded down
  server.Start();
  EXPECT_TRUE(Eventually([&] { return RunOn(loop, limiter.Take("k", kSlow)).shared; }));
}

TEST(RateLimiterTest, LocalKeysAreBounded) {
  net::EventLoop loop;
  FakeClock clock(absl::FromUnixSeconds(1700000000));
  RateLimiterOptions options;
  options.max_local_keys = 10;
  RateLimiter limiter(nullptr, clock, options);
  for (int i = 0; i < 1000; ++i) {
    EXPECT_TRUE(RunOn(loop, limiter.Take(std::to_string(i), kSlow)).allowed);
  }
}

}  // namespace
}  // namespace posthorn::redis
