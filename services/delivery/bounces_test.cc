#include "services/delivery/bounces.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/base/manual_executor.h"
#include "services/delivery/testing/fakes.h"

namespace posthorn::delivery {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class BouncesTest : public ::testing::Test {
 protected:
  BouncesTest() {
    job_.key.tenant = TenantId(1);
    job_.reverse_path = "from@example.test";
    job_.prefix = "Received: x\r\n";
    job_.inline_body = "Subject: hi\r\n\r\nsecret\r\n";
    job_.received_at = clock_.Now() - absl::Hours(1);
    job_.expires_at = clock_.Now() + absl::Hours(100);
    for (const char* address : {"a@example.net", "b@example.net"}) {
      JobRecipient recipient;
      recipient.address = recipient.original_address = address;
      job_.recipients.push_back(recipient);
    }
    directory_.AddAccount("from@example.test", TenantId(1), AccountId(10));
  }
  static RecipientResult Result(Outcome outcome, std::string enhanced, std::string text) {
    RecipientResult result;
    result.outcome = outcome;
    result.enhanced = std::move(enhanced);
    result.text = std::move(text);
    return result;
  }
  std::vector<OutboundMessage> Compose(const std::vector<RecipientResult>& results) {
    auto composed = executor_.Run(bounces_.Compose(job_, results, bounces_.IsOverdue(job_)));
    EXPECT_TRUE(composed.has_value() && composed->ok());
    return **std::move(composed);
  }

  ManualExecutor executor_;
  FakeClock clock_{absl::FromUnixSeconds(1000000)};
  FakeQueue queue_;
  FakeDirectory directory_;
  Bounces bounces_{"mail.example.test", directory_, queue_, clock_};
  Job job_;
  const RecipientResult delivered_ = Result(Outcome::kDelivered, "2.0.0", "ok");
  const RecipientResult bounced_ = Result(Outcome::kBounced, "5.1.1", "550 5.1.1 nobody");
  const RecipientResult deferred_ = Result(Outcome::kDeferred, "4.4.1", "no answer");
};

TEST_F(BouncesTest, TellsALocalSenderOfFailures) {
  const auto messages = Compose({delivered_, bounced_});
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_EQ(messages[0].reverse_path, "");
  EXPECT_EQ(messages[0].tenant, TenantId(1));
  ASSERT_EQ(messages[0].recipients.size(), 1u);
  EXPECT_EQ(messages[0].recipients[0].account, AccountId(10));
  EXPECT_EQ(messages[0].recipients[0].address, "from@example.test");
  EXPECT_THAT(messages[0].inline_body, HasSubstr("Final-Recipient: rfc822; b@example.net"));
  EXPECT_THAT(messages[0].inline_body, Not(HasSubstr("a@example.net")));
  EXPECT_THAT(messages[0].inline_body, HasSubstr("Received: x\r\nSubject: hi\r\n"));
  EXPECT_THAT(messages[0].inline_body, Not(HasSubstr("secret")));
}

TEST_F(BouncesTest, SendsARemoteSenderMail) {
  job_.reverse_path = "from@example.org";
  const auto messages = Compose({bounced_, bounced_});
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_FALSE(messages[0].recipients[0].account);
  EXPECT_EQ(messages[0].recipients[0].address, "from@example.org");
}

TEST_F(BouncesTest, ASenderOfAnotherTenantIsNamedByAddressOnly) {
  directory_.addresses["from@example.test"].tenant = TenantId(2);
  const auto messages = Compose({bounced_, delivered_});
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_EQ(messages[0].tenant, TenantId(1));
  EXPECT_FALSE(messages[0].recipients[0].account);
}

TEST_F(BouncesTest, WithoutTheDirectoryTheAddressIsQueued) {
  directory_.failure = MakeFailure(Failure::kUnavailable);
  const auto messages = Compose({bounced_, delivered_});
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_FALSE(messages[0].recipients[0].account);
}

TEST_F(BouncesTest, NeverAnswersANullReversePath) {
  job_.reverse_path = "";
  job_.delay_warning_due = true;
  EXPECT_TRUE(Compose({bounced_, deferred_}).empty());
}

TEST_F(BouncesTest, ASenderThatDoesNotExistHearsNothing) {
  directory_.addresses["from@example.test"].kind = Resolution::Kind::kNoSuchRecipient;
  EXPECT_TRUE(Compose({bounced_, delivered_}).empty());
}

TEST_F(BouncesTest, WarnsOfADelayOnlyWhenItIsDue) {
  EXPECT_TRUE(Compose({deferred_, delivered_}).empty());
  job_.delay_warning_due = true;
  const auto messages = Compose({deferred_, bounced_});
  ASSERT_EQ(messages.size(), 2u);
  EXPECT_THAT(messages[0].inline_body, HasSubstr("Action: failed"));
  EXPECT_THAT(messages[1].inline_body, HasSubstr("Action: delayed"));
  EXPECT_NE(messages[0].message_id, messages[1].message_id);
}

TEST_F(BouncesTest, AfterTheExpiryADeferralIsABounceWithItsReason) {
  std::vector<RecipientResult> results = {deferred_, delivered_};
  bounces_.Expire(job_, results);
  EXPECT_EQ(results[0].outcome, Outcome::kDeferred);
  clock_.Advance(absl::Hours(100));
  bounces_.Expire(job_, results);
  EXPECT_EQ(results[0].outcome, Outcome::kBounced);
  EXPECT_EQ(results[0].enhanced, "5.4.7");
  EXPECT_EQ(results[0].text, "delivery time expired; the last reason: no answer");
  EXPECT_EQ(results[1].outcome, Outcome::kDelivered);
}

TEST_F(BouncesTest, ReadsTheHeadersOfALargeBody) {
  job_.inline_body.clear();
  job_.stored_body.emplace();
  job_.stored_body->sha256 = "x";
  queue_.bodies["x"] = "Subject: large\r\n\r\n" + std::string(100000, 'b');
  job_.stored_body->size = queue_.bodies["x"].size();
  auto messages = Compose({bounced_, delivered_});
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_THAT(messages[0].inline_body, HasSubstr("Subject: large"));
  queue_.body_end = MakeFailure(Failure::kStorageDown);
  queue_.bodies["x"] = "";
  messages = Compose({bounced_, delivered_});
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_THAT(messages[0].inline_body, HasSubstr("Received: x"));
}

TEST_F(BouncesTest, TellsWhatNotifyAskedFor) {
  struct Row {
    const char* name;
    std::vector<const char*> notify;  // none: not given
    const RecipientResult& result;
    bool delay_warning_due;
    const char* action;  // nullptr: nothing is told
  };
  RecipientResult relayed = delivered_, passed_on = delivered_, expanded = delivered_,
                  forwarded = delivered_;
  relayed.handover = Handover::kRelayed;
  passed_on.handover = Handover::kPassedOn;
  expanded.handover = Handover::kExpanded;
  forwarded.handover = Handover::kForwarded;
  const Row rows[] = {
      {"not given, failure", {}, bounced_, false, "failed"},
      {"not given, late", {}, deferred_, true, "delayed"},
      {"not given, success", {}, delivered_, false, nullptr},
      {"not given, relayed", {}, relayed, false, nullptr},
      {"never, failure", {"NEVER"}, bounced_, false, nullptr},
      {"never, late", {"NEVER"}, deferred_, true, nullptr},
      {"never, success", {"NEVER"}, delivered_, false, nullptr},
      {"success, failure", {"SUCCESS"}, bounced_, false, nullptr},
      {"success, late", {"SUCCESS"}, deferred_, true, nullptr},
      {"success, in the mailbox", {"SUCCESS"}, delivered_, false, "delivered"},
      {"success, to a server without DSN", {"SUCCESS"}, relayed, false, "relayed"},
      {"success, to a server with DSN", {"SUCCESS"}, passed_on, false, nullptr},
      {"success, alias of several", {"SUCCESS"}, expanded, false, "expanded"},
      {"success, alias of one", {"SUCCESS"}, forwarded, false, nullptr},
      {"failure, failure", {"FAILURE"}, bounced_, false, "failed"},
      {"failure, late", {"FAILURE"}, deferred_, true, nullptr},
      {"failure, success", {"FAILURE"}, delivered_, false, nullptr},
      {"delay, late", {"DELAY"}, deferred_, true, "delayed"},
      {"delay, not late", {"DELAY"}, deferred_, false, nullptr},
      {"delay, failure", {"DELAY"}, bounced_, false, nullptr},
      {"all, failure", {"SUCCESS", "FAILURE", "DELAY"}, bounced_, false, "failed"},
  };
  for (const Row& row : rows) {
    RecipientOptions& options = job_.recipients[0].options;
    options = RecipientOptions();
    options.notify_given = !row.notify.empty();
    for (const std::string notify : row.notify) {
      options.never |= notify == "NEVER";
      options.success |= notify == "SUCCESS";
      options.failure |= notify == "FAILURE";
      options.delay |= notify == "DELAY";
    }
    job_.delay_warning_due = row.delay_warning_due;
    const auto messages = Compose({row.result, delivered_});
    if (row.action == nullptr) {
      EXPECT_TRUE(messages.empty()) << row.name;
      continue;
    }
    ASSERT_EQ(messages.size(), 1u) << row.name;
    EXPECT_THAT(messages[0].inline_body, HasSubstr(std::string("Action: ") + row.action))
        << row.name;
    EXPECT_EQ(messages[0].reverse_path, "") << row.name;
  }
}

TEST_F(BouncesTest, NoSuccessIsToldToANullReversePath) {
  job_.reverse_path = "";
  job_.recipients[0].options.notify_given = job_.recipients[0].options.success = true;
  EXPECT_TRUE(Compose({delivered_, delivered_}).empty());
}

TEST_F(BouncesTest, RepeatsEnvelopeIdAndOriginalRecipient) {
  job_.options.envelope_id = "QQ314159";
  job_.recipients[1].options.original_recipient = "rfc822;Bee@example.org";
  const auto messages = Compose({delivered_, bounced_});
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_THAT(messages[0].inline_body, HasSubstr("\r\nOriginal-Envelope-Id: QQ314159\r\n"));
  EXPECT_THAT(messages[0].inline_body,
              HasSubstr("\r\nOriginal-Recipient: rfc822; Bee@example.org\r\n"));
}

TEST_F(BouncesTest, RetFullReturnsTheMessageOfAFailureOnly) {
  job_.options.ret = EnvelopeOptions::Ret::kFull;
  job_.delay_warning_due = true;
  const auto messages = Compose({deferred_, bounced_});
  ASSERT_EQ(messages.size(), 2u);
  EXPECT_THAT(messages[0].inline_body, HasSubstr("message/rfc822"));
  EXPECT_THAT(messages[0].inline_body, HasSubstr("secret"));
  EXPECT_THAT(messages[1].inline_body, Not(HasSubstr("secret")));
  // RFC 8689 section 5.
  job_.options.require_tls = true;
  EXPECT_THAT(Compose({delivered_, bounced_})[0].inline_body, Not(HasSubstr("secret")));
}

TEST_F(BouncesTest, ALargeNotificationIsStoredFirst) {
  job_.options.ret = EnvelopeOptions::Ret::kFull;
  job_.inline_body.clear();
  job_.stored_body.emplace();
  job_.stored_body->sha256 = "x";
  std::string& body = queue_.bodies["x"];
  body = "Subject: large\r\n\r\n";
  while (body.size() < 90 * 1024) body += "all of this comes back\r\n";
  job_.stored_body->size = body.size();
  const auto messages = Compose({bounced_, delivered_});
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_TRUE(messages[0].inline_body.empty());
  ASSERT_TRUE(messages[0].stored_body.has_value());
  EXPECT_THAT(queue_.bodies[messages[0].stored_body->sha256], HasSubstr(queue_.bodies["x"]));

  queue_.put_failure = MakeFailure(Failure::kStorageDown);
  const auto failed = executor_.Run(bounces_.Compose(job_, {bounced_, delivered_}, false));
  EXPECT_FALSE(failed->ok());

  // Too large to be returned: its header is enough, and needs no store.
  body.append(body);
  job_.stored_body->size = body.size();
  const auto headers = Compose({bounced_, delivered_});
  ASSERT_EQ(headers.size(), 1u);
  EXPECT_THAT(headers[0].inline_body, HasSubstr("text/rfc822-headers"));
}

TEST_F(BouncesTest, PastTheTimeOfDeliverByModeRAMessageComesBack) {
  job_.options.deliver_by.emplace();
  job_.options.deliver_by->by = clock_.Now() + absl::Seconds(60);
  job_.options.deliver_by->return_after = true;
  std::vector<RecipientResult> results = {deferred_, delivered_};
  EXPECT_FALSE(bounces_.IsTooLate(job_));
  bounces_.Expire(job_, results);
  EXPECT_EQ(results[0].outcome, Outcome::kDeferred);
  clock_.Advance(absl::Seconds(60));
  EXPECT_TRUE(bounces_.IsTooLate(job_));
  EXPECT_FALSE(bounces_.IsOverdue(job_));
  bounces_.Expire(job_, results);
  EXPECT_EQ(results[0].outcome, Outcome::kBounced);
  EXPECT_EQ(results[0].enhanced, "5.4.7");
  EXPECT_THAT(results[0].text, HasSubstr("by the time that the sender set"));
  EXPECT_EQ(results[1].outcome, Outcome::kDelivered);
}

TEST_F(BouncesTest, PastTheTimeOfDeliverByModeNTheSenderIsToldOnce) {
  job_.options.deliver_by.emplace();
  job_.options.deliver_by->by = clock_.Now() + absl::Seconds(60);
  EXPECT_TRUE(Compose({deferred_, delivered_}).empty());
  clock_.Advance(absl::Seconds(60));
  EXPECT_FALSE(bounces_.IsTooLate(job_));
  const auto messages = Compose({deferred_, delivered_});
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_THAT(messages[0].inline_body, HasSubstr("Action: delayed\r\nStatus: 4.4.7"));
  job_.deliver_by_notified = true;
  EXPECT_TRUE(Compose({deferred_, delivered_}).empty());
  job_.deliver_by_notified = false;
  job_.recipients[0].options.notify_given = job_.recipients[0].options.never = true;
  EXPECT_TRUE(Compose({deferred_, delivered_}).empty());
}

TEST_F(BouncesTest, AHandoverThatMustBeToldIs) {
  RecipientResult traced = delivered_;
  traced.handover = Handover::kPassedOn;
  traced.tell_handover = true;
  const auto messages = Compose({traced, delivered_});
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_THAT(messages[0].inline_body, HasSubstr("Action: relayed"));
}

}  // namespace
}  // namespace posthorn::delivery
