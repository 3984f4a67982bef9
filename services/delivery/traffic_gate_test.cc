#include "services/delivery/traffic_gate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/base/failure.h"
#include "lib/base/manual_executor.h"
#include "services/delivery/testing/fake_traffic.h"

namespace posthorn::delivery {
namespace {

using ::testing::ElementsAre;

class TrafficGateTest : public ::testing::Test {
 protected:
  TrafficGateTest() {
    settings_.random = [](std::size_t) { return std::size_t{0}; };
    job_.key.tenant = TenantId(1);
    job_.key.destination = "one.example";
    job_.reverse_path = "a@sender.example";
    hosts_.resize(1);
    hosts_[0].name = "mx.one.example";
    hosts_[0].ip = "192.0.2.1";
  }
  ~TrafficGateTest() override { executor_.RunUntilIdle(); }

  TrafficGate& gate() {
    if (gate_ == nullptr) {
      gate_ = std::make_unique<TrafficGate>(settings_, executor_, port_, clock_);
    }
    return *gate_;
  }
  TrafficGate::Passage Passage() { return gate().PassageFor(job_, hosts_); }
  TrafficGate::Pass Ask() {
    auto pass = executor_.Run(gate().Admit(Passage()));
    EXPECT_TRUE(pass.has_value());
    return pass.value_or(TrafficGate::Pass());
  }
  void Limit(int per_second, int connections = 0) {
    TrafficRule rule;
    rule.limits.per_second = per_second;
    rule.limits.connections = connections;
    ASSERT_TRUE(settings_.rules.Add(rule).ok());
  }
  void Reply(int code, const std::string& text, const TrafficGate::Pass& pass = {}) {
    smtp::client::Reply reply;
    reply.code = code;
    reply.lines = {text};
    gate().OnReply(Passage(), pass, hosts_[0], reply);
    executor_.RunUntilIdle();
  }

  ManualExecutor executor_;
  FakeClock clock_{absl::FromUnixSeconds(1000)};
  FakeTraffic port_;
  TrafficSettings settings_;
  Job job_;
  std::vector<Host> hosts_;
  std::unique_ptr<TrafficGate> gate_;
};

TEST_F(TrafficGateTest, WhereNothingIsLimitedItAsksOnceInAWhile) {
  port_.free_for = absl::Seconds(2);
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(Ask().granted);
  EXPECT_EQ(port_.questions.size(), 1u);
  EXPECT_EQ(port_.questions[0].site, "one.example");
  clock_.Advance(absl::Seconds(3));
  EXPECT_TRUE(Ask().granted);
  EXPECT_EQ(port_.questions.size(), 2u);
}

TEST_F(TrafficGateTest, WhatIsLimitedAsksEachTime) {
  Limit(5);
  port_.free_for = absl::Seconds(2);  // not believed
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(Ask().granted);
  EXPECT_EQ(port_.questions.size(), 3u);
  EXPECT_EQ(port_.questions[0].limits.per_second, 5);
  EXPECT_EQ(port_.questions[0].rule, "*");
}

TEST_F(TrafficGateTest, ARefusalEndsWhatWasKnownAndIsNotKept) {
  port_.free_for = absl::Seconds(60);
  EXPECT_TRUE(Ask().granted);
  job_.key.destination = "two.example";
  port_.answers = {FakeTraffic::Wait(absl::Seconds(60), true)};
  TrafficGate::Pass pass = Ask();
  EXPECT_FALSE(pass.granted);
  EXPECT_EQ(pass.until, clock_.Now() + absl::Seconds(60));
  EXPECT_EQ(pass.reason, "slow down");
  // An operator may have taken it back: each job asks.
  job_.key.destination = "one.example";
  EXPECT_TRUE(Ask().granted);
  EXPECT_EQ(port_.questions.size(), 3u);
}

TEST_F(TrafficGateTest, WithoutAnAnswerWhatHasLimitsWaits) {
  port_.failure = MakeFailure(Failure::kUnavailable);
  EXPECT_TRUE(Ask().granted);
  gate_ = nullptr;
  Limit(5);
  const TrafficGate::Pass pass = Ask();
  EXPECT_FALSE(pass.granted);
  EXPECT_GT(pass.until, clock_.Now());
}

TEST_F(TrafficGateTest, RepliesAreToldOnceAndEndWhatWasKnown) {
  port_.free_for = absl::Minutes(1);
  EXPECT_TRUE(Ask().granted);
  Reply(421, "too many connections");
  Reply(421, "too many connections");
  ASSERT_EQ(port_.notices.size(), 1u);
  EXPECT_EQ(port_.notices[0].action, TrafficPort::Action::kSlowDown);
  EXPECT_EQ(port_.notices[0].site, "one.example");
  EXPECT_EQ(port_.notices[0].reason, "421 too many connections");
  EXPECT_TRUE(Ask().granted);
  EXPECT_EQ(port_.questions.size(), 2u);
  clock_.Advance(absl::Seconds(2));
  Reply(421, "too many connections");
  Reply(550, "no such user");
  EXPECT_EQ(port_.notices.size(), 2u);
}

TEST_F(TrafficGateTest, SwitchingTheSourceWithoutOneIsAPause) {
  ReplyRule rule;
  rule.text = "block list";
  rule.action = ReplyRule::Action::kSwitch;
  rule.duration = absl::Hours(1);
  ASSERT_TRUE(settings_.replies.Add(rule).ok());
  Reply(550, "you are on our Block List");
  ASSERT_EQ(port_.notices.size(), 1u);
  EXPECT_EQ(port_.notices[0].action, TrafficPort::Action::kPause);
  EXPECT_EQ(port_.notices[0].duration, absl::Hours(1));
  Source source;
  source.ipv4 = "192.0.2.7";
  TrafficGate::Pass pass;
  pass.source = &source;
  clock_.Advance(absl::Seconds(2));
  Reply(550, "you are on our Block List", pass);
  ASSERT_EQ(port_.notices.size(), 2u);
  EXPECT_EQ(port_.notices[1].action, TrafficPort::Action::kAvoidSource);
  EXPECT_EQ(port_.notices[1].source, "192.0.2.7");
}

TEST_F(TrafficGateTest, TheAnswerNamesTheSource) {
  SourcePool pool;
  pool.name = "p";
  pool.sources.resize(2);
  pool.sources[0].ipv4 = "192.0.2.7";
  pool.sources[0].warm_up_start = absl::ToCivilDay(clock_.Now(), absl::UTCTimeZone());
  pool.sources[0].warm_up = {50};
  pool.sources[1].ipv4 = "192.0.2.8";
  pool.sources[1].hostname = "out.example";
  auto sources = Sources::Create({pool}, {});
  ASSERT_TRUE(sources.ok());
  settings_.sources = *std::move(sources);
  TrafficPort::Answer answer;
  answer.source = 1;
  port_.answers = {answer};
  const TrafficGate::Pass pass = Ask();
  ASSERT_NE(pass.source, nullptr);
  EXPECT_EQ(pass.source->name(), "192.0.2.8");
  ASSERT_EQ(port_.questions[0].sources.size(), 2u);
  EXPECT_EQ(port_.questions[0].sources[0].per_day, 50);
  const ConnectionShape shape = gate().ShapeFor(Passage(), pass, hosts_[0]);
  EXPECT_EQ(shape.origin.ip, "192.0.2.8");
  EXPECT_EQ(shape.origin.hostname, "out.example");
  // No source that reaches the servers: nothing is asked.
  hosts_[0].ip = "2001:db8::1";
  EXPECT_FALSE(Ask().granted);
  EXPECT_EQ(port_.questions.size(), 1u);
}

TEST_F(TrafficGateTest, AUnixSocketNeedsNoSource) {
  SourcePool pool;
  pool.name = "p";
  pool.sources.resize(1);
  pool.sources[0].ipv6 = "2001:db8::7";
  auto sources = Sources::Create({pool}, {});
  ASSERT_TRUE(sources.ok());
  settings_.sources = *std::move(sources);
  settings_.preference = IpPreference::kIpv6Only;
  hosts_[0].name = hosts_[0].ip = "/run/lmtp";
  EXPECT_EQ(gate().Arrange(hosts_).size(), 1u);
  const TrafficGate::Pass pass = Ask();
  EXPECT_TRUE(pass.granted);
  EXPECT_EQ(pass.source, nullptr);
  EXPECT_EQ(port_.questions[0].site, "/run/lmtp");
}

TEST_F(TrafficGateTest, PlacesAreKeptAndGivenBack) {
  Limit(0, 1);
  ConnectionShape shape = gate().ShapeFor(Passage(), TrafficGate::Pass(), hosts_[0]);
  ASSERT_NE(shape.places, nullptr);
  auto place = executor_.Run(gate().Take(shape));
  ASSERT_TRUE(place.has_value() && place->ok());
  EXPECT_EQ(port_.standing.size(), 1u);
  ConnectionShape second = shape;
  auto refused = executor_.Run(gate().Take(second));
  ASSERT_TRUE(refused.has_value());
  EXPECT_FALSE(refused->ok());
  EXPECT_EQ(second.refused_until, clock_.Now() + absl::Seconds(1));
  // Also after Redis has lost it.
  port_.standing.clear();
  clock_.Advance(absl::Seconds(10));
  executor_.Advance(absl::Seconds(10));
  EXPECT_EQ(port_.standing.size(), 1u);
  // Who needs one at once has it without asking.
  place->value().reset();
  port_.failure = MakeFailure(Failure::kUnavailable);
  place = executor_.Run(gate().Take(shape));
  ASSERT_TRUE(place.has_value() && place->ok());
  port_.failure = absl::OkStatus();
  place->value().reset();
  clock_.Advance(absl::Seconds(1));
  executor_.Advance(absl::Seconds(1));
  EXPECT_TRUE(port_.standing.empty());
}

TEST_F(TrafficGateTest, AddressesComeInTheOrderThatIsPreferred) {
  const auto order = [this](IpPreference preference) {
    settings_.preference = preference;
    gate_ = nullptr;
    std::vector<Host> hosts;
    for (const auto& [name, ip] : std::vector<std::pair<std::string, std::string>>{
             {"a", "192.0.2.1"}, {"a", "2001:db8::1"}, {"b", "2001:db8::2"}, {"b", "192.0.2.2"}}) {
      Host host;
      host.name = name;
      host.ip = ip;
      hosts.push_back(host);
    }
    std::vector<std::string> result;
    for (const Host& host : gate().Arrange(hosts)) result.push_back(host.ip);
    return result;
  };
  EXPECT_THAT(order(IpPreference::kIpv4First),
              ElementsAre("192.0.2.1", "2001:db8::1", "192.0.2.2", "2001:db8::2"));
  EXPECT_THAT(order(IpPreference::kIpv6First),
              ElementsAre("2001:db8::1", "192.0.2.1", "2001:db8::2", "192.0.2.2"));
  EXPECT_THAT(order(IpPreference::kIpv4Only), ElementsAre("192.0.2.1", "192.0.2.2"));
  EXPECT_THAT(order(IpPreference::kIpv6Only), ElementsAre("2001:db8::1", "2001:db8::2"));
}

}  // namespace
}  // namespace posthorn::delivery
