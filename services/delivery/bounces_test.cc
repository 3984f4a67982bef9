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
    return executor_.Run(bounces_.Compose(job_, results)).value();
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

}  // namespace
}  // namespace posthorn::delivery
