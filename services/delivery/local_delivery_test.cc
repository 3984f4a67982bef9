#include "services/delivery/local_delivery.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "lib/base/manual_executor.h"
#include "services/delivery/testing/fakes.h"

namespace posthorn::delivery {
namespace {

class LocalDeliveryTest : public ::testing::Test {
 protected:
  static Job MakeJob() {
    Job job;
    job.key.tenant = TenantId(1);
    job.key.destination = "local";
    job.message_id = MessageId::Generate(absl::FromUnixSeconds(5));
    job.reverse_path = "from@example.org";
    job.prefix = "Received: x\r\n";
    job.inline_body = "Subject: hi\r\n\r\nbody\r\n";
    return job;
  }
  static void Add(Job& job, std::string address, AccountId account) {
    JobRecipient recipient;
    recipient.address = recipient.original_address = std::move(address);
    recipient.account = account;
    job.recipients.push_back(std::move(recipient));
  }
  LocalResult Deliver(const Job& job) { return executor_.Run(local_.Deliver(job)).value(); }
  // In which of the enqueued messages each recipient is.
  std::map<std::string, MessageId> IdsByRecipient() const {
    std::map<std::string, MessageId> ids;
    for (const OutboundMessage& message : queue_.enqueued) {
      for (const OutboundRecipient& recipient : message.recipients) {
        EXPECT_TRUE(ids.emplace(recipient.address, message.message_id).second) << recipient.address;
      }
    }
    return ids;
  }

  ManualExecutor executor_;
  FakeClock clock_{absl::FromUnixSeconds(1000)};
  FakeQueue queue_;
  FakeDirectory directory_;
  FakeMailbox mailbox_;
  LocalDelivery local_{mailbox_, directory_, queue_, clock_};
};

TEST_F(LocalDeliveryTest, StoresWithTheSameIdAndTraceHeaders) {
  Job job = MakeJob();
  Add(job, "a@example.test", AccountId(10));
  Add(job, "b@example.test", AccountId(11));
  const LocalResult result = Deliver(job);
  EXPECT_EQ(result.results[0].outcome, Outcome::kDelivered);
  EXPECT_EQ(result.results[1].outcome, Outcome::kDelivered);
  ASSERT_EQ(mailbox_.deliveries.size(), 1u);
  const MailboxDelivery& delivery = mailbox_.deliveries[0];
  EXPECT_EQ(delivery.tenant, TenantId(1));
  EXPECT_EQ(delivery.message_id, job.message_id);
  EXPECT_EQ(delivery.inline_body, job.inline_body);
  ASSERT_EQ(delivery.recipients.size(), 2u);
  EXPECT_EQ(delivery.recipients[1].prefix,
            "Return-Path: <from@example.org>\r\nDelivered-To: b@example.test\r\nReceived: x\r\n");
}

TEST_F(LocalDeliveryTest, CopiesALargeBodyOnce) {
  Job job = MakeJob();
  job.inline_body.clear();
  job.stored_body.emplace();
  job.stored_body->sha256 = "x";
  queue_.bodies["x"] = std::string(5000, 'b');
  job.stored_body->size = 5000;
  Add(job, "a@example.test", AccountId(10));
  Add(job, "b@example.test", AccountId(0));
  directory_.AddAccount("b@example.test", TenantId(1), AccountId(11));
  EXPECT_EQ(Deliver(job).results[0].outcome, Outcome::kDelivered);
  ASSERT_EQ(mailbox_.bodies.size(), 1u);
  EXPECT_EQ(mailbox_.bodies[0].second, queue_.bodies["x"]);
  EXPECT_EQ(mailbox_.deliveries[1].stored_body->sha256, "stored");
}

TEST_F(LocalDeliveryTest, ABodyThatEndsEarlyIsNotDelivered) {
  Job job = MakeJob();
  job.stored_body.emplace();
  job.stored_body->sha256 = "x";
  job.stored_body->size = 5000;
  queue_.bodies["x"] = "short";
  Add(job, "a@example.test", AccountId(10));
  EXPECT_EQ(Deliver(job).results[0].outcome, Outcome::kDeferred);
  EXPECT_TRUE(mailbox_.deliveries.empty());
}

// What names a mailbox in Delivered-To has been in it.
TEST_F(LocalDeliveryTest, ALoopBouncesForThatMailboxAlone) {
  Job job = MakeJob();
  const std::string message = "Delivered-To: A@example.test\r\nDelivered-To: c@example.test\r\n\r\n";
  Add(job, "a@example.test", AccountId(10));
  Add(job, "b@example.test", AccountId(11));
  Add(job, "all@example.test", AccountId());
  directory_.AddAccount("all@example.test", TenantId(1), AccountId(12));
  directory_.addresses["all@example.test"].targets[0].address = "c@example.test";
  for (const bool stored : {false, true}) {
    mailbox_.deliveries.clear();
    job.inline_body = stored ? "" : message;
    if (stored) {
      job.stored_body.emplace();
      job.stored_body->sha256 = "x";
      job.stored_body->size = message.size();
      queue_.bodies["x"] = message;
    }
    const LocalResult result = Deliver(job);
    for (const std::size_t looped : {0, 2}) {
      EXPECT_EQ(result.results[looped].outcome, Outcome::kBounced);
      EXPECT_EQ(result.results[looped].enhanced, "5.4.6");
    }
    EXPECT_EQ(result.results[1].outcome, Outcome::kDelivered);
    ASSERT_EQ(mailbox_.deliveries.size(), 1u);
    EXPECT_EQ(mailbox_.deliveries[0].recipients.size(), 1u);
  }
}

TEST_F(LocalDeliveryTest, AForwardDoesNotReturnToItsAlias) {
  Job job = MakeJob();
  job.prefix = "Delivered-To: all@example.test\r\n" + job.prefix;
  Add(job, "all@example.test", AccountId());
  directory_.AddAccount("all@example.test", TenantId(1), AccountId(12));
  EXPECT_EQ(Deliver(job).results[0].enhanced, "5.4.6");
  EXPECT_TRUE(mailbox_.deliveries.empty());
}

TEST_F(LocalDeliveryTest, EachRecipientHasItsOwnResult) {
  Job job = MakeJob();
  Add(job, "a@example.test", AccountId(10));
  Add(job, "b@example.test", AccountId(11));
  Add(job, "c@example.test", AccountId(12));
  mailbox_.failures[{TenantId(1), AccountId(11)}] = MakeFailure(Failure::kOverQuota);
  mailbox_.failures[{TenantId(1), AccountId(12)}] = MakeFailure(Failure::kAccountDisabled);
  const LocalResult result = Deliver(job);
  EXPECT_EQ(result.results[0].outcome, Outcome::kDelivered);
  EXPECT_EQ(result.results[1].outcome, Outcome::kDeferred);
  EXPECT_EQ(result.results[1].enhanced, "4.2.2");
  EXPECT_EQ(result.results[2].outcome, Outcome::kBounced);
  EXPECT_EQ(result.results[2].enhanced, "5.2.1");
}

TEST_F(LocalDeliveryTest, ACallThatFailsAsAWholeNeverBounces) {
  Job job = MakeJob();
  Add(job, "a@example.test", AccountId(10));
  for (const Failure failure : {Failure::kStorageDown, Failure::kPermissionDenied}) {
    mailbox_.failure = MakeFailure(failure);
    EXPECT_EQ(Deliver(job).results[0].outcome, Outcome::kDeferred);
  }
}

TEST_F(LocalDeliveryTest, AnAccountThatIsGoneIsLookedUpAgain) {
  Job job = MakeJob();
  Add(job, "moved@example.test", AccountId(10));
  Add(job, "gone@example.test", AccountId(11));
  for (const int id : {10, 11}) {
    mailbox_.failures[{TenantId(1), AccountId(id)}] = MakeFailure(Failure::kNotFound);
  }
  directory_.AddAccount("moved@example.test", TenantId(2), AccountId(20));
  directory_.addresses["gone@example.test"].kind = Resolution::Kind::kNoSuchRecipient;
  const LocalResult result = Deliver(job);
  EXPECT_EQ(result.results[0].outcome, Outcome::kDelivered);
  EXPECT_EQ(mailbox_.deliveries.back().tenant, TenantId(2));
  EXPECT_EQ(result.results[1].outcome, Outcome::kBounced);
  EXPECT_EQ(result.results[1].enhanced, "5.1.1");
}

TEST_F(LocalDeliveryTest, AnAliasMayLeaveThePlatform) {
  Job job = MakeJob();
  Add(job, "list@example.test", AccountId(0));
  directory_.AddAccount("list@example.test", TenantId(1), AccountId(10));
  ResolvedTarget away;
  away.remote_address = "away@example.net";
  directory_.addresses["list@example.test"].targets.push_back(away);

  mailbox_.failures[{TenantId(1), AccountId(10)}] = MakeFailure(Failure::kStorageDown);
  LocalResult result = Deliver(job);
  EXPECT_EQ(result.results[0].outcome, Outcome::kDeferred);
  EXPECT_TRUE(result.forwards.empty());  // or each attempt would send one

  mailbox_.failures.clear();
  result = Deliver(job);
  EXPECT_EQ(result.results[0].outcome, Outcome::kDelivered);
  ASSERT_EQ(result.forwards.size(), 1u);
  EXPECT_EQ(result.forwards[0].recipients[0].address, "away@example.net");
  EXPECT_EQ(result.forwards[0].reverse_path, "from@example.org");
  EXPECT_EQ(result.forwards[0].inline_body, job.inline_body);
  EXPECT_NE(result.forwards[0].message_id, job.message_id);
}

ListExpansion Members(int accounts, int remote) {
  ListExpansion list;
  list.tenant = TenantId(1);
  list.address = "team@example.test";
  list.bounces = "owner@example.test";
  for (int i = 0; i < accounts; ++i) {
    ResolvedTarget target;
    target.account = AccountId(100 + i);
    target.address = absl::StrCat("a", i, "@example.test");
    list.targets.push_back(std::move(target));
  }
  for (int i = 0; i < remote; ++i) {
    ResolvedTarget target;
    target.remote_address = absl::StrCat("r", i, "@example.net");
    list.targets.push_back(std::move(target));
  }
  return list;
}

TEST_F(LocalDeliveryTest, AListsMembersAreTheQueuesUnderTheOwnersName) {
  Job job = MakeJob();
  Add(job, "team@example.test", AccountId(0));
  Resolution& resolution = directory_.addresses["team@example.test"];
  resolution.kind = Resolution::Kind::kLocal;
  resolution.tenant = TenantId(1);
  resolution.targets.emplace_back().list_address = "team@example.test";
  directory_.lists["team@example.test"] = Members(1, 1);
  const LocalResult result = Deliver(job);
  EXPECT_EQ(result.results[0].outcome, Outcome::kDelivered);
  EXPECT_EQ(result.results[0].text, "sent to 2 members");
  EXPECT_TRUE(result.forwards.empty()) << "a report may come too late to bring anything along";
  ASSERT_EQ(queue_.enqueued.size(), 1u);
  const OutboundMessage message = queue_.enqueued[0];
  EXPECT_EQ(message.tenant, TenantId(1));
  EXPECT_EQ(message.reverse_path, "owner@example.test");
  EXPECT_EQ(message.prefix,
            "List-Id: <team.example.test>\r\nDelivered-To: team@example.test\r\nReceived: x\r\n");
  EXPECT_EQ(message.inline_body, job.inline_body);
  ASSERT_EQ(message.recipients.size(), 2u);
  EXPECT_EQ(message.recipients[0].account, AccountId(100));
  EXPECT_EQ(message.recipients[0].address, "a0@example.test");
  EXPECT_FALSE(message.recipients[1].account);
  EXPECT_EQ(message.recipients[1].address, "r0@example.net");
  EXPECT_NE(message.message_id, job.message_id);
  // Another attempt enqueues the same id, so that the queue knows it; another message another.
  EXPECT_EQ(Deliver(job).results[0].outcome, Outcome::kDelivered);
  EXPECT_EQ(queue_.enqueued[1].message_id, message.message_id);
  job.message_id = MessageId::Generate(absl::FromUnixSeconds(6));
  Deliver(job);
  EXPECT_NE(queue_.enqueued[2].message_id, message.message_id);
}

TEST_F(LocalDeliveryTest, AVeryLargeListIsSeveralMessages) {
  Job job = MakeJob();
  Add(job, "team@example.test", AccountId(0));
  Resolution& resolution = directory_.addresses["team@example.test"];
  resolution.kind = Resolution::Kind::kLocal;
  resolution.tenant = TenantId(1);
  resolution.targets.emplace_back().list_address = "team@example.test";
  directory_.lists["team@example.test"] = Members(1, 10000);
  Deliver(job);
  const std::map<std::string, MessageId> first = IdsByRecipient();
  EXPECT_EQ(first.size(), 10001u);
  EXPECT_GT(queue_.enqueued.size(), 1u);
  for (const OutboundMessage& message : queue_.enqueued) {
    EXPECT_LE(message.recipients.size(), 1000u);
  }
  // Who stays is in the same message at the next attempt, which the queue knows then.
  queue_.enqueued.clear();
  ListExpansion& list = directory_.lists["team@example.test"];
  list.targets.erase(list.targets.begin());
  list.targets.emplace_back().remote_address = "new@example.net";
  Deliver(job);
  std::map<std::string, MessageId> second = IdsByRecipient();
  EXPECT_EQ(second.erase("new@example.net"), 1u);
  EXPECT_EQ(second.size(), 10000u);
  for (const auto& [address, id] : second) EXPECT_EQ(first.at(address), id) << address;
}

TEST_F(LocalDeliveryTest, AListOfAnotherTenantAsksWhoMayPost) {
  // An alias of ours leads there: whom its own gateway has not asked may not come this way.
  Job job = MakeJob();
  Add(job, "team@example.test", AccountId(0));
  Resolution& resolution = directory_.addresses["team@example.test"];
  resolution.kind = Resolution::Kind::kLocal;
  resolution.tenant = TenantId(2);
  resolution.targets.emplace_back().list_address = "team@example.test";
  directory_.lists["team@example.test"] = Members(1, 0);
  directory_.lists["team@example.test"].tenant = TenantId(2);
  EXPECT_EQ(Deliver(job).results[0].enhanced, "5.7.1");
  EXPECT_TRUE(queue_.enqueued.empty());
  directory_.may_post.emplace("team@example.test", job.reverse_path);
  EXPECT_EQ(Deliver(job).results[0].outcome, Outcome::kDelivered);
  ASSERT_EQ(queue_.enqueued.size(), 1u);
  EXPECT_EQ(queue_.enqueued[0].tenant, job.key.tenant) << "the body is this tenant's";
  EXPECT_FALSE(queue_.enqueued[0].recipients[0].account) << "it is no account of this tenant";
  EXPECT_EQ(queue_.enqueued[0].recipients[0].address, "a0@example.test");
}

TEST_F(LocalDeliveryTest, AListThatCannotBeServedWaitsOrIsToldOf) {
  Job job = MakeJob();
  Add(job, "team@example.test", AccountId(0));
  Resolution& resolution = directory_.addresses["team@example.test"];
  resolution.kind = Resolution::Kind::kLocal;
  resolution.tenant = TenantId(1);
  resolution.targets.emplace_back().list_address = "team@example.test";
  // Gone since it was resolved.
  EXPECT_EQ(Deliver(job).results[0].enhanced, "5.1.1");
  directory_.lists["team@example.test"] = Members(2, 0);
  queue_.enqueue_failure = MakeFailure(Failure::kInvalidArgument);
  EXPECT_EQ(Deliver(job).results[0].outcome, Outcome::kDeferred) << "never a reason to bounce";
  queue_.enqueue_failure = absl::OkStatus();
  // A notification reaches no members.
  job.reverse_path.clear();
  EXPECT_EQ(Deliver(job).results[0].outcome, Outcome::kBounced);
  EXPECT_TRUE(queue_.enqueued.empty());
}

TEST_F(LocalDeliveryTest, ASuspendedAddressIsAnsweredByPolicy) {
  Job job = MakeJob();
  Add(job, "a@example.test", AccountId(0));
  Resolution& resolution = directory_.addresses["a@example.test"];
  resolution.kind = Resolution::Kind::kRefused;
  resolution.refusal = MakeFailure(Failure::kDomainSuspended);
  EXPECT_EQ(Deliver(job).results[0].enhanced, "5.3.2");
  resolution.refusal = MakeFailure(Failure::kAccountSuspendedForNow);
  EXPECT_EQ(Deliver(job).results[0].outcome, Outcome::kDeferred);
}

TEST_F(LocalDeliveryTest, WhatWasAskedForGoesOnWithAForward) {
  ResolvedTarget away;
  away.remote_address = "away@example.net";
  Resolution& alias = directory_.addresses["alias@example.test"];
  alias.kind = Resolution::Kind::kLocal;
  alias.tenant = TenantId(1);
  alias.targets = {away};
  Job job = MakeJob();
  job.options.envelope_id = "QQ1";
  job.options.require_tls = true;
  job.options.hold_until = clock_.Now() - absl::Hours(1);
  Add(job, "alias@example.test", AccountId());
  RecipientOptions& options = job.recipients[0].options;
  options.notify_given = options.success = options.delay = true;
  LocalResult result = Deliver(job);
  EXPECT_EQ(result.results[0].handover, Handover::kForwarded);
  ASSERT_EQ(result.forwards.size(), 1u);
  EXPECT_EQ(result.forwards[0].options.envelope_id, "QQ1");
  EXPECT_TRUE(result.forwards[0].options.require_tls);
  EXPECT_FALSE(result.forwards[0].options.hold_until.has_value());
  EXPECT_TRUE(result.forwards[0].recipients[0].options.success);
  EXPECT_EQ(result.forwards[0].recipients[0].options.original_recipient,
            "rfc822;alias@example.test");

  // An alias of several is an expansion: its success is told here, and not asked of the next.
  alias.targets.push_back(away);
  result = Deliver(job);
  EXPECT_EQ(result.results[0].handover, Handover::kExpanded);
  EXPECT_FALSE(result.forwards[0].recipients[0].options.success);
  EXPECT_TRUE(result.forwards[0].recipients[0].options.delay);
  EXPECT_FALSE(result.forwards[0].recipients[0].options.never);
  options.delay = false;
  result = Deliver(job);
  EXPECT_TRUE(result.forwards[0].recipients[0].options.never);
}

TEST_F(LocalDeliveryTest, WithoutTheDirectoryAnUnknownRecipientWaits) {
  Job job = MakeJob();
  Add(job, "a@example.test", AccountId(0));
  directory_.failure = MakeFailure(Failure::kUnavailable);
  EXPECT_EQ(Deliver(job).results[0].outcome, Outcome::kDeferred);
}

TEST_F(LocalDeliveryTest, RemembersWhoseADomainIs) {
  directory_.AddAccount("a@example.test", TenantId(1), AccountId(1));
  const auto ask = [&](const std::string& domain) {
    return executor_.Run(local_.IsOurs(domain, "a@" + domain)).value();
  };
  EXPECT_TRUE(*ask("example.test"));
  EXPECT_FALSE(*ask("example.net"));
  EXPECT_FALSE(*ask("example.net"));
  EXPECT_EQ(directory_.calls, 2);
  clock_.Advance(absl::Seconds(30));
  directory_.failure = MakeFailure(Failure::kUnavailable);
  EXPECT_FALSE(*ask("example.net"));  // what was known bridges an outage
  EXPECT_FALSE(ask("new.example").ok());
  clock_.Advance(absl::Hours(2));
  EXPECT_FALSE(ask("example.net").ok());
}

}  // namespace
}  // namespace posthorn::delivery
