#include "services/delivery/job_runner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/base/manual_executor.h"
#include "lib/dns/fake_resolver.h"
#include "services/delivery/testing/fakes.h"

namespace posthorn::delivery {
namespace {

using ::testing::HasSubstr;

class JobRunnerTest : public ::testing::Test {
 protected:
  JobRunnerTest() {
    job_.key.tenant = TenantId(1);
    job_.key.destination = kLocalDestination;
    job_.message_id = MessageId::Generate(absl::FromUnixSeconds(5));
    job_.reverse_path = "from@example.org";
    job_.inline_body = "Subject: hi\r\n\r\nbody\r\n";
    job_.received_at = clock_.Now();
    job_.expires_at = clock_.Now() + absl::Hours(100);
    JobRecipient recipient;
    recipient.recipient_id = 7;
    recipient.address = recipient.original_address = "a@example.test";
    recipient.account = AccountId(10);
    job_.recipients.push_back(recipient);
  }
  ~JobRunnerTest() override { executor_.RunUntilIdle(); }

  void SetDeliverBy(absl::Duration in, bool return_after) {
    job_.options.deliver_by.emplace();
    job_.options.deliver_by->by = clock_.Now() + in;
    job_.options.deliver_by->return_after = return_after;
  }
  void Fail() { mailbox_.failure = MakeFailure(Failure::kStorageDown); }
  JobReport Run() { return executor_.Run(runner_.Run(job_, lease_)).value(); }

  ManualExecutor executor_;
  FakeClock clock_{absl::FromUnixSeconds(1000000)};
  dns::FakeResolver dns_;
  FakeQueue queue_;
  FakeDirectory directory_;
  FakeMailbox mailbox_;
  FakeLease lease_;
  FakeConnector connector_{executor_};
  MailRouter router_{MailRouterOptions(), RouteTable(), dns_, clock_};
  ConnectionPool pool_{PoolOptions(), ConnectionOptions(), executor_, connector_, clock_};
  RemoteDelivery remote_{RemoteOptions(), router_, pool_, queue_, clock_};
  LocalDelivery local_{mailbox_, directory_, queue_, clock_};
  Bounces bounces_{"mail.example.test", directory_, queue_, clock_};
  DeliveryJobRunner runner_{remote_, local_, bounces_};
  Job job_;
};

TEST_F(JobRunnerTest, ASuccessIsToldWithTheReportOfIt) {
  EXPECT_TRUE(Run().notifications.empty());
  RecipientOptions& options = job_.recipients[0].options;
  options.notify_given = options.success = true;
  const JobReport report = Run();
  EXPECT_EQ(report.results[0].outcome, Outcome::kDelivered);
  ASSERT_EQ(report.notifications.size(), 1u);
  EXPECT_THAT(report.notifications[0].inline_body, HasSubstr("Action: delivered"));
}

TEST_F(JobRunnerTest, NothingIsTriedPastTheTimeOfModeR) {
  SetDeliverBy(absl::Seconds(60), true);
  Fail();
  JobReport report = Run();
  EXPECT_EQ(report.results[0].outcome, Outcome::kDeferred);
  EXPECT_EQ(report.retry_before, job_.options.deliver_by->by);
  clock_.Advance(absl::Seconds(60));
  mailbox_.failure = absl::OkStatus();
  report = Run();
  EXPECT_EQ(report.results[0].outcome, Outcome::kBounced);
  EXPECT_EQ(report.results[0].enhanced, "5.4.7");
  EXPECT_TRUE(mailbox_.deliveries.empty());
  ASSERT_EQ(report.notifications.size(), 1u);
  EXPECT_THAT(report.notifications[0].inline_body, HasSubstr("Action: failed\r\nStatus: 5.4.7"));
}

TEST_F(JobRunnerTest, PastTheTimeOfModeNTheSenderIsToldAndDeliveryGoesOn) {
  SetDeliverBy(absl::Seconds(60), false);
  Fail();
  JobReport report = Run();
  EXPECT_FALSE(report.deliver_by_notified);
  EXPECT_EQ(report.retry_before, job_.options.deliver_by->by);
  clock_.Advance(absl::Seconds(60));
  report = Run();
  EXPECT_TRUE(report.deliver_by_notified);
  EXPECT_FALSE(report.retry_before.has_value());
  ASSERT_EQ(report.notifications.size(), 1u);
  EXPECT_THAT(report.notifications[0].inline_body, HasSubstr("Action: delayed"));
  job_.deliver_by_notified = true;
  report = Run();
  EXPECT_TRUE(report.notifications.empty());
  EXPECT_FALSE(report.retry_before.has_value());
  mailbox_.failure = absl::OkStatus();
  EXPECT_EQ(Run().results[0].outcome, Outcome::kDelivered);
}

TEST_F(JobRunnerTest, NothingBouncesWithoutItsNotification) {
  mailbox_.failures[{TenantId(1), AccountId(10)}] = MakeFailure(Failure::kAccountDisabled);
  job_.options.ret = EnvelopeOptions::Ret::kFull;
  while (job_.inline_body.size() < 90000) job_.inline_body += "a line of the body\r\n";
  queue_.put_failure = MakeFailure(Failure::kStorageDown);
  JobReport report = Run();
  EXPECT_EQ(report.results[0].outcome, Outcome::kDeferred);
  EXPECT_TRUE(report.notifications.empty());
  queue_.put_failure = absl::OkStatus();
  report = Run();
  EXPECT_EQ(report.results[0].outcome, Outcome::kBounced);
  EXPECT_EQ(report.notifications.size(), 1u);
}

TEST_F(JobRunnerTest, AForwardLeavesOnceThoughItsNotificationHadToWait) {
  job_.recipients[0].account = AccountId();
  Resolution alias;
  alias.kind = Resolution::Kind::kLocal;
  alias.tenant = TenantId(1);
  alias.targets.resize(2);
  alias.targets[0].account = AccountId(10);
  alias.targets[0].address = "a@example.test";
  alias.targets[1].remote_address = "away@example.net";
  directory_.addresses["a@example.test"] = alias;
  mailbox_.failures[{TenantId(1), AccountId(10)}] = MakeFailure(Failure::kAccountDisabled);
  job_.options.ret = EnvelopeOptions::Ret::kFull;
  while (job_.inline_body.size() < 90000) job_.inline_body += "a line of the body\r\n";
  queue_.put_failure = MakeFailure(Failure::kStorageDown);
  EXPECT_TRUE(Run().notifications.empty());
  queue_.put_failure = absl::OkStatus();
  const JobReport report = Run();
  ASSERT_EQ(report.notifications.size(), 2u);
  EXPECT_EQ(report.notifications[1].recipients[0].address, "away@example.net");
}

TEST_F(JobRunnerTest, EachRecipientHasItsReversePathWhereTheMessageAsks) {
  job_.options.verp_delimiters = "+=";
  JobRecipient second;
  second.recipient_id = 8;
  second.address = "b@example.test";
  second.original_address = "list-b@example.net";
  second.account = AccountId(11);
  job_.recipients.push_back(second);
  JobReport report = Run();
  ASSERT_EQ(report.results.size(), 2u);
  EXPECT_THAT(report.recipient_ids, testing::ElementsAre(7, 8));
  EXPECT_EQ(report.results[0].outcome, Outcome::kDelivered);
  EXPECT_EQ(report.results[1].outcome, Outcome::kDelivered);
  ASSERT_EQ(mailbox_.deliveries.size(), 2u);
  EXPECT_EQ(mailbox_.deliveries[0].reverse_path, "from+a=example.test@example.org");
  EXPECT_THAT(mailbox_.deliveries[0].recipients[0].prefix,
              HasSubstr("Return-Path: <from+a=example.test@example.org>\r\n"));
  EXPECT_EQ(mailbox_.deliveries[1].reverse_path, "from+list-b=example.net@example.org");

  mailbox_.failures[{TenantId(1), AccountId(10)}] = MakeFailure(Failure::kStorageDown);
  mailbox_.failures[{TenantId(1), AccountId(11)}] = MakeFailure(Failure::kAccountDisabled);
  report = Run();
  EXPECT_EQ(report.results[0].outcome, Outcome::kDeferred);
  EXPECT_EQ(report.results[1].outcome, Outcome::kBounced);
  ASSERT_EQ(report.notifications.size(), 1u);
  EXPECT_EQ(report.notifications[0].recipients[0].address, "from+list-b=example.net@example.org");
  EXPECT_EQ(report.notifications[0].reverse_path, "");

  // A bounce has no sender to make another of.
  mailbox_.failures.clear();
  mailbox_.deliveries.clear();
  job_.reverse_path.clear();
  Run();
  ASSERT_EQ(mailbox_.deliveries.size(), 1u);
  EXPECT_EQ(mailbox_.deliveries[0].reverse_path, "");
}

TEST_F(JobRunnerTest, ReturnsWhatAnOperatorWantsReturned) {
  job_.bounce_reason = "sent by a stolen account";
  const JobReport report = Run();
  EXPECT_EQ(report.results[0].outcome, Outcome::kBounced);
  EXPECT_TRUE(mailbox_.deliveries.empty());
  ASSERT_EQ(report.notifications.size(), 1u);
  EXPECT_THAT(report.notifications[0].inline_body, HasSubstr("sent by a stolen account"));
}

}  // namespace
}  // namespace posthorn::delivery
