// Limits of destinations over all workers, on a real Redis; time is the test's.

#include "services/queue/traffic.h"

#include <gmock/gmock.h>

#include "lib/base/failure.h"
#include "services/queue/queue_test_base.h"

namespace posthorn::queue {
namespace {

using ::testing::ElementsAre;

class TrafficTest : public QueueTest {
 protected:
  TrafficTest() {
    options_ = QueueTest::Options();
    options_.traffic.chance = [] { return 0.0; };
    options_.load_pauses_every = absl::Milliseconds(20);
    options_.traffic.recovery = absl::Seconds(100);
    options_.policy.general.schedule = {absl::Seconds(60), absl::Seconds(300)};
    first_ = std::make_unique<Replica>(clock_, options_);
    second_ = std::make_unique<Replica>(clock_, options_);
  }

  static AdmitRequest For(const std::string& site, TrafficLimits limits = {},
                          std::int64_t tenant = 1) {
    AdmitRequest request;
    request.tenant = TenantId(tenant);
    request.site = site;
    request.domain = "mail." + site;
    request.limits = limits;
    return request;
  }
  static TrafficLimits PerSecond(int messages) {
    TrafficLimits limits;
    limits.per_second = messages;
    return limits;
  }
  static AdmitRequest From(std::vector<SourceOffer> sources) {
    AdmitRequest request = For("one.example");
    request.sources = std::move(sources);
    return request;
  }
  static SourceOffer Offer(std::string name, std::int64_t per_day = 0) {
    SourceOffer offer;
    offer.name = std::move(name);
    offer.per_day = per_day;
    return offer;
  }
  Admission Ask(AdmitRequest request) {
    turn_ = !turn_;  // replicas take turns
    return Ask(std::move(request), turn_ ? *first_ : *second_);
  }
  Admission Ask(AdmitRequest request, Replica& replica) {
    return replica.Run(replica.core().traffic().Admit(std::move(request)));
  }
  void Note(TrafficNote::Action action, absl::Duration duration = absl::Seconds(60),
            bool probe = false, const std::string& source = "") {
    TrafficNote note;
    note.site = "one.example";
    note.domain = "mail.one.example";
    note.action = action;
    note.duration = duration;
    note.source = source;
    note.reason = "451 try again later";
    note.probe = probe;
    const absl::Status noted = first_->Run(first_->core().traffic().Note(note));
    EXPECT_TRUE(noted.ok()) << noted;
  }
  // How many of those that ask all the time are let through in this time.
  int CountGranted(TrafficLimits limits, absl::Duration time) {
    int granted = 0;
    const absl::Time end = clock_.Now() + time;
    while (clock_.Now() < end) {
      for (int i = 0; i < 2; ++i) granted += Ask(For("one.example", limits)).granted ? 1 : 0;
      clock_.Advance(absl::Milliseconds(50));
    }
    return granted;
  }
  static ConnectionSlot Slot(const std::string& token) {
    ConnectionSlot slot;
    slot.site = "one.example";
    slot.token = token;
    return slot;
  }
  bool Connect(Replica& replica, const std::string& token, int limit) {
    return replica.Run(replica.core().traffic().TakeConnection(TenantId(1), Slot(token), limit))
        .granted;
  }
  static Task<bool> Then(Task<void> task) {
    co_await std::move(task);
    co_return true;
  }
  void Flush() {
    redis::Client client(loop_, redis::Options(redis_server_.address(), ""));
    auto flush = [](redis::Client& to) -> Task<bool> {
      std::vector<std::string> command = {"FLUSHALL"};
      const auto reply = co_await to.Command(std::move(command));
      co_return reply.ok();
    };
    ASSERT_TRUE(Eventually([&] { return client.connected(); }));
    ASSERT_TRUE(first_->Run(flush(client)));
  }
  SiteState Listed(const std::string& name) {
    auto states = first_->Run(first_->core().traffic().List(name));
    EXPECT_TRUE(states.ok()) << states.status();
    if (!states.ok() || states->size() != 1) return SiteState();
    return states->front();
  }

  Core::Options options_;
  net::EventLoop loop_;
  std::unique_ptr<Replica> first_, second_;
  bool turn_ = false;
};

TEST_F(TrafficTest, WithoutLimitsThereIsNothingToAskForAWhile) {
  const Admission admission = Ask(For("one.example"));
  EXPECT_TRUE(admission.granted);
  EXPECT_GT(admission.free_for, absl::ZeroDuration());
  EXPECT_TRUE(admission.whole_site);
  EXPECT_EQ(Ask(For("two.example", PerSecond(5))).free_for, absl::ZeroDuration());
}

TEST_F(TrafficTest, ARateHoldsOverAllReplicas) {
  EXPECT_EQ(CountGranted(PerSecond(2), absl::Seconds(10)), 20);
  // After a rest too: half of it at once, here one.
  clock_.Advance(absl::Minutes(1));
  EXPECT_TRUE(Ask(For("one.example", PerSecond(2))).granted);
  EXPECT_FALSE(Ask(For("one.example", PerSecond(2))).granted);
  EXPECT_TRUE(Ask(For("two.example", PerSecond(2))).granted);
}

TEST_F(TrafficTest, TheLowestOfTheRatesCounts) {
  TrafficLimits limits = PerSecond(20);
  limits.per_minute = 60;  // six at once
  const int granted = CountGranted(limits, absl::Seconds(20));
  EXPECT_GE(granted, 20);
  EXPECT_LE(granted, 27);
}

TEST_F(TrafficTest, RulesAreCountedApart) {
  AdmitRequest other = For("one.example", PerSecond(1));
  other.rule = "another";
  EXPECT_TRUE(Ask(For("one.example", PerSecond(1))).granted);
  EXPECT_FALSE(Ask(For("one.example", PerSecond(1))).granted);
  EXPECT_TRUE(Ask(other).granted);
}

TEST_F(TrafficTest, WhoWaitsComesBackOneAfterTheOther) {
  EXPECT_TRUE(Ask(For("one.example", PerSecond(1))).granted);
  for (int i = 1; i <= 5; ++i) {
    const Admission waits = Ask(For("one.example", PerSecond(1)));
    EXPECT_FALSE(waits.granted);
    EXPECT_FALSE(waits.whole_site);
    EXPECT_EQ(waits.wait, absl::Seconds(i));
  }
  // A tenant with one message is not behind all of another's.
  const Admission other = Ask(For("one.example", PerSecond(1), 2));
  EXPECT_LE(other.wait, absl::Seconds(1));
  // Nobody waits for hours at once: expiry and warnings are looked after when a job comes back.
  TrafficLimits slow;
  slow.per_hour = 1;
  EXPECT_TRUE(Ask(For("two.example", slow)).granted);
  EXPECT_LE(Ask(For("two.example", slow)).wait, Traffic::kLongestWait);
}

TEST_F(TrafficTest, RepliesHalveTheRateAndItRecoversStepByStep) {
  Note(TrafficNote::Action::kSlowDown);
  Note(TrafficNote::Action::kSlowDown);  // at the same time: the same thing
  EXPECT_EQ(Listed("one.example").slowed, 1);
  EXPECT_EQ(CountGranted(PerSecond(2), absl::Seconds(10)), 10);
  Note(TrafficNote::Action::kSlowDown);
  EXPECT_EQ(Listed("one.example").slowed, 2);
  EXPECT_EQ(CountGranted(PerSecond(2), absl::Seconds(20)), 10);
  clock_.Advance(absl::Seconds(85));
  EXPECT_EQ(Listed("one.example").slowed, 1);
  clock_.Advance(absl::Seconds(100));
  EXPECT_EQ(Listed("one.example").slowed, 0);
  EXPECT_EQ(CountGranted(PerSecond(2), absl::Seconds(10)), 20);
}

TEST_F(TrafficTest, WithoutALimitSlowingDownStartsFromAGivenRate) {
  Note(TrafficNote::Action::kSlowDown);
  // 10 a second, halved; of these two at once.
  EXPECT_EQ(CountGranted(TrafficLimits(), absl::Seconds(10)), 51);
}

TEST_F(TrafficTest, APauseEndsAndBeginsSlowlyAgain) {
  Note(TrafficNote::Action::kPause, absl::Seconds(600));
  const Admission waits = Ask(For("one.example"));
  EXPECT_FALSE(waits.granted);
  EXPECT_TRUE(waits.whole_site);
  EXPECT_EQ(waits.wait, absl::Seconds(600));
  EXPECT_EQ(waits.reason, "451 try again later");
  EXPECT_TRUE(Ask(For("two.example")).granted);
  const SiteState state = Listed("mail.one.example");
  EXPECT_EQ(state.paused_until, clock_.Now() + absl::Seconds(600));
  EXPECT_EQ(state.reason, "451 try again later");
  clock_.Advance(absl::Seconds(601));
  EXPECT_EQ(CountGranted(PerSecond(4), absl::Seconds(10)), 10);
}

TEST_F(TrafficTest, ASourceThatIsAvoidedLetsTheNextOneGo) {
  EXPECT_EQ(Ask(From({Offer("a"), Offer("b")})).source, 0);
  Note(TrafficNote::Action::kAvoidSource, absl::Seconds(600), false, "a");
  EXPECT_EQ(Ask(From({Offer("a"), Offer("b")})).source, 1);
  EXPECT_THAT(Listed("one.example").avoided_sources, ElementsAre("a"));
  const Admission waits = Ask(From({Offer("a")}));
  EXPECT_FALSE(waits.granted);
  EXPECT_EQ(waits.wait, absl::Seconds(600));
  clock_.Advance(absl::Seconds(601));
  EXPECT_EQ(Ask(From({Offer("a"), Offer("b")})).source, 0);
}

TEST_F(TrafficTest, ASourceThatWarmsUpOverflowsUntilTheNextDay) {
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(Ask(From({Offer("new", 3), Offer("warm")})).source, 0);
  }
  EXPECT_EQ(Ask(From({Offer("new", 3), Offer("warm")})).source, 1);
  EXPECT_FALSE(Ask(From({Offer("new", 3)})).granted);
  // What was not sent after all does not count.
  Note(TrafficNote::Action::kUnused, absl::Seconds(1), false, "new");
  EXPECT_EQ(Ask(From({Offer("new", 3), Offer("warm")})).source, 0);
  EXPECT_EQ(Ask(From({Offer("new", 3), Offer("warm")})).source, 1);
  clock_.Advance(absl::Hours(24));
  EXPECT_EQ(Ask(From({Offer("new", 3), Offer("warm")})).source, 0);
}

TEST_F(TrafficTest, ADeadSiteIsProbedByOne) {
  Note(TrafficNote::Action::kDead);
  Note(TrafficNote::Action::kDead);  // another that was under way: the same thing
  EXPECT_EQ(Ask(For("one.example")).wait, absl::Seconds(60));
  EXPECT_TRUE(Listed("one.example").dead);
  clock_.Advance(absl::Seconds(60));
  const Admission probe = Ask(For("one.example"));
  EXPECT_TRUE(probe.granted);
  EXPECT_TRUE(probe.probe);
  for (int i = 0; i < 5; ++i) EXPECT_FALSE(Ask(For("one.example")).granted);
  Note(TrafficNote::Action::kDead, absl::Seconds(1), true);
  EXPECT_EQ(Ask(For("one.example")).wait, absl::Seconds(300));
  clock_.Advance(absl::Seconds(300));
  EXPECT_TRUE(Ask(For("one.example")).probe);
  Note(TrafficNote::Action::kAlive, absl::Seconds(1), true);
  for (int i = 0; i < 5; ++i) {
    const Admission admission = Ask(For("one.example"));
    EXPECT_TRUE(admission.granted);
    EXPECT_FALSE(admission.probe);
  }
}

TEST_F(TrafficTest, WhoWantsMailTriedNowMayProbe) {
  queue_->Enqueue(To({"a@mail.one.example"}));
  const std::vector<LeasedJob> jobs = queue_->Lease();
  ASSERT_EQ(jobs.size(), 1u);
  Note(TrafficNote::Action::kDead);
  queue_->Report({Outcome(jobs[0], RecipientState::kDeferred)});
  EXPECT_FALSE(Ask(For("one.example")).granted);
  EXPECT_EQ(*queue_->Run(queue_->core().Retry(Filter())), 1);
  EXPECT_TRUE(Ask(For("one.example")).probe);
  EXPECT_FALSE(Ask(For("one.example")).granted);
}

TEST_F(TrafficTest, AProbeThatIsNeverToldOfIsRepeated) {
  Note(TrafficNote::Action::kDead);
  clock_.Advance(absl::Seconds(60));
  EXPECT_TRUE(Ask(For("one.example")).probe);
  clock_.Advance(absl::Minutes(4));
  EXPECT_TRUE(Ask(For("one.example")).probe);
}

TEST_F(TrafficTest, ConnectionsAreCountedOverAllReplicas) {
  EXPECT_TRUE(Connect(*first_, "a", 2));
  EXPECT_TRUE(Connect(*second_, "b", 2));
  EXPECT_FALSE(Connect(*first_, "c", 2));
  EXPECT_FALSE(Connect(*second_, "c", 2));
  EXPECT_TRUE(Connect(*second_, "a", 2));  // it has one
  EXPECT_EQ(Listed("one.example").rules.at(0).connections, 2);
  first_->Run(Then(first_->core().traffic().DropConnections({Slot("a")})));
  EXPECT_TRUE(Connect(*second_, "c", 2));
}

TEST_F(TrafficTest, WhatADeadWorkerHeldIsFreeAgain) {
  EXPECT_TRUE(Connect(*first_, "a", 1));
  clock_.Advance(absl::Seconds(20));
  first_->Run(Then(first_->core().traffic().KeepConnections({Slot("a")})));
  clock_.Advance(absl::Seconds(20));
  EXPECT_FALSE(Connect(*second_, "b", 1));
  clock_.Advance(absl::Seconds(11));
  EXPECT_TRUE(Connect(*second_, "b", 1));
}

TEST_F(TrafficTest, SlowingDownHalvesConnectionsTooButLeavesOne) {
  Note(TrafficNote::Action::kSlowDown);
  EXPECT_TRUE(Connect(*first_, "a", 4));
  EXPECT_TRUE(Connect(*first_, "b", 4));
  EXPECT_FALSE(Connect(*first_, "c", 4));
  first_->Run(Then(first_->core().traffic().DropConnections({Slot("a"), Slot("b")})));
  EXPECT_TRUE(Connect(*first_, "a", 1));
}

TEST_F(TrafficTest, AfterRedisHasLostEverythingLimitsHoldAgain) {
  EXPECT_TRUE(Connect(*first_, "a", 1));
  EXPECT_TRUE(Ask(For("one.example", PerSecond(1))).granted);
  Note(TrafficNote::Action::kDead);
  Flush();
  EXPECT_TRUE(Ask(For("one.example", PerSecond(1))).granted);
  EXPECT_FALSE(Ask(For("one.example", PerSecond(1))).granted);
  first_->Run(Then(first_->core().traffic().KeepConnections({Slot("a")})));
  EXPECT_FALSE(Connect(*second_, "b", 1));
}

TEST_F(TrafficTest, WithoutRedisWhatHasLimitsWaitsAndTheRestGoes) {
  redis_server_.Kill();
  EXPECT_TRUE(Ask(For("one.example")).granted);
  const Admission waits = Ask(For("one.example", PerSecond(1)));
  EXPECT_FALSE(waits.granted);
  EXPECT_GT(waits.wait, absl::ZeroDuration());
  EXPECT_FALSE(Connect(*first_, "a", 1));
}

TEST_F(TrafficTest, AnOperatorsPauseOutlivesRedisAndReachesAllReplicas) {
  Pause pause;
  pause.pattern = "*.one.example";
  pause.until = absl::InfiniteFuture();
  pause.reason = "asked by its postmaster";
  ASSERT_TRUE(first_->Run(first_->core().pauses().Set(pause)).ok());
  ASSERT_TRUE(second_->Run(second_->core().pauses().Load()).ok());
  Flush();
  for (Replica* replica : {first_.get(), second_.get()}) {
    const Admission waits = Ask(For("one.example"), *replica);
    EXPECT_FALSE(waits.granted);
    EXPECT_TRUE(waits.whole_site);
    EXPECT_EQ(waits.reason, "asked by its postmaster");
    EXPECT_LE(waits.wait, Traffic::kLongestWait);
  }
  EXPECT_TRUE(Ask(For("two.example")).granted);
  const SiteState listed = Listed("*.one.example");
  EXPECT_TRUE(listed.by_operator);
  EXPECT_EQ(listed.reason, "asked by its postmaster");

  auto resumed = first_->Run(first_->core().Resume("*.one.example"));
  ASSERT_TRUE(resumed.ok()) << resumed.status();
  EXPECT_TRUE(Ask(For("one.example"), *first_).granted);
  resumed = first_->Run(first_->core().Resume("*.one.example"));
  EXPECT_EQ(FailureOf(resumed.status()), Failure::kNotFound);
}

TEST_F(TrafficTest, APauseMayNameASiteAndEndByItself) {
  Pause pause;
  pause.pattern = "one.example";
  pause.until = clock_.Now() + absl::Minutes(5);
  ASSERT_TRUE(first_->Run(first_->core().pauses().Set(pause)).ok());
  EXPECT_FALSE(Ask(For("one.example"), *first_).granted);
  clock_.Advance(absl::Minutes(5));
  EXPECT_TRUE(Ask(For("one.example"), *first_).granted);
}

TEST_F(TrafficTest, ResumingForgetsWhatAnswersLedToAndMakesWaitingMailDue) {
  queue_->Enqueue(To({"a@mail.one.example"}));
  const std::vector<LeasedJob> jobs = queue_->Lease();
  ASSERT_EQ(jobs.size(), 1u);
  Note(TrafficNote::Action::kPause, absl::Hours(1));
  const Admission waits = Ask(For("one.example"));
  ASSERT_FALSE(waits.granted);
  JobReport report;
  report.key.ref = jobs[0].ref;
  report.key.attempt = jobs[0].attempt;
  report.key.destination = jobs[0].destination;
  report.retry_at = clock_.Now() + waits.wait;
  report.waited = true;
  queue_->Report({report});
  EXPECT_EQ(queue_->Lease().size(), 0u);
  const auto resumed = queue_->Run(queue_->core().Resume("mail.one.example"));
  ASSERT_TRUE(resumed.ok()) << resumed.status();
  EXPECT_EQ(*resumed, 1);
  EXPECT_TRUE(Ask(For("one.example")).granted);
  EXPECT_EQ(queue_->Lease().size(), 1u);
}

}  // namespace
}  // namespace posthorn::queue
