#include "services/gateway/api/send_handler.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "lib/base/failure.h"
#include "lib/base/manual_executor.h"
#include "services/gateway/testing/fake_backends.h"
#include "services/gateway/testing/fake_directory.h"

namespace posthorn::gateway {
namespace {

constexpr char kMessage[] =
    "Subject: hi\r\nMessage-ID: <1@app>\r\nDate: Mon, 02 Jan 2006 15:04:05 +0000\r\n"
    "From: app@example.test\r\n\r\nHello\r\n";

class SendHandlerTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_NE(mkdtemp(directory_path_.data()), nullptr);
    auto area = net::StagingArea::Open(directory_path_, 1 << 24);
    ASSERT_TRUE(area.ok());
    staging_ = *std::move(area);
    directory_.AddTenant("demo", TenantId(1));
    directory_.AddTenant("other", TenantId(2));
    directory_.AddDomain("example.test", TenantId(1));
    directory_.AddDomain("other.test", TenantId(2));
    directory_.AddAccount("alice@example.test", "x", AccountId(11));
    directory_.AddAccount("eve@other.test", "x", AccountId(21));
    directory_.AddAccount("gone@example.test", "x", AccountId(12));
    directory_.Disable("gone@example.test");
    directory_.AddKey("key", ApiKey(TenantId(1), KeyId(5)));
    limits_.message_octets = 1000000;
    limits_.recipients = 3;
    handler_ = std::make_unique<SendHandler>(directory_, acceptor_, *staging_, clock_, limits_,
                                             "mx.example");
  }
  void TearDown() override { std::filesystem::remove_all(directory_path_); }

  static SendInput Input() {
    SendInput input;
    input.api_key = "key";
    input.from = "app@example.test";
    input.to = {"alice@example.test"};
    input.message = kMessage;
    return input;
  }
  absl::StatusOr<SendOutcome> Send(SendInput input) {
    auto outcome = executor_.Run(handler_->Send(std::move(input)));
    EXPECT_TRUE(outcome.has_value());
    return *std::move(outcome);
  }
  void ExpectRefused(SendInput input, Failure failure) {
    const auto outcome = Send(std::move(input));
    EXPECT_EQ(FailureOf(outcome.status()), failure) << outcome.status();
    EXPECT_TRUE(acceptor_.messages.empty());
  }

  std::string directory_path_ = testing::TempDir() + "/send-XXXXXX";
  ManualExecutor executor_;
  FakeDirectory directory_;
  std::unique_ptr<net::StagingArea> staging_;
  FakeAcceptor acceptor_;  // keeps bodies of staging_
  FakeClock clock_{absl::FromUnixSeconds(1700000000)};
  SendLimits limits_;
  std::unique_ptr<SendHandler> handler_;
};

TEST_F(SendHandlerTest, HandsEnvelopeAndMessageToTheAcceptor) {
  SendInput input = Input();
  input.to = {"alice@example.test", "bob@remote.example", "eve@other.test"};
  input.idempotency_key = "order-7";
  input.client_ip = "192.0.2.1";
  input.tls = true;
  const auto outcome = Send(std::move(input));
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  ASSERT_EQ(acceptor_.messages.size(), 1u);
  const AcceptRequest& request = acceptor_.messages[0].request;
  EXPECT_EQ(request.id, outcome->id);
  EXPECT_EQ(request.reverse_path, "app@example.test");
  EXPECT_EQ(request.idempotency_key, "order-7");
  EXPECT_EQ(request.message_id_header, "<1@app>");
  EXPECT_EQ(request.trace.client_ip, "192.0.2.1");
  EXPECT_EQ(request.trace.protocol, "HTTPS");
  EXPECT_EQ(request.received_at, clock_.Now());
  EXPECT_FALSE(request.body_is_8bit);
  EXPECT_EQ(acceptor_.messages[0].body, kMessage);
  ASSERT_EQ(request.recipients.size(), 3u);
  EXPECT_EQ(request.recipients[0].targets[0].account, AccountId(11));
  // Mail that leaves is the sender's tenant's; mail to another tenant is that one's.
  EXPECT_EQ(request.recipients[1].tenant, TenantId(1));
  EXPECT_FALSE(request.recipients[1].targets[0].account);
  EXPECT_EQ(request.recipients[2].tenant, TenantId(2));
}

TEST_F(SendHandlerTest, CarriesVariableEnvelopeReturnPaths) {
  SendInput input = Input();
  input.verp_delimiters = "+=";
  ASSERT_TRUE(Send(input).ok());
  EXPECT_EQ(acceptor_.messages.at(0).request.options.verp_delimiters, "+=");
  EXPECT_TRUE(acceptor_.messages.at(0).request.options.NeedsQueue());
  acceptor_.messages.clear();
  input.verp_delimiters = "ab";
  ExpectRefused(input, Failure::kInvalidArgument);
  input.verp_delimiters = "+=";
  input.from.clear();
  ExpectRefused(input, Failure::kInvalidArgument);
}

TEST_F(SendHandlerTest, NeedsAKey) {
  SendInput input = Input();
  input.api_key.clear();
  ExpectRefused(std::move(input), Failure::kAuthenticationRequired);
  input = Input();
  input.api_key = "wrong";
  ExpectRefused(std::move(input), Failure::kAuthenticationFailed);
}

TEST_F(SendHandlerTest, TheSenderMustBeInADomainOfTheTenant) {
  for (const char* from : {"eve@other.test", "a@remote.example"}) {
    SendInput input = Input();
    input.from = from;
    ExpectRefused(std::move(input), Failure::kSenderNotAllowed);
  }
}

TEST_F(SendHandlerTest, RefusesWhatCannotBeDelivered) {
  SendInput input = Input();
  input.to = {"nobody@example.test"};
  ExpectRefused(std::move(input), Failure::kNoSuchRecipient);
  input = Input();
  input.to = {"alice@example.test", "gone@example.test"};
  ExpectRefused(std::move(input), Failure::kAccountDisabled);
  input = Input();
  input.to.clear();
  ExpectRefused(std::move(input), Failure::kInvalidArgument);
  input = Input();
  input.to.assign(4, "alice@example.test");
  ExpectRefused(std::move(input), Failure::kInvalidArgument);
}

TEST_F(SendHandlerTest, RefusesMalformedAddresses) {
  for (const char* address :
       {"", "alice", "@example.test", "a b@example.test", "<alice@example.test>",
        "alice@example.test\r\nRCPT TO:<x@y>", "alice@example.test,bob@example.test"}) {
    SendInput input = Input();
    input.to = {address};
    ExpectRefused(std::move(input), Failure::kBadAddress);
  }
  SendInput input = Input();
  input.from = "not an address";
  ExpectRefused(std::move(input), Failure::kBadAddress);
}

TEST_F(SendHandlerTest, RefusesBareNewlines) {
  for (const char* message :
       {"a\nb\r\n", "a\rb\r\n", "\n", "a\r\n.\n", "a\r", "a\r\r\n", "\r\n.\r\n\n"}) {
    SendInput input = Input();
    input.message = message;
    ExpectRefused(std::move(input), Failure::kBareNewline);
  }
}

TEST_F(SendHandlerTest, HoldsTheLimits) {
  const std::string large(1000001, 'x');
  SendInput input = Input();
  input.message = large;
  ExpectRefused(std::move(input), Failure::kMessageTooLarge);
  input = Input();
  input.message = "";
  ExpectRefused(std::move(input), Failure::kInvalidArgument);
  input = Input();
  input.idempotency_key = std::string(129, 'k');
  ExpectRefused(std::move(input), Failure::kInvalidArgument);
  std::string loop;
  for (int i = 0; i < 101; ++i) loop += "Received: from x by y\r\n";
  input = Input();
  input.message = loop;
  ExpectRefused(std::move(input), Failure::kMailLoop);
}

TEST_F(SendHandlerTest, LargeBodiesArriveWhole) {
  std::string message =
      "Message-ID: <2@app>\r\nDate: Mon, 02 Jan 2006 15:04:05 +0000\r\n"
      "From: Application <info@example.test>\r\n\r\n";
  while (message.size() < 500000) message += "line \xc3\xa4 after line\r\n";
  SendInput input = Input();
  input.message = message;
  ASSERT_TRUE(Send(std::move(input)).ok());
  EXPECT_TRUE(acceptor_.messages[0].body == message);
  EXPECT_TRUE(acceptor_.messages[0].request.body_is_8bit);
}

TEST_F(SendHandlerTest, CompletesTheHeader) {
  SendInput input = Input();
  input.message = "Subject: x\r\nBcc: a@b\r\n\r\nHello\r\n";
  const auto outcome = Send(std::move(input));
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_EQ(acceptor_.messages[0].body,
            "Subject: x\r\nDate: Tue, 14 Nov 2023 22:13:20 +0000\r\nFrom: app@example.test\r\n"
            "Message-ID: <" + outcome->id.ToString() + "@mx.example>\r\n\r\nHello\r\n");
}

TEST_F(SendHandlerTest, FromMustBeInADomainOfTheTenant) {
  SendInput input = Input();
  input.message = "From: eve@other.test\r\n\r\nx\r\n";
  ExpectRefused(input, Failure::kSenderNotAllowed);
  limits_.from_policy = FromPolicy::kRewrite;
  handler_ = std::make_unique<SendHandler>(directory_, acceptor_, *staging_, clock_, limits_,
                                           "mx.example");
  ASSERT_TRUE(Send(std::move(input)).ok());
  EXPECT_NE(acceptor_.messages[0].body.find("\r\nSender: app@example.test\r\n"),
            std::string::npos);
}

TEST_F(SendHandlerTest, TheAcceptorsAnswerIsTheAnswer) {
  acceptor_.answers["alice@example.test"] = MakeFailure(Failure::kStorageDown);
  const auto outcome = Send(Input());
  EXPECT_EQ(FailureOf(outcome.status()), Failure::kStorageDown);
}

TEST_F(SendHandlerTest, ADirectoryThatIsAwayIsTemporary) {
  directory_.FailWith(MakeFailure(Failure::kUnavailable));
  const auto outcome = Send(Input());
  EXPECT_FALSE(outcome.ok());
  EXPECT_FALSE(IsPermanent(outcome.status()));
}

}  // namespace
}  // namespace posthorn::gateway
