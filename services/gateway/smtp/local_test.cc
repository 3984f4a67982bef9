// Submission by users of this machine.
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "lib/base/failure.h"
#include "services/gateway/smtp/transcript.h"

namespace posthorn::gateway {
namespace {

using testing::HasSubstr;
using testing::Not;

// A queue to look at, in memory.
class FakeQueueView final : public QueueView {
 public:
  Task<absl::StatusOr<std::vector<WaitingMessage>>> List(TenantId tenant,
                                                         std::optional<std::string> reverse_path,
                                                         std::optional<MessageId> after,
                                                         int limit) override {
    asked_tenant = tenant;
    asked_path = reverse_path;
    std::vector<WaitingMessage> found;
    for (const WaitingMessage& message : messages) {
      if (reverse_path.has_value() && message.reverse_path != *reverse_path) continue;
      if (after.has_value() && message.id <= *after) continue;
      if (found.size() < static_cast<std::size_t>(limit)) found.push_back(message);
    }
    co_return found;
  }
  std::vector<WaitingMessage> messages;
  TenantId asked_tenant;
  std::optional<std::string> asked_path;
};

class SmtpLocalTest : public SmtpTranscriptTest {
 protected:
  SmtpLocalTest() {
    options_.role = SmtpRole::kLocal;
    options_.tls = SmtpTls::kOff;
    options_.from_policy = FromPolicy::kRewrite;
    options_.bare_newlines = smtp::BareNewlines::kNormalize;
    options_.local_domain = "example.test";
    options_.trusted_users = {"root"};
    queue_view_ = &queue_;
    peer_ = net::PeerAddress();
  }
  void ConnectAs(uid_t uid, std::string name, std::string handover_key = "") {
    local_user_.emplace(uid, std::move(name));
    local_user_->handover_key = std::move(handover_key);
    Connect();
    Greet();
  }
  std::string AnswerTo(const std::string& message, const std::string& from,
                       const std::string& to = "bob") {
    acceptor_.messages.clear();
    Send("MAIL FROM:<" + from + ">\r\nRCPT TO:<" + to + ">\r\nDATA\r\n");
    received().clear();
    Send(message + ".\r\n", 7);
    return std::exchange(received(), "");
  }
  const AcceptRequest& request() { return acceptor_.messages.at(0).request; }
  const std::string& body() { return acceptor_.messages.at(0).body; }

  FakeQueueView queue_;
};

TEST_F(SmtpLocalTest, KnowsWhoTheUserIs) {
  ConnectAs(33, "www-data");
  EXPECT_TRUE(absl::StartsWith(
      AnswerTo("From: www-data\r\nTo: bob, carol@other.test\r\nBcc: alice\r\n\r\nhi\rthere\r\n",
               "www-data"),
      "250 "));
  EXPECT_EQ(request().reverse_path, "www-data@example.test");
  EXPECT_EQ(request().recipients.at(0).address, "bob@example.test");
  EXPECT_EQ(request().trace.helo, "localhost (uid 33)");
  EXPECT_EQ(request().trace.client_ip, "");
  EXPECT_EQ(request().trace.protocol, "ESMTPA");
  EXPECT_THAT(body(), HasSubstr("From: www-data@example.test\r\n"));
  EXPECT_THAT(body(), HasSubstr("To: bob@example.test, carol@other.test\r\n"));
  EXPECT_THAT(body(), HasSubstr("\r\nDate: "));
  EXPECT_THAT(body(), HasSubstr("\r\nMessage-ID: "));
  EXPECT_THAT(body(), Not(HasSubstr("Bcc")));
  EXPECT_THAT(body(), Not(HasSubstr("Sender")));
  EXPECT_TRUE(absl::EndsWith(body(), "\r\n\r\nhi\r\nthere\r\n"));
}

TEST_F(SmtpLocalTest, MaySendAnywhere) {
  ConnectAs(33, "www-data");
  EXPECT_TRUE(absl::StartsWith(AnswerTo("\r\nx\r\n", "WWW-data@Example.test", "a@far.example"),
                               "250 "));
  EXPECT_EQ(request().recipients.at(0).tenant, TenantId(1));
  EXPECT_TRUE(absl::StartsWith(AnswerTo("\r\nx\r\n", "", "a@far.example"), "250 "));
  EXPECT_THAT(body(), HasSubstr("From: www-data@example.test\r\n"));
}

TEST_F(SmtpLocalTest, OthersNamesAreForTrustedUsers) {
  ConnectAs(33, "www-data");
  Play(R"(
    C: MAIL FROM:<alice@example.test>
    S: 550 5.7.1 You may send as www-data@example.test; as others only users that are trusted
    C: MAIL FROM:<root>
    S: 550 5.7.1 *
  )");
  ConnectAs(0, "root");
  EXPECT_TRUE(absl::StartsWith(AnswerTo("From: Bob <bob>\r\n\r\nx\r\n", "alice@example.test"),
                               "250 "));
  EXPECT_EQ(request().reverse_path, "alice@example.test");
  EXPECT_THAT(body(), HasSubstr("From: Bob <bob@example.test>\r\n"));
  EXPECT_THAT(body(), Not(HasSubstr("Sender")));
  Play(R"(
    C: MAIL FROM:<carol@other.test>
    S: 550 5.7.1 *
    C: MAIL FROM:<a@far.example>
    S: 550 5.7.1 *
  )");
}

TEST_F(SmtpLocalTest, FromOfAnotherComesWithSender) {
  ConnectAs(33, "www-data");
  EXPECT_TRUE(absl::StartsWith(AnswerTo("From: Alice <alice@example.test>\r\n\r\nx\r\n", "www-data"),
                               "250 "));
  EXPECT_THAT(body(), HasSubstr("From: Alice <alice@example.test>\r\n"));
  EXPECT_THAT(body(), HasSubstr("Sender: www-data@example.test\r\n"));
}

TEST_F(SmtpLocalTest, WaitsForItsDomain) {
  options_.local_domain = "later.test";
  ConnectAs(33, "www-data");
  Play(R"(
    C: MAIL FROM:<www-data>
    S: 451 4.3.0 *
  )");
}

TEST_F(SmtpLocalTest, AMessageHandedOverIsKnownAgain) {
  ConnectAs(33, "www-data", "key of the file");
  EXPECT_TRUE(absl::StartsWith(AnswerTo("\r\nx\r\n", "www-data"), "250 "));
  EXPECT_EQ(request().resend_key, "key of the file");
  EXPECT_TRUE(absl::StartsWith(AnswerTo("Message-ID: <a@b>\r\n\r\nx\r\n", "www-data"), "250 "));
  EXPECT_NE(request().resend_key, "key of the file");
}

TEST_F(SmtpLocalTest, NobodyIsSentAwayForWrongNames) {
  limits_.errors = 3;
  limits_.unknown_recipients = 3;
  limits_.unknown_recipients_at_once = 1;
  ConnectAs(33, "www-data");
  Send("MAIL FROM:<www-data>\r\n");
  received().clear();
  for (int i = 0; i < 10; ++i) {
    Play(R"(
      C: RCPT TO:<nobody>
      S: 550 5.1.1 *
      C: RCPT TO:<@>
      S: 553 5.1.3 *
    )");
  }
  Play(R"(
    C: RCPT TO:<bob>
    S: 250 *
  )");
}

TEST_F(SmtpLocalTest, OffersNoLoginAndNoTls) {
  ConnectAs(33, "www-data");
  Send("EHLO x\r\n");
  EXPECT_THAT(received(), Not(HasSubstr("AUTH")));
  EXPECT_THAT(received(), Not(HasSubstr("STARTTLS")));
  received().clear();
  Play(R"(
    C: AUTH PLAIN AGFsaWNlQGV4YW1wbGUudGVzdABzZWNyZXQ=
    S: 502 5.5.1 *
  )");
}

TEST_F(SmtpLocalTest, ConnectionsAreCountedByUser) {
  ConnectAs(33, "www-data");
  std::vector<ConnectionLimiter::Slot> slots;
  for (int i = 0; i < 4; ++i) slots.push_back(limiter_.Acquire("uid 33").value());
  EXPECT_FALSE(limiter_.Acquire("uid 33").ok());
  EXPECT_TRUE(limiter_.Acquire("uid 34").ok());
}

WaitingMessage Waiting(std::string reverse_path, int seconds) {
  WaitingMessage message;
  message.received_at = absl::FromUnixSeconds(1700000000 + seconds);
  message.id = MessageId::Generate(message.received_at);
  message.reverse_path = std::move(reverse_path);
  message.octets = 1234;
  WaitingRecipient recipient;
  recipient.address = "a=b@far.example";
  recipient.state = "deferred";
  recipient.next_attempt_at = absl::FromUnixSeconds(1700000900);
  recipient.last_reply = "mx.far.example: 451 4.3.0 later\nplease";
  message.recipients.push_back(std::move(recipient));
  return message;
}

TEST_F(SmtpLocalTest, ShowsTheUsersOwnMailThatWaits) {
  queue_.messages.push_back(Waiting("www-data@example.test", 1));
  queue_.messages.push_back(Waiting("root@example.test", 2));
  const std::string first = queue_.messages[0].id.ToString();
  const std::string second = queue_.messages[1].id.ToString();
  ConnectAs(33, "www-data");
  Play(absl::StrCat("C: XQUEUE\nS: 250-2.0.0 MESSAGE ", first,
                    " 1234 1700000001 <www-data@example.test>\n"
                    "S: 250-2.0.0 RECIPIENT deferred 1700000900 <a+3Db@far.example> "
                    "mx.far.example: 451 4.3.0 later please\nS: 250 2.0.0 END\n"));
  EXPECT_EQ(queue_.asked_tenant, TenantId(1));
  EXPECT_EQ(queue_.asked_path, "www-data@example.test");
  ConnectAs(0, "root");
  Send("XQUEUE\r\n");
  EXPECT_THAT(received(), HasSubstr(first));
  EXPECT_THAT(received(), HasSubstr(second));
  EXPECT_EQ(queue_.asked_path, std::nullopt);
  received().clear();
  Send("XQUEUE " + first + "\r\n");
  EXPECT_THAT(received(), Not(HasSubstr(first)));
  EXPECT_THAT(received(), HasSubstr(second));
  received().clear();
  Play(R"(
    C: XQUEUE x
    S: 501 5.5.4 Syntax: XQUEUE [message-id]
  )");
}

TEST_F(SmtpLocalTest, ShowsALongQueueInPages) {
  for (int i = 0; i < 60; ++i) queue_.messages.push_back(Waiting("root@example.test", i));
  for (int i = 0; i < 30; ++i) {
    queue_.messages[0].recipients.push_back(queue_.messages[0].recipients[0]);
  }
  ConnectAs(0, "root");
  Send("XQUEUE\r\n");
  EXPECT_THAT(received(), HasSubstr("250-2.0.0 RECIPIENTS 11\r\n"));
  EXPECT_TRUE(absl::EndsWith(received(), "250 2.0.0 MORE\r\n"));
  received().clear();
  Send("XQUEUE " + queue_.messages[49].id.ToString() + "\r\n");
  EXPECT_TRUE(absl::EndsWith(received(), "250 2.0.0 END\r\n"));
  EXPECT_EQ(received().find(queue_.messages[50].id.ToString()), sizeof("250-2.0.0 MESSAGE ") - 1);
}

TEST_F(SmtpLocalTest, NobodyElseAsksOrLeavesOutTheDomain) {
  options_.role = SmtpRole::kSubmission;
  options_.local_domain.clear();
  local_user_.reset();
  Connect();
  Greet();
  Play(R"(
    C: XQUEUE
    S: 500 5.5.1 *
  )");
  options_.role = SmtpRole::kMx;
  Connect();
  Greet();
  Play(R"(
    C: MAIL FROM:<bob>
    S: 553 5.1.3 *
  )");
}

}  // namespace
}  // namespace posthorn::gateway
