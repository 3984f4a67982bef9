#include "lib/redis/lockouts.h"

#include <gtest/gtest.h>

#include <memory>
#include <optional>

#include "lib/base/failure.h"
#include "lib/redis/client.h"
#include "lib/redis/redis_test_support.h"
#include "tests/support/redis_fixture.h"

namespace posthorn::redis {
namespace {

LockoutPolicy Policy() {
  LockoutPolicy policy;
  policy.failures = 3;
  policy.lockout = absl::Hours(1);
  return policy;
}

class LockoutsContractTest : public ::testing::TestWithParam<bool> {
 protected:
  LockoutsContractTest() {
    if (GetParam()) {
      server_.emplace();
      client_ = std::make_unique<Client>(loop_, Options(server_->address(), ""));
      EXPECT_TRUE(Eventually([&] { return client_->connected(); }));
    }
    lockouts_ = std::make_unique<Lockouts>(client_.get(), clock_, LockoutsOptions());
  }
  ~LockoutsContractTest() override { client_.reset(); }

  LockoutState Fail(const std::string& subject, LockoutPolicy policy = Policy()) {
    return RunOn(loop_, lockouts_->Fail(subject, policy));
  }
  LockoutState Look(const std::string& subject) {
    return RunOn(loop_, lockouts_->Look({subject}, "")).states.at(0);
  }

  std::optional<posthorn::testing::RedisServer> server_;
  net::EventLoop loop_;
  FakeClock clock_{absl::FromUnixSeconds(1700000000)};
  std::unique_ptr<Client> client_;
  std::unique_ptr<Lockouts> lockouts_;
};

TEST_P(LockoutsContractTest, LocksAfterTheFailuresAndNamesTheMoment) {
  EXPECT_EQ(Look("a").failures, 0);
  EXPECT_EQ(Fail("a").failures, 1);
  EXPECT_EQ(Fail("a").locked_for, absl::ZeroDuration());
  const LockoutState third = Fail("a");
  EXPECT_TRUE(third.just_locked);
  EXPECT_GT(third.locked_for, absl::Minutes(59));
  EXPECT_LE(third.locked_for, absl::Hours(1));
  const LockoutState fourth = Fail("a");
  EXPECT_FALSE(fourth.just_locked);
  EXPECT_EQ(fourth.failures, 3) << "not counted while locked";
  EXPECT_GT(Look("a").locked_for, absl::Minutes(59));
  EXPECT_EQ(Look("b").locked_for, absl::ZeroDuration());
}

TEST_P(LockoutsContractTest, LocksAgainForTwiceAsLong) {
  LockoutPolicy policy = Policy();
  policy.failures = 1;
  policy.lockout = absl::Milliseconds(1);
  policy.max_lockout = absl::Hours(1);
  Fail("a", policy);
  EXPECT_TRUE(Eventually([&] {
    clock_.Advance(absl::Milliseconds(1));
    return Look("a").locked_for == absl::ZeroDuration();
  }));
  policy.lockout = absl::Minutes(10);
  const LockoutState again = Fail("a", policy);
  EXPECT_TRUE(again.just_locked);
  EXPECT_GT(again.locked_for, absl::Minutes(19));
  EXPECT_LE(again.locked_for, absl::Minutes(20));
}

TEST_P(LockoutsContractTest, ForgetsAfterTheWindowAndWhenCleared) {
  LockoutPolicy brief = Policy();
  brief.window = absl::Milliseconds(1);
  Fail("a", brief);
  EXPECT_TRUE(Eventually([&] {
    clock_.Advance(absl::Milliseconds(1));
    return Look("a").failures == 0;
  }));
  for (int i = 0; i < 3; ++i) Fail("b");
  RunOn(loop_, [](Lockouts& l) -> Task<bool> {
    co_await l.Clear("b");
    co_return true;
  }(*lockouts_));
  EXPECT_EQ(Look("b").locked_for, absl::ZeroDuration());
  EXPECT_EQ(Fail("b").failures, 1);
}

TEST_P(LockoutsContractTest, ListsWhatIsLocked) {
  Fail("seldom");
  for (int i = 0; i < 3; ++i) Fail("often: {odd} name");
  absl::StatusOr<std::vector<Lockout>> list = RunOn(loop_, lockouts_->List(10));
  ASSERT_TRUE(list.ok()) << list.status();
  ASSERT_EQ(list->size(), 1u);
  EXPECT_EQ(list->front().subject, "often: {odd} name");
  EXPECT_EQ(list->front().state.failures, 3);
  EXPECT_TRUE(RunOn(loop_, lockouts_->List(0))->empty());
}

TEST_P(LockoutsContractTest, MarksLastTheirTime) {
  const auto marked = [&](const std::string& mark) {
    return RunOn(loop_, lockouts_->Look({}, mark)).marked;
  };
  const auto set = [&](const std::string& mark, absl::Duration time) {
    RunOn(loop_, [](Lockouts& l, std::string m, absl::Duration t) -> Task<bool> {
      co_await l.Mark(std::move(m), t);
      co_return true;
    }(*lockouts_, mark, time));
  };
  EXPECT_FALSE(marked("a"));
  set("a", absl::Hours(1));
  EXPECT_TRUE(marked("a"));
  EXPECT_FALSE(marked("b"));
  set("b", absl::Milliseconds(1));
  EXPECT_TRUE(Eventually([&] {
    clock_.Advance(absl::Milliseconds(1));
    return !marked("b");
  }));
}

INSTANTIATE_TEST_SUITE_P(Backends, LockoutsContractTest, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "Redis" : "Local"; });

TEST(LockoutsTest, FailsClosedWithoutRedis) {
  posthorn::testing::RedisServer server;
  net::EventLoop loop;
  FakeClock clock(absl::FromUnixSeconds(1700000000));
  Client client(loop, Options(server.address(), ""));
  ASSERT_TRUE(Eventually([&] { return client.connected(); }));
  LockoutsOptions options;
  options.replicas = 2;
  Lockouts lockouts(&client, clock, options);
  for (int i = 0; i < 3; ++i) RunOn(loop, lockouts.Fail("a", Policy()));
  server.Kill();
  ASSERT_TRUE(Eventually([&] { return !client.connected(); }));
  EXPECT_GT(RunOn(loop, lockouts.Look({"a"}, "")).states[0].locked_for, absl::Minutes(59));
  EXPECT_FALSE(RunOn(loop, lockouts.Fail("b", Policy())).just_locked);
  EXPECT_TRUE(RunOn(loop, lockouts.Fail("b", Policy())).just_locked) << "half of three, rounded up";
  EXPECT_EQ(FailureOf(RunOn(loop, lockouts.List(10)).status()), Failure::kUnavailable);
  clock.Advance(absl::Hours(2));
  EXPECT_EQ(RunOn(loop, lockouts.Look({"a"}, "")).states[0].locked_for, absl::ZeroDuration());
}

TEST(LockoutsTest, ALockClearedElsewhereIsGoneAtTheNextLook) {
  posthorn::testing::RedisServer server;
  net::EventLoop loop;
  FakeClock clock(absl::FromUnixSeconds(1700000000));
  Client client(loop, Options(server.address(), ""));
  ASSERT_TRUE(Eventually([&] { return client.connected(); }));
  Lockouts one(&client, clock, LockoutsOptions());
  Lockouts two(&client, clock, LockoutsOptions());
  for (int i = 0; i < 3; ++i) RunOn(loop, one.Fail("a", Policy()));
  EXPECT_GT(RunOn(loop, two.Look({"a"}, "")).states[0].locked_for, absl::ZeroDuration());
  RunOn(loop, [](Lockouts& l) -> Task<bool> {
    co_await l.Clear("a");
    co_return true;
  }(two));
  EXPECT_EQ(RunOn(loop, one.Look({"a"}, "")).states[0].locked_for, absl::ZeroDuration());
}

}  // namespace
}  // namespace posthorn::redis
