#include "services/gateway/accept/commit_acceptor.h"

#include <functional>

#include "gtest/gtest.h"
#include "lib/base/failure.h"
#include "lib/base/manual_executor.h"
#include "services/gateway/testing/fake_backends.h"

namespace posthorn::gateway {
namespace {

constexpr TenantId kTenant(1);
constexpr TenantId kOther(2);
constexpr AccountId kAlice(11);
constexpr AccountId kBob(12);

AcceptRecipient Mailbox(TenantId tenant, AccountId account, std::string address) {
  std::vector<Target> targets;
  targets.emplace_back(account, address);
  return AcceptRecipient(std::move(address), tenant, std::move(targets));
}
AcceptRecipient Remote(TenantId tenant, std::string address) {
  return Mailbox(tenant, AccountId(), std::move(address));
}

class CommitAcceptorTest : public testing::Test {
 protected:
  AcceptRequest Request(std::vector<AcceptRecipient> recipients) {
    AcceptRequest request;
    request.received_at = absl::FromUnixSeconds(1136214245);
    request.id = MessageId::Generate(request.received_at);
    request.reverse_path = "s@c.example";
    request.recipients = std::move(recipients);
    request.body = std::make_shared<net::StagedBody>(*area_);
    EXPECT_TRUE(request.body->Append("Message-ID: <1@x>\r\n\r\nhello\r\n").ok());
    request.trace.helo = "client";
    request.trace.client_ip = "192.0.2.1";
    request.trace.protocol = "ESMTP";
    request.message_id_header = "<1@x>";
    return request;
  }
  AcceptResult Accept(AcceptRequest request) {
    std::optional<AcceptResult> result = executor_.Run(acceptor_.Accept(std::move(request)));
    EXPECT_TRUE(result.has_value());
    return *std::move(result);
  }

  ManualExecutor executor_;
  FakeLocalDelivery delivery_;
  FakeSpool spool_;
  CommitAcceptor acceptor_{delivery_, spool_, "mx.example"};
  std::unique_ptr<net::StagingArea> area_ =
      net::StagingArea::Open(testing::TempDir() + "/commit_acceptor", 1 << 20).value();
};

TEST_F(CommitAcceptorTest, DeliversMailboxesDirectly) {
  AcceptRequest request = Request({Mailbox(kTenant, kAlice, "alice@example.test")});
  const MessageId id = request.id;
  const AcceptResult result = Accept(std::move(request));
  EXPECT_TRUE(result.Overall().ok());
  EXPECT_EQ(result.id, id);
  EXPECT_TRUE(spool_.messages.empty());
  ASSERT_EQ(delivery_.messages.size(), 1u);
  const LocalMessage& message = delivery_.messages[0];
  EXPECT_EQ(message.tenant, kTenant);
  EXPECT_EQ(message.id, id);
  EXPECT_EQ(message.resend_key.size(), 32u);
  ASSERT_EQ(message.recipients.size(), 1u);
  EXPECT_EQ(message.recipients[0].account, kAlice);
  EXPECT_EQ(message.recipients[0].prefix,
            "Return-Path: <s@c.example>\r\nDelivered-To: alice@example.test\r\n"
            "Received: from client ([192.0.2.1])\r\n\tby mx.example (Posthorn) with ESMTP id " +
                id.ToString() +
                "\r\n\tfor <alice@example.test>;\r\n\tMon, 02 Jan 2006 15:04:05 +0000\r\n");
}

// A message that names the mailbox in Delivered-To has been in it.
TEST_F(CommitAcceptorTest, RefusesWhatComesBack) {
  AcceptRequest request = Request({Mailbox(kTenant, kAlice, "Alice@example.test")});
  request.delivered_to = {"bob@example.test", "alice@example.test"};
  const AcceptResult result = Accept(std::move(request));
  EXPECT_EQ(FailureOf(result.Overall()), Failure::kMailLoop);
  EXPECT_TRUE(delivery_.messages.empty());
  EXPECT_TRUE(spool_.messages.empty());
}

// Where others take the message, the queue tells the sender of the one that does not.
TEST_F(CommitAcceptorTest, ALoopIsNotTheOthers) {
  for (const bool each : {false, true}) {
    delivery_.messages.clear();
    spool_.messages.clear();
    AcceptRequest request = Request({Mailbox(kTenant, kAlice, "alice@example.test"),
                                     Mailbox(kTenant, kBob, "bob@example.test")});
    request.delivered_to = {"alice@example.test"};
    request.answers_per_recipient = each;
    const AcceptResult result = Accept(std::move(request));
    EXPECT_TRUE(result.recipients[1].ok());
    ASSERT_EQ(delivery_.messages.size(), 1u);
    ASSERT_EQ(delivery_.messages[0].recipients.size(), 1u);
    EXPECT_EQ(delivery_.messages[0].recipients[0].account, kBob);
    if (each) {
      EXPECT_EQ(FailureOf(result.recipients[0]), Failure::kMailLoop);
      EXPECT_TRUE(spool_.messages.empty());
    } else {
      EXPECT_TRUE(result.recipients[0].ok());
      ASSERT_EQ(spool_.messages.size(), 1u);
      EXPECT_EQ(spool_.messages[0].recipients.size(), 1u);
    }
  }
}

TEST_F(CommitAcceptorTest, TheResendKeyIsOfTheMessageAsReceived) {
  AcceptRequest request = Request({Mailbox(kTenant, kAlice, "alice@example.test")});
  request.resend_key = std::string(32, 'k');
  Accept(std::move(request));
  EXPECT_EQ(delivery_.messages[0].resend_key, std::string(32, 'k'));
}

TEST_F(CommitAcceptorTest, RecipientsDoNotLearnOfEachOther) {
  Accept(Request({Mailbox(kTenant, kAlice, "alice@example.test"),
                  Mailbox(kTenant, kBob, "bob@example.test")}));
  ASSERT_EQ(delivery_.messages.size(), 1u);
  ASSERT_EQ(delivery_.messages[0].recipients.size(), 2u);
  for (const LocalRecipient& recipient : delivery_.messages[0].recipients) {
    EXPECT_EQ(recipient.prefix.find("for <"), std::string::npos);
  }
}

TEST_F(CommitAcceptorTest, TwoAddressesOfOneAccountGetOneCopy) {
  const AcceptResult result =
      Accept(Request({Mailbox(kTenant, kAlice, "alice@example.test"),
                      Mailbox(kTenant, kAlice, "info@example.test")}));
  EXPECT_EQ(delivery_.messages[0].recipients.size(), 1u);
  EXPECT_TRUE(result.recipients[0].ok());
  EXPECT_TRUE(result.recipients[1].ok());
}

TEST_F(CommitAcceptorTest, WhatIsNotOnlyMailboxesIsTheQueues) {
  std::vector<Target> two;
  two.emplace_back(kAlice, "alice@example.test");
  two.emplace_back(kBob, "bob@example.test");
  const AcceptRecipient list("list@example.test", kTenant, two);
  for (const AcceptRecipient& recipient : {list, Remote(kTenant, "x@remote.example")}) {
    spool_.messages.clear();
    AcceptRequest request = Request({recipient, Mailbox(kTenant, kBob, "bob@example.test")});
    const MessageId id = request.id;
    EXPECT_TRUE(Accept(std::move(request)).Overall().ok());
    EXPECT_TRUE(delivery_.messages.empty());
    ASSERT_EQ(spool_.messages.size(), 1u);
    EXPECT_EQ(spool_.messages[0].id, id);
    EXPECT_EQ(spool_.messages[0].recipients.size(), 2u);  // bob once
    EXPECT_EQ(spool_.messages[0].prefix.find("Return-Path"), std::string::npos);
    EXPECT_EQ(spool_.messages[0].local_resend_key.size(), 32u);
    EXPECT_NE(spool_.messages[0].local_resend_key, spool_.messages[0].resend_key);
  }
}

TEST_F(CommitAcceptorTest, ManyRecipientsAreTheQueues) {
  std::vector<AcceptRecipient> recipients;
  for (std::size_t i = 0; i <= CommitAcceptor::kMaxDirectRecipients; ++i) {
    recipients.push_back(Mailbox(kTenant, AccountId(100 + static_cast<std::int64_t>(i)),
                                 "u" + std::to_string(i) + "@example.test"));
  }
  EXPECT_TRUE(Accept(Request(recipients)).Overall().ok());
  EXPECT_TRUE(delivery_.messages.empty());
  EXPECT_EQ(spool_.messages.at(0).recipients.size(), recipients.size());
}

TEST_F(CommitAcceptorTest, TemporaryAndDoubtfulDeliveriesFallToTheQueueUnderTheSameId) {
  for (const absl::Status& status :
       {MakeFailure(Failure::kStorageDown), MakeFailure(Failure::kDeadlineExceeded),
        MakeFailure(Failure::kOverQuota), absl::InternalError("?")}) {
    spool_.messages.clear();
    delivery_.answers[kBob] = status;
    AcceptRequest request = Request({Mailbox(kTenant, kAlice, "alice@example.test"),
                                     Mailbox(kTenant, kBob, "bob@example.test")});
    const MessageId id = request.id;
    const AcceptResult result = Accept(std::move(request));
    EXPECT_TRUE(result.Overall().ok());
    EXPECT_EQ(result.id, id);
    ASSERT_EQ(spool_.messages.size(), 1u);
    EXPECT_EQ(spool_.messages[0].id, id);
    ASSERT_EQ(spool_.messages[0].recipients.size(), 1u);
    EXPECT_EQ(spool_.messages[0].recipients[0].account, kBob);
    EXPECT_EQ(spool_.messages[0].local_resend_key, delivery_.messages.back().resend_key);
  }
}

TEST_F(CommitAcceptorTest, AFullMailboxAloneIsTheClientsToTryAgain) {
  delivery_.answers[kBob] = MakeFailure(Failure::kOverQuota);
  const AcceptResult alone = Accept(Request({Mailbox(kTenant, kBob, "bob@example.test")}));
  EXPECT_EQ(FailureOf(alone.Overall()), Failure::kOverQuota);
  EXPECT_TRUE(spool_.messages.empty());
  // LMTP has an answer for each.
  AcceptRequest request = Request({Mailbox(kTenant, kAlice, "alice@example.test"),
                                   Mailbox(kTenant, kBob, "bob@example.test")});
  request.answers_per_recipient = true;
  const AcceptResult each = Accept(std::move(request));
  EXPECT_TRUE(each.recipients[0].ok());
  EXPECT_EQ(FailureOf(each.recipients[1]), Failure::kOverQuota);
  EXPECT_TRUE(spool_.messages.empty());
}

TEST_F(CommitAcceptorTest, TagsTravelToTheMailbox) {
  std::vector<Target> targets;
  targets.emplace_back(kAlice, "alice+lists@example.test");
  std::vector<AcceptRecipient> recipients;
  recipients.emplace_back("sales@example.test", kTenant, std::move(targets));
  EXPECT_TRUE(Accept(Request(recipients)).Overall().ok());
  EXPECT_EQ(delivery_.messages.at(0).recipients.at(0).address, "alice+lists@example.test");
  delivery_.answers[kAlice] = MakeFailure(Failure::kStorageDown);
  EXPECT_TRUE(Accept(Request(recipients)).Overall().ok());
  EXPECT_EQ(spool_.messages.at(0).recipients.at(0).address, "alice+lists@example.test");
}

TEST_F(CommitAcceptorTest, ListsAreTheQueuesToExpand) {
  std::vector<Target> targets;
  targets.emplace_back(AccountId(), "team@example.test");
  targets.back().is_list = true;
  std::vector<AcceptRecipient> recipients;
  recipients.emplace_back("team@example.test", kTenant, std::move(targets));
  EXPECT_TRUE(Accept(Request(recipients)).Overall().ok());
  EXPECT_TRUE(delivery_.messages.empty());
  ASSERT_EQ(spool_.messages.at(0).recipients.size(), 1u);
  EXPECT_EQ(spool_.messages[0].recipients[0].address, "team@example.test");
  EXPECT_FALSE(spool_.messages[0].recipients[0].account);
}

TEST_F(CommitAcceptorTest, WithoutDeliveryAndQueueNothingIsAccepted) {
  delivery_.answers[kAlice] = MakeFailure(Failure::kStorageDown);
  spool_.failure = MakeFailure(Failure::kUnavailable);
  const AcceptResult result = Accept(Request({Mailbox(kTenant, kAlice, "alice@example.test")}));
  EXPECT_FALSE(result.Overall().ok());
  EXPECT_FALSE(IsPermanent(result.Overall()));
}

TEST_F(CommitAcceptorTest, AllRefusedForGoodIsRefused) {
  delivery_.answers[kAlice] = MakeFailure(Failure::kNoSuchRecipient);
  const AcceptResult result = Accept(Request({Mailbox(kTenant, kAlice, "alice@example.test")}));
  EXPECT_EQ(FailureOf(result.Overall()), Failure::kNoSuchRecipient);
  EXPECT_TRUE(spool_.messages.empty());
}

TEST_F(CommitAcceptorTest, ARefusalAmongAcceptedIsTheQueuesToReport) {
  delivery_.answers[kAlice] = MakeFailure(Failure::kNoSuchRecipient);
  const AcceptResult result = Accept(Request({Mailbox(kTenant, kAlice, "alice@example.test"),
                                              Mailbox(kTenant, kBob, "bob@example.test")}));
  EXPECT_TRUE(result.Overall().ok());
  ASSERT_EQ(spool_.messages.size(), 1u);
  ASSERT_EQ(spool_.messages[0].recipients.size(), 1u);
  EXPECT_EQ(spool_.messages[0].recipients[0].account, kAlice);
}

TEST_F(CommitAcceptorTest, LmtpAnswersEachRecipient) {
  delivery_.answers[kAlice] = MakeFailure(Failure::kNoSuchRecipient);
  AcceptRequest request = Request({Mailbox(kTenant, kAlice, "alice@example.test"),
                                   Mailbox(kTenant, kBob, "bob@example.test")});
  request.answers_per_recipient = true;
  const AcceptResult result = Accept(std::move(request));
  EXPECT_EQ(FailureOf(result.recipients[0]), Failure::kNoSuchRecipient);
  EXPECT_TRUE(result.recipients[1].ok());
  EXPECT_TRUE(spool_.messages.empty());
}

TEST_F(CommitAcceptorTest, EachTenantHasItsOwnEnvelope) {
  const AcceptResult result =
      Accept(Request({Mailbox(kTenant, kAlice, "alice@example.test"),
                      Mailbox(kOther, kBob, "bob@other.test"), Remote(kOther, "x@r.example")}));
  EXPECT_TRUE(result.Overall().ok());
  ASSERT_EQ(delivery_.messages.size(), 1u);
  EXPECT_EQ(delivery_.messages[0].tenant, kTenant);
  EXPECT_EQ(delivery_.messages[0].recipients.size(), 1u);
  ASSERT_EQ(spool_.messages.size(), 1u);
  EXPECT_EQ(spool_.messages[0].tenant, kOther);
  EXPECT_EQ(spool_.messages[0].recipients.size(), 2u);
}

TEST_F(CommitAcceptorTest, AMessageHalfCommittedIsSentAgain) {
  spool_.failures[kOther] = MakeFailure(Failure::kStorageDown);
  const AcceptResult result = Accept(Request(
      {Mailbox(kTenant, kAlice, "alice@example.test"), Remote(kOther, "x@r.example")}));
  EXPECT_TRUE(result.recipients[0].ok());
  EXPECT_FALSE(result.Overall().ok());
  EXPECT_FALSE(IsPermanent(result.Overall()));
}

TEST_F(CommitAcceptorTest, IdempotencyKeysAreTheQueues) {
  const MessageId first = MessageId::Generate(absl::FromUnixSeconds(1000));
  spool_.answer = Enqueued(first, true);
  AcceptRequest request = Request({Mailbox(kTenant, kAlice, "alice@example.test")});
  request.idempotency_key = "k";
  request.sender_tenant = kTenant;
  const AcceptResult result = Accept(std::move(request));
  EXPECT_TRUE(delivery_.messages.empty());
  EXPECT_EQ(spool_.messages.at(0).idempotency_key, "k");
  EXPECT_EQ(result.id, first);
  EXPECT_TRUE(result.duplicate);
}

TEST_F(CommitAcceptorTest, IdempotencyKeysOfTwoSendersAreTwoKeysInAThirdTenant) {
  for (const TenantId sender : {TenantId(7), TenantId(8)}) {
    AcceptRequest request = Request({Mailbox(kTenant, kAlice, "alice@example.test")});
    request.idempotency_key = "k";
    request.sender_tenant = sender;
    EXPECT_FALSE(Accept(std::move(request)).duplicate);
  }
  ASSERT_EQ(spool_.messages.size(), 2u);
  EXPECT_NE(spool_.messages[0].idempotency_key, "k");
  EXPECT_NE(spool_.messages[0].idempotency_key, spool_.messages[1].idempotency_key);
  EXPECT_LE(spool_.messages[0].idempotency_key.size(), 128u);
}

// Also where every recipient is a mailbox here: only the queue holds, watches a deadline, insists
// on TLS and tells of success.
TEST_F(CommitAcceptorTest, WhatOnlyTheQueueCanDoGoesThere) {
  struct Row {
    const char* name;
    std::function<void(AcceptRequest&)> ask;
    bool queue;
  };
  const Row rows[] = {
      {"hold", [](AcceptRequest& r) { r.options.hold_until = r.received_at; }, true},
      {"deliver by", [](AcceptRequest& r) { r.options.deliver_by.emplace(); }, true},
      {"require tls", [](AcceptRequest& r) { r.options.require_tls = true; }, true},
      {"success", [](AcceptRequest& r) { r.recipients[1].options.notify.success = true; }, true},
      {"failure", [](AcceptRequest& r) { r.recipients[1].options.notify.failure = true; }, false},
      {"never", [](AcceptRequest& r) { r.recipients[1].options.notify.never = true; }, false},
      {"priority", [](AcceptRequest& r) { r.options.priority = 3; }, false},
      {"ret", [](AcceptRequest& r) { r.options.ret = smtp::DsnReturn::kFull; }, false},
  };
  for (const Row& row : rows) {
    spool_.messages.clear();
    delivery_.messages.clear();
    AcceptRequest request = Request({Mailbox(kTenant, kAlice, "alice@example.test"),
                                     Mailbox(kTenant, kBob, "bob@example.test")});
    row.ask(request);
    EXPECT_TRUE(Accept(std::move(request)).Overall().ok()) << row.name;
    EXPECT_EQ(spool_.messages.size(), row.queue ? 1u : 0u) << row.name;
    EXPECT_EQ(delivery_.messages.size(), row.queue ? 0u : 1u) << row.name;
  }
}

TEST_F(CommitAcceptorTest, OptionsTravelToTheQueue) {
  AcceptRequest request =
      Request({Remote(kTenant, "x@remote.example"), Mailbox(kTenant, kBob, "bob@example.test")});
  request.options.envelope_id = "id";
  request.options.priority = -3;
  request.recipients[1].options.notify.never = true;
  request.recipients[1].options.original_recipient = "rfc822;b@example.net";
  Accept(std::move(request));
  const OutboundMessage& message = spool_.messages.at(0);
  EXPECT_EQ(message.options.envelope_id, "id");
  EXPECT_EQ(message.options.priority, -3);
  EXPECT_FALSE(message.options.smtputf8);
  EXPECT_FALSE(message.recipients.at(0).options.notify.IsGiven());
  EXPECT_TRUE(message.recipients.at(1).options.notify.never);
  EXPECT_EQ(message.recipients.at(1).options.original_recipient, "rfc822;b@example.net");
}

// RFC 6531: by what is sent, whoever asked: an alias may lead from ASCII to UTF-8.
TEST_F(CommitAcceptorTest, KnowsWhatNeedsSmtpUtf8) {
  std::vector<Target> target;
  target.emplace_back(AccountId(), "\xc3\xa4@remote.example");
  Accept(Request({AcceptRecipient("info@example.test", kTenant, target)}));
  EXPECT_TRUE(spool_.messages.at(0).options.smtputf8);
  AcceptRequest request = Request({Remote(kTenant, "x@remote.example")});
  request.reverse_path = "\xc3\xa4@c.example";
  Accept(std::move(request));
  EXPECT_TRUE(spool_.messages.at(1).options.smtputf8);
}

TEST_F(CommitAcceptorTest, WithoutMessageIdThereIsNoResendKey) {
  AcceptRequest request = Request({Mailbox(kTenant, kAlice, "alice@example.test")});
  request.message_id_header.clear();
  Accept(std::move(request));
  EXPECT_EQ(delivery_.messages.at(0).resend_key, "");
}

}  // namespace
}  // namespace posthorn::gateway
