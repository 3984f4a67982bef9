// How a worker obeys limits: from the job to the report.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "lib/base/manual_executor.h"
#include "lib/dns/fake_resolver.h"
#include "services/delivery/job_runner.h"
#include "services/delivery/testing/fake_traffic.h"
#include "services/delivery/testing/fakes.h"

namespace posthorn::delivery {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class TrafficDeliveryTest : public ::testing::Test {
 protected:
  TrafficDeliveryTest() {
    dns_.AddMx("example.net", 10, "mx1.example.net");
    dns_.AddMx("example.net", 20, "mx2.example.net");
    dns_.AddA("mx1.example.net", "192.0.2.1");
    dns_.AddA("mx2.example.net", "192.0.2.2");
    connector_.servers["192.0.2.1"] = &first_;
    connector_.servers["192.0.2.2"] = &second_;
    settings_.random = [](std::size_t) { return std::size_t{0}; };
    connection_options_.hostname = "us.example.org";
  }
  ~TrafficDeliveryTest() override {
    if (parts_ != nullptr) parts_->gate.Close();
    parts_.reset();
    executor_.RunUntilIdle();
  }

  struct Parts {
    explicit Parts(TrafficDeliveryTest& t)
        : router(RouterOptions(), RouteTable(), t.dns_, t.clock_),
          gate(t.settings_, t.executor_, t.traffic_, t.clock_),
          pool(t.pool_options_, t.connection_options_, t.executor_, t.connector_, t.clock_),
          remote(t.options_, router, pool, t.queue_, t.clock_, &gate),
          local(t.mailbox_, t.directory_, t.queue_, t.clock_),
          bounces("us.example.org", t.directory_, t.queue_, t.clock_),
          runner(remote, local, bounces) {}
    static MailRouterOptions RouterOptions() {
      MailRouterOptions options;
      options.hostname = "us.example.org";
      options.cache = false;
      options.random = [](std::size_t) { return std::size_t{0}; };
      return options;
    }
    MailRouter router;
    TrafficGate gate;
    ConnectionPool pool;
    RemoteDelivery remote;
    LocalDelivery local;
    Bounces bounces;
    DeliveryJobRunner runner;
  };

  Job MakeJob(std::vector<std::string> addresses) {
    Job job;
    job.key.tenant = TenantId(1);
    job.key.job = JobId(2);
    job.key.attempt = 4;
    job.key.destination = "example.net";
    job.waits = 3;
    job.reverse_path = "from@example.org";
    job.prefix = "Received: x\r\n";
    job.inline_body = "Subject: hi\r\n\r\nbody\r\n";
    job.received_at = clock_.Now();
    job.expires_at = clock_.Now() + absl::Hours(100);
    for (std::string& address : addresses) {
      JobRecipient recipient;
      recipient.recipient_id = static_cast<std::int64_t>(job.recipients.size()) + 1;
      recipient.address = recipient.original_address = std::move(address);
      job.recipients.push_back(std::move(recipient));
    }
    return job;
  }
  Parts& parts() {
    if (parts_ == nullptr) parts_ = std::make_unique<Parts>(*this);
    return *parts_;
  }
  JobReport Run(const Job& job) {
    auto report = executor_.Run(parts().runner.Run(job, lease_));
    EXPECT_TRUE(report.has_value()) << "still waiting";
    return report.value_or(JobReport());
  }
  static SmtpSink::Script Reply(std::string start, std::string reply) {
    return [start, reply](const std::string& line) -> std::optional<std::string> {
      if (!absl::StartsWith(line, start)) return std::nullopt;
      return reply;
    };
  }
  void AddRule(TrafficRule rule) { ASSERT_TRUE(settings_.rules.Add(std::move(rule)).ok()); }
  void AddPool(std::vector<Source> sources) {
    SourcePool pool;
    pool.name = "p";
    pool.sources = std::move(sources);
    auto made = Sources::Create({pool}, {});
    ASSERT_TRUE(made.ok()) << made.status();
    settings_.sources = *std::move(made);
  }
  std::vector<TrafficPort::Action> Noted() const {
    std::vector<TrafficPort::Action> actions;
    for (const TrafficPort::Notice& notice : traffic_.notices) actions.push_back(notice.action);
    return actions;
  }

  ManualExecutor executor_;
  FakeClock clock_{absl::FromUnixSeconds(1000000)};
  dns::FakeResolver dns_;
  FakeQueue queue_;
  FakeDirectory directory_;
  FakeMailbox mailbox_;
  FakeLease lease_;
  FakeConnector connector_{executor_};
  FakeTraffic traffic_;
  SmtpSink first_, second_;
  RemoteOptions options_;
  PoolOptions pool_options_;
  ConnectionOptions connection_options_;
  TrafficSettings settings_;
  std::unique_ptr<Parts> parts_;
};

TEST_F(TrafficDeliveryTest, WhatALimitHoldsUpIsNoAttempt) {
  traffic_.answers = {FakeTraffic::Wait(absl::Seconds(30), false)};
  const JobReport report = Run(MakeJob({"a@example.net", "b@example.net"}));
  EXPECT_EQ(report.waits_until, clock_.Now() + absl::Seconds(30));
  EXPECT_TRUE(report.recipient_ids.empty());
  EXPECT_TRUE(report.notifications.empty());
  EXPECT_EQ(report.waits, 3);
  EXPECT_TRUE(connector_.attempts.empty());
}

TEST_F(TrafficDeliveryTest, WhatExpiresWhileItWaitsComesBack) {
  traffic_.answers = {FakeTraffic::Wait(absl::Seconds(30), true, "paused by the operator")};
  Job job = MakeJob({"a@example.net"});
  job.expires_at = clock_.Now();
  const JobReport report = Run(job);
  EXPECT_FALSE(report.waits_until.has_value());
  ASSERT_EQ(report.results.size(), 1u);
  EXPECT_EQ(report.results[0].outcome, Outcome::kBounced);
  ASSERT_EQ(report.notifications.size(), 1u);
  EXPECT_THAT(report.notifications[0].inline_body, HasSubstr("paused by the operator"));
  // And not much later than that.
  traffic_.answers = {FakeTraffic::Wait(absl::Minutes(10), true)};
  job.expires_at = clock_.Now() + absl::Minutes(1);
  clock_.Advance(absl::Seconds(10));
  EXPECT_EQ(Run(job).retry_before, job.expires_at);
}

TEST_F(TrafficDeliveryTest, TheDelayWarningIsSentWhileItWaits) {
  traffic_.answers = {FakeTraffic::Wait(absl::Seconds(30), true)};
  Job job = MakeJob({"a@example.net"});
  job.delay_warning_due = true;
  const JobReport report = Run(job);
  EXPECT_TRUE(report.waits_until.has_value());
  EXPECT_TRUE(report.delay_warning_sent);
  EXPECT_EQ(report.notifications.size(), 1u);
}

TEST_F(TrafficDeliveryTest, EachTransactionIsAMessage) {
  TrafficRule rule;
  rule.recipients_per_transaction = 2;
  AddRule(rule);
  traffic_.answers = {TrafficPort::Answer(), TrafficPort::Answer(),
                      FakeTraffic::Wait(absl::Seconds(30), false)};
  const JobReport report = Run(MakeJob({"a@example.net", "b@example.net", "c@example.net",
                                        "d@example.net", "e@example.net"}));
  EXPECT_EQ(traffic_.questions.size(), 3u);
  EXPECT_EQ(first_.message_count(), 2u);
  // What was delivered is told; the rest stays as it is.
  EXPECT_THAT(report.recipient_ids, ElementsAre(1, 2, 3, 4));
  EXPECT_TRUE(report.waits_until.has_value());
}

TEST_F(TrafficDeliveryTest, WhatFailedBesidesIsAnAttempt) {
  TrafficRule rule;
  rule.recipients_per_transaction = 1;
  AddRule(rule);
  first_.script = Reply("RCPT TO:<a@", "450 4.2.1 busy");
  traffic_.answers = {TrafficPort::Answer(), FakeTraffic::Wait(absl::Seconds(30), false)};
  const JobReport report = Run(MakeJob({"a@example.net", "b@example.net"}));
  EXPECT_FALSE(report.waits_until.has_value());
  EXPECT_THAT(report.recipient_ids, ElementsAre(1));
  EXPECT_EQ(report.results[0].outcome, Outcome::kDeferred);
}

TEST_F(TrafficDeliveryTest, ConnectionsEndAfterSoManyMessages) {
  TrafficRule rule;
  rule.messages_per_connection = 2;
  AddRule(rule);
  for (int i = 0; i < 5; ++i) Run(MakeJob({"a@example.net"}));
  EXPECT_EQ(first_.message_count(), 5u);
  EXPECT_EQ(first_.connections(), 3);
}

TEST_F(TrafficDeliveryTest, ALimitOfConnectionsHoldsOverAllServersOfASite) {
  TrafficRule rule;
  rule.limits.connections = 1;
  AddRule(rule);
  dns_.AddMx("other.example", 10, "mx2.example.net");
  Run(MakeJob({"a@example.net"}));
  EXPECT_EQ(traffic_.standing.size(), 1u);
  // The idle one to the first server makes room for one to the second.
  Job job = MakeJob({"a@other.example"});
  job.key.destination = "other.example";
  const JobReport report = Run(job);
  EXPECT_EQ(report.results.at(0).outcome, Outcome::kDelivered);
  EXPECT_EQ(traffic_.most_standing, 1);
  // Another worker has the only place.
  parts().pool.CloseAll();
  parts_.reset();
  traffic_.standing = {"another"};
  const JobReport waits = Run(MakeJob({"a@example.net"}));
  EXPECT_EQ(waits.waits_until, clock_.Now() + absl::Seconds(1));
}

TEST_F(TrafficDeliveryTest, ADeadSiteIsToldOfAndTheProbeToo) {
  connector_.servers.clear();
  const JobReport report = Run(MakeJob({"a@example.net"}));
  EXPECT_FALSE(report.waits_until.has_value());  // it was tried
  EXPECT_EQ(report.results.at(0).outcome, Outcome::kDeferred);
  EXPECT_THAT(Noted(), ElementsAre(TrafficPort::Action::kDead));
  EXPECT_FALSE(traffic_.notices[0].probe);
  traffic_.answers = {FakeTraffic::Probe()};
  Run(MakeJob({"a@example.net"}));
  EXPECT_TRUE(traffic_.notices.at(1).probe);
  connector_.servers["192.0.2.2"] = &second_;
  traffic_.answers = {FakeTraffic::Probe()};
  EXPECT_EQ(Run(MakeJob({"a@example.net"})).results.at(0).outcome, Outcome::kDelivered);
  EXPECT_EQ(traffic_.notices.at(2).action, TrafficPort::Action::kAlive);
}

TEST_F(TrafficDeliveryTest, AProbeGoesToAServerThatWasSilentLately) {
  connector_.servers.erase("192.0.2.2");
  connector_.silent["192.0.2.1"] = absl::Seconds(1);
  std::vector<JobReport> reports;
  const auto keep = [](Task<JobReport> task, std::vector<JobReport>& out) -> Task<void> {
    JobReport report = co_await std::move(task);
    out.push_back(std::move(report));
  };
  const Job job = MakeJob({"a@example.net"});
  Spawn(executor_, keep(parts().runner.Run(job, lease_), reports));
  executor_.RunUntilIdle();
  clock_.Advance(absl::Minutes(1));
  executor_.Advance(absl::Minutes(1));
  ASSERT_EQ(reports.size(), 1u);
  connector_.silent.clear();
  // Without a probe the server is left alone.
  EXPECT_EQ(Run(job).results.at(0).outcome, Outcome::kDeferred);
  traffic_.answers = {FakeTraffic::Probe()};
  EXPECT_EQ(Run(job).results.at(0).outcome, Outcome::kDelivered);
}

TEST_F(TrafficDeliveryTest, AServerThatRefusesIsNotDead) {
  first_.script = second_.script = Reply("greeting", "421 4.7.0 too many connections");
  Run(MakeJob({"a@example.net"}));
  EXPECT_THAT(Noted(), ElementsAre(TrafficPort::Action::kSlowDown));
  EXPECT_EQ(traffic_.notices[0].reason, "421 4.7.0 too many connections");
}

TEST_F(TrafficDeliveryTest, RepliesToATransactionAreToldOf) {
  first_.script = second_.script = Reply("MAIL", "451 4.7.1 rate limit exceeded");
  Run(MakeJob({"a@example.net"}));
  EXPECT_THAT(Noted(), ElementsAre(TrafficPort::Action::kSlowDown));
}

TEST_F(TrafficDeliveryTest, MailLeavesFromTheSourceUnderItsName) {
  Source one, two;
  one.ipv4 = "192.0.2.101";
  two.ipv4 = "192.0.2.102";
  two.hostname = "out2.example.org";
  AddPool({one, two});
  TrafficPort::Answer second_source;
  second_source.source = 1;
  traffic_.answers = {TrafficPort::Answer(), second_source, second_source};
  for (int i = 0; i < 3; ++i) Run(MakeJob({"a@example.net"}));
  // A connection belongs to its source.
  EXPECT_THAT(connector_.sources, ElementsAre("192.0.2.101", "192.0.2.102"));
  EXPECT_THAT(first_.transcript(), HasSubstr("C: EHLO us.example.org\n"));
  EXPECT_THAT(first_.transcript(), HasSubstr("C: EHLO out2.example.org\n"));
  EXPECT_EQ(first_.message_count(), 3u);
}

TEST_F(TrafficDeliveryTest, WhatWasNotSentDoesNotCountForTheWarmUp) {
  Source one;
  one.ipv4 = "192.0.2.101";
  one.warm_up_start = absl::ToCivilDay(clock_.Now(), absl::UTCTimeZone());
  one.warm_up = {5};
  AddPool({one});
  Run(MakeJob({"a@example.net"}));
  EXPECT_TRUE(Noted().empty());
  parts().pool.CloseAll();
  parts_.reset();
  connector_.servers.clear();
  Run(MakeJob({"a@example.net"}));
  EXPECT_THAT(Noted(), ElementsAre(TrafficPort::Action::kDead, TrafficPort::Action::kUnused));
}

TEST_F(TrafficDeliveryTest, ASourceServesOnlyServersOfItsKind) {
  dns_.AddMx("six.example", 10, "mx6.six.example");
  dns_.AddMx("six.example", 20, "mx1.example.net");
  dns_.AddAaaa("mx6.six.example", "2001:db8::6");
  Source one;
  one.ipv4 = "192.0.2.101";
  AddPool({one});
  Job job = MakeJob({"a@six.example"});
  job.key.destination = "six.example";
  EXPECT_EQ(Run(job).results.at(0).outcome, Outcome::kDelivered);
  EXPECT_THAT(connector_.attempts, ElementsAre("192.0.2.1:25"));
}

TEST_F(TrafficDeliveryTest, ASourceThatIsGoneMakesNoDestinationDead) {
  Source one;
  one.ipv4 = "192.0.2.101";
  AddPool({one});
  connector_.foreign = {"192.0.2.101"};
  EXPECT_EQ(Run(MakeJob({"a@example.net"})).results.at(0).outcome, Outcome::kDeferred);
  EXPECT_TRUE(Noted().empty());
}

TEST_F(TrafficDeliveryTest, WaitingForASlowServerLeavesRoomForOthers) {
  pool_options_.connections_per_host = 1;
  pool_options_.max_waiting = 1;
  first_.script = Reply("MAIL", "hang");
  const auto keep = [](Task<JobReport> task, std::vector<JobReport>& out) -> Task<void> {
    JobReport report = co_await std::move(task);
    out.push_back(std::move(report));
  };
  const Job job = MakeJob({"a@example.net"});
  std::vector<JobReport> reports;
  for (int i = 0; i < 2; ++i) Spawn(executor_, keep(parts().runner.Run(job, lease_), reports));
  executor_.RunUntilIdle();
  clock_.Advance(absl::Seconds(3));
  EXPECT_EQ(Run(job).waits_until, clock_.Now() + pool_options_.max_wait);
  EXPECT_TRUE(reports.empty());
  parts().pool.CloseAll();
  executor_.RunUntilIdle();
  EXPECT_EQ(reports.size(), 2u);
}

}  // namespace
}  // namespace posthorn::delivery
