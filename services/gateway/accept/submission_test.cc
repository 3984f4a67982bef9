#include "services/gateway/accept/submission.h"

#include <stdlib.h>

#include <memory>
#include <string>
#include <utility>

#include "gtest/gtest.h"
#include "lib/base/failure.h"
#include "lib/base/manual_executor.h"
#include "services/gateway/accept/resend_key.h"
#include "services/gateway/testing/fake_backends.h"
#include "services/gateway/testing/fake_directory.h"

namespace posthorn::gateway {
namespace {

constexpr char kComplete[] =
    "Date: Mon, 02 Jan 2006 15:04:05 +0000\r\nFrom: alice@example.test\r\nMessage-ID: <1@x>\r\n";

class SubmissionPolicyTest : public testing::Test {
 protected:
  SubmissionPolicyTest() {
    directory_.AddTenant("demo", TenantId(1));
    directory_.AddDomain("example.test", TenantId(1));
    directory_.AddDomain("other.test", TenantId(2));
    directory_.AddAccount("alice@example.test", "x", AccountId(11));
    directory_.AddAccount("a.smith@example.test", "x", AccountId(11));
    directory_.AddAccount("bob@example.test", "x", AccountId(12));
    directory_.AddAccount("carol@other.test", "x", AccountId(21));
    submitter_ = Submitter(Submitter::Kind::kAccount, TenantId(1), AccountId(11),
                           "alice@example.test");
  }

  AcceptRequest Request(const std::string& message) {
    AcceptRequest request;
    request.received_at = absl::FromUnixSeconds(1136214245);
    request.id = MessageId::Generate(request.received_at);
    request.reverse_path = reverse_path_;
    request.body = std::make_shared<net::StagedBody>(*area_);
    for (std::size_t i = 0; i < message.size(); i += 10000) {
      EXPECT_TRUE(request.body->Append(message.substr(i, 10000)).ok());
    }
    return request;
  }
  absl::Status Apply(const std::string& message, AcceptRequest& request) {
    auto header = std::make_unique<mime::SubmissionHeader>();
    header->Feed(message);
    header->Finish();
    return executor_.Run(policy_.Apply(submitter_, from_policy_, std::move(header), request))
        .value();
  }
  // What becomes of the message; "(refused)", or the reason if it is another.
  std::string Submit(const std::string& message) {
    AcceptRequest request = Request(message);
    id_ = request.id.ToString();
    const absl::Status status = Apply(message, request);
    if (!status.ok()) {
      return FailureOf(status) == Failure::kSenderNotAllowed ? "(refused)"
                                                             : std::string(status.message());
    }
    return BodyText(*request.body);
  }

  ManualExecutor executor_;
  FakeDirectory directory_;
  std::unique_ptr<net::StagingArea> area_ =
      net::StagingArea::Open(testing::TempDir() + "/submission", 8 << 20).value();
  SubmissionPolicy policy_{directory_, *area_, "mx.example"};
  Submitter submitter_;
  FromPolicy from_policy_ = FromPolicy::kReject;
  std::string reverse_path_ = "alice@example.test";
  std::string id_;
};

TEST_F(SubmissionPolicyTest, LeavesACompleteMessageAlone) {
  const std::string message = std::string(kComplete) + "To: x\r\n folded\r\n\r\nBody \xff\r\n";
  AcceptRequest request = Request(message);
  const auto body = request.body;
  EXPECT_TRUE(Apply(message, request).ok());
  EXPECT_EQ(request.body, body);
  EXPECT_FALSE(request.resend_key.has_value());
}

TEST_F(SubmissionPolicyTest, CompletesWhatIsMissing) {
  const std::string completed = Submit("Subject: x\r\n\r\nBody\r\n");
  EXPECT_EQ(completed,
            "Subject: x\r\nDate: Mon, 02 Jan 2006 15:04:05 +0000\r\nFrom: alice@example.test\r\n"
            "Message-ID: <" + id_ + "@mx.example>\r\n\r\nBody\r\n");
  EXPECT_EQ(Submit("From: alice@example.test\r\nMessage-ID: <1@x>\r\nDate:\r\n\r\n"),
            "From: alice@example.test\r\nMessage-ID: <1@x>\r\n"
            "Date: Mon, 02 Jan 2006 15:04:05 +0000\r\n\r\n");
  reverse_path_ = "";
  EXPECT_NE(Submit("Subject: x\r\n\r\n").find("From: alice@example.test\r\n"), std::string::npos);
  submitter_.address.clear();
  EXPECT_NE(Submit("Subject: x\r\n\r\n").find("From: MAILER-DAEMON@mx.example\r\n"),
            std::string::npos);
}

TEST_F(SubmissionPolicyTest, TakesBlindCopiesOut) {
  const std::string message = std::string(kComplete) + "Bcc: a@b,\r\n c@d\r\nTo: x\r\n"
                              "Resent-Bcc: e@f\r\n\r\nBcc: body\r\n";
  EXPECT_EQ(Submit(message), std::string(kComplete) + "To: x\r\n\r\nBcc: body\r\n");
}

struct Row {
  const char* name;
  std::string header;
  bool allowed;
};

const Row kRows[] = {
    {"own", "From: alice@example.test", true},
    {"own, other case", "From: Alice <ALICE@Example.Test>", true},
    {"alias", "From: \"Smith\" <a.smith@example.test>", true},
    {"folded, encoded", "From: =?utf-8?q?A=C3=A4?=\r\n =?utf-8?q?b?=\r\n <alice@example.test>", true},
    {"group of own", "From: Us: alice@example.test, a.smith@example.test;", true},
    {"own and Sender", "From: alice@example.test\r\nSender: a.smith@example.test", true},
    {"colleague", "From: bob@example.test", false},
    {"other tenant", "From: carol@other.test", false},
    {"outside", "From: x@remote.example", false},
    {"own and another", "From: alice@example.test, bob@example.test", false},
    {"second field", "From: alice@example.test\r\nFrom: bob@example.test", false},
    {"group with another", "From: Us: alice@example.test, bob@example.test;", false},
    {"empty group", "From: Us:;", false},
    {"two addresses in one", "From: alice@example.test <bob@example.test>", false},
    {"name that reads as an address", "From: \"bob@example.test\" <alice@example.test>", true},
    {"no address", "From: Alice", false},
    {"another Sender", "From: alice@example.test\r\nSender: bob@example.test", false},
};

TEST_F(SubmissionPolicyTest, RefusesWhatIsNotTheAccountsOwn) {
  for (const Row& row : kRows) {
    const std::string message = "Date: d\r\nMessage-ID: <1@x>\r\n" + row.header + "\r\n\r\nx\r\n";
    EXPECT_EQ(Submit(message), row.allowed ? message : "(refused)") << row.name;
  }
}

TEST_F(SubmissionPolicyTest, OrNamesTheAccountInSender) {
  from_policy_ = FromPolicy::kRewrite;
  const std::string start = "Date: d\r\nMessage-ID: <1@x>\r\n";
  for (const Row& row : kRows) {
    if (row.header.find("Sender") != std::string::npos) continue;
    const std::string header = start + row.header + "\r\n";
    EXPECT_EQ(Submit(header + "\r\nx\r\n"),
              header + (row.allowed ? "" : "Sender: alice@example.test\r\n") + "\r\nx\r\n")
        << row.name;
  }
  // A forged Sender goes; one of the account's own stays.
  EXPECT_EQ(Submit(start + "Sender: bob@example.test\r\nFrom: x@y.example\r\n\r\n"),
            start + "From: x@y.example\r\nSender: alice@example.test\r\n\r\n");
  EXPECT_EQ(Submit(start + "Sender: bob@example.test\r\nFrom: alice@example.test\r\n\r\n"),
            start + "From: alice@example.test\r\n\r\n");
  EXPECT_EQ(Submit(start + "Sender: a.smith@example.test\r\nFrom: x@y.example\r\n\r\n"),
            start + "Sender: a.smith@example.test\r\nFrom: x@y.example\r\n\r\n");
}

TEST_F(SubmissionPolicyTest, AKeyWritesAsItsTenant) {
  submitter_ = Submitter(Submitter::Kind::kKey, TenantId(1), AccountId(), "");
  const std::string start = "Date: d\r\nMessage-ID: <1@x>\r\n";
  for (const char* own : {"app@example.test", "bob@example.test"}) {
    const std::string message = start + "From: " + own + "\r\n\r\n";
    EXPECT_EQ(Submit(message), message);
  }
  EXPECT_EQ(Submit(start + "From: carol@other.test\r\n\r\n"), "(refused)");
  EXPECT_EQ(Submit(start + "From: x@remote.example\r\n\r\n"), "(refused)");
}

TEST_F(SubmissionPolicyTest, ATrustedNetworkWritesAsAnybodyButAnotherTenant) {
  submitter_ = Submitter(Submitter::Kind::kTrustedNetwork, TenantId(1), AccountId(), "");
  reverse_path_ = "carol@other.test";
  const std::string start = "Date: d\r\nMessage-ID: <1@x>\r\n";
  for (const char* own : {"bob@example.test", "x@remote.example"}) {
    const std::string message = start + "From: " + own + "\r\n\r\n";
    EXPECT_EQ(Submit(message), message);
  }
  EXPECT_EQ(Submit(start + "From: carol@other.test\r\n\r\n"), "(refused)");
}

TEST_F(SubmissionPolicyTest, TheResendKeyIsOfTheMessageAsReceived) {
  const std::string message = "Message-ID: <1@x>\r\nBcc: a@b\r\n\r\nx\r\n";
  AcceptRequest request = Request(message);
  request.message_id_header = "<1@x>";
  const auto as_received = request.body;
  ASSERT_TRUE(Apply(message, request).ok());
  EXPECT_NE(request.body, as_received);
  EXPECT_EQ(request.resend_key,
            **executor_.Run(ResendKey("alice@example.test", "<1@x>", as_received)));
}

TEST_F(SubmissionPolicyTest, LargeMessagesStayInTheStagingArea) {
  std::string message = std::string(kComplete) + "Bcc: a@b\r\n\r\n";
  const std::string start = std::string(kComplete) + "\r\n";
  std::string body;
  while (body.size() < (3 << 20)) body += "Bcc: line after line\r\n\r\n";
  EXPECT_TRUE(Submit(message + body) == start + body);
  EXPECT_EQ(area_->used_octets(), 0u);
  while (body.size() < (5 << 20)) body += "line after line\r\n";
  EXPECT_EQ(Submit(message + body), "Insufficient system storage");
  EXPECT_EQ(area_->used_octets(), 0u);
}

TEST_F(SubmissionPolicyTest, ADirectoryThatIsAwayIsTemporary) {
  directory_.FailWith(MakeFailure(Failure::kUnavailable));
  for (const FromPolicy policy : {FromPolicy::kReject, FromPolicy::kRewrite}) {
    from_policy_ = policy;
    const std::string message = "From: bob@example.test\r\n\r\n";
    AcceptRequest request = Request(message);
    EXPECT_EQ(FailureOf(Apply(message, request)), Failure::kUnavailable);
  }
}

TEST_F(SubmissionPolicyTest, SaysWhenHeadersBecomeEightBit) {
  submitter_.address = reverse_path_ = "j\xc3\xb6rg@example.test";
  AcceptRequest request = Request("Subject: x\r\n\r\n");
  ASSERT_TRUE(Apply("Subject: x\r\n\r\n", request).ok());
  EXPECT_TRUE(request.body_is_8bit);
}

}  // namespace
}  // namespace posthorn::gateway
