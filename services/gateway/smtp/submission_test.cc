// What happens to a message on submission and nowhere else, and bare newlines by policy.
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "lib/base/failure.h"
#include "services/gateway/smtp/transcript.h"

namespace posthorn::gateway {
namespace {

class SmtpSubmissionTest : public SmtpTranscriptTest {
 protected:
  void ConnectAndLogIn() {
    options_.role = SmtpRole::kSubmission;
    options_.allow_plaintext_auth_on_loopback = true;
    peer_.ip = "127.0.0.1";
    Connect();
    Greet();
    Play(R"(
      C: AUTH PLAIN AGFsaWNlQGV4YW1wbGUudGVzdABzZWNyZXQ=
      S: 235 2.7.0 Authentication successful
    )");
  }
  // A message to bob; returns the answer to the final dot.
  std::string AnswerTo(const std::string& message, const std::string& from = "alice@example.test") {
    acceptor_.messages.clear();
    Send("MAIL FROM:<" + from + ">\r\n");
    Send("RCPT TO:<bob@example.test>\r\n");
    Send("DATA\r\n");
    received().clear();
    Send(message + ".\r\n", 7);
    return std::exchange(received(), "");
  }
  const std::string& body() { return acceptor_.messages.at(0).body; }
};

TEST_F(SmtpSubmissionTest, CompletesTheHeaderAndKeepsTheRest) {
  ConnectAndLogIn();
  const std::string rest = "\r\n \xff\xfe body\r\n\r\nBcc: text\r\n";
  EXPECT_TRUE(absl::StartsWith(AnswerTo("Subject: x\r\nBcc: carol@other.test\r\n" + rest), "250 "));
  const std::string id = acceptor_.messages.at(0).request.id.ToString();
  EXPECT_EQ(body(), absl::StrCat("Subject: x\r\nDate: Tue, 14 Nov 2023 22:13:20 +0000\r\n"
                                 "From: alice@example.test\r\nMessage-ID: <",
                                 id, "@mx.example>\r\n", rest));
  // Nothing to recognise a resend by, as it was received.
  EXPECT_EQ(acceptor_.messages.at(0).request.resend_key, "");
}

TEST_F(SmtpSubmissionTest, NobodyElsesMailIsTouched) {
  options_.trusted_networks.push_back(TrustedNetwork::Parse("192.0.2.0/24=demo").value());
  const std::string message = "Subject: x\r\nBcc: carol@other.test\r\nSender: x@y.example\r\n\r\nx\r\n";
  for (const SmtpRole role : {SmtpRole::kMx, SmtpRole::kLmtp}) {
    options_.role = role;
    Connect();
    Greet();
    EXPECT_TRUE(absl::StartsWith(AnswerTo(message), "250 "));
    EXPECT_EQ(body(), message);
    EXPECT_FALSE(acceptor_.messages.at(0).request.resend_key.has_value());
  }
}

TEST_F(SmtpSubmissionTest, ATrustedNetworkSubmitsToo) {
  options_.role = SmtpRole::kSubmission;
  options_.trusted_networks.push_back(TrustedNetwork::Parse("192.0.2.0/24=demo").value());
  Connect();
  Greet();
  EXPECT_TRUE(absl::StartsWith(AnswerTo("Bcc: a@b\r\n\r\n", "app@somewhere.example"), "250 "));
  EXPECT_TRUE(absl::StrContains(body(), "From: app@somewhere.example\r\n"));
  EXPECT_FALSE(absl::StrContains(body(), "Bcc"));
  EXPECT_EQ(AnswerTo("From: carol@other.test\r\n\r\n", "app@somewhere.example"),
            "550 5.7.1 From names an address that is not yours\r\n");
}

TEST_F(SmtpSubmissionTest, HoldsFromAgainstTheAccount) {
  ConnectAndLogIn();
  EXPECT_EQ(AnswerTo("From: bob@example.test\r\n\r\n"),
            "550 5.7.1 From names an address that is not yours\r\n");
  EXPECT_EQ(AnswerTo("From: alice@example.test\r\nSender: bob@example.test\r\n\r\n"),
            "550 5.7.1 Sender names an address that is not yours\r\n");
  EXPECT_EQ(AnswerTo("From: alice@example.test <bob@example.test>\r\n\r\n"),
            "550 5.7.1 From cannot be read as a list of addresses\r\n");
  EXPECT_TRUE(acceptor_.messages.empty());
  EXPECT_TRUE(absl::StartsWith(AnswerTo("From: Alice <ALICE@example.test>\r\n\r\n"), "250 "));
}

TEST_F(SmtpSubmissionTest, OrSaysWhoSent) {
  options_.from_policy = FromPolicy::kRewrite;
  ConnectAndLogIn();
  EXPECT_TRUE(absl::StartsWith(
      AnswerTo("Date: d\r\nMessage-ID: <1@x>\r\nFrom: bob@example.test\r\n\r\n"), "250 "));
  EXPECT_EQ(body(),
            "Date: d\r\nMessage-ID: <1@x>\r\nFrom: bob@example.test\r\n"
            "Sender: alice@example.test\r\n\r\n");
}

TEST_F(SmtpSubmissionTest, ADirectoryThatIsAwayIsTemporary) {
  ConnectAndLogIn();
  Send("MAIL FROM:<alice@example.test>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\n");
  received().clear();
  directory_.FailWith(MakeFailure(Failure::kUnavailable));
  Send("From: bob@example.test\r\n\r\n.\r\n");
  EXPECT_TRUE(absl::StartsWith(received(), "451 4.3.0"));
}

// RFC 3848 and, for LMTP, RFC 2033.
TEST_F(SmtpSubmissionTest, ReceivedSaysHowItCame) {
  struct Row {
    const char* name;
    SmtpRole role;
    bool tls;
    const char* hello;
    bool login;
    const char* protocol;
  };
  const Row rows[] = {
      {"mx, HELO", SmtpRole::kMx, false, "HELO c", false, "SMTP"},
      {"mx", SmtpRole::kMx, false, "EHLO c", false, "ESMTP"},
      {"mx, TLS", SmtpRole::kMx, true, "EHLO c", false, "ESMTPS"},
      {"submission, loopback", SmtpRole::kSubmission, false, "EHLO c", true, "ESMTPA"},
      {"submission, TLS", SmtpRole::kSubmission, true, "EHLO c", true, "ESMTPSA"},
      {"submission, trusted", SmtpRole::kSubmission, true, "EHLO c", false, "ESMTPS"},
      {"submissions", SmtpRole::kSubmissions, true, "EHLO c", true, "ESMTPSA"},
      {"submissions, trusted", SmtpRole::kSubmissions, true, "EHLO c", false, "ESMTPS"},
      {"lmtp", SmtpRole::kLmtp, false, "LHLO c", false, "LMTP"},
      {"lmtp, TLS", SmtpRole::kLmtp, true, "LHLO c", false, "LMTPS"},
  };
  peer_.ip = "127.0.0.1";
  options_.allow_plaintext_auth_on_loopback = true;
  options_.trusted_networks.push_back(TrustedNetwork::Parse("127.0.0.1=demo").value());
  for (const Row& row : rows) {
    options_.role = row.role;
    Connect();
    if (row.role == SmtpRole::kSubmissions) {
      Play("TLS\nS: 220 *");
    } else if (row.tls) {
      Greet();
      Send("STARTTLS\r\n");
      received().clear();
      Play("TLS");
    }
    Send(std::string(row.hello) + "\r\n");
    if (row.login) Send("AUTH PLAIN AGFsaWNlQGV4YW1wbGUudGVzdABzZWNyZXQ=\r\n");
    EXPECT_TRUE(absl::StartsWith(AnswerTo("Subject: x\r\n\r\n"), "250 ")) << row.name;
    ASSERT_EQ(acceptor_.messages.size(), 1u) << row.name;
    const TraceInfo& trace = acceptor_.messages[0].request.trace;
    EXPECT_EQ(trace.protocol, row.protocol) << row.name;
    EXPECT_EQ(trace.tls, row.tls ? "TLS_AES_256_GCM_SHA384 (TLSv1.3)" : "") << row.name;
    EXPECT_EQ(trace.helo, "c");
  }
}

// The end of the data is CRLF.CRLF here as well; what hides behind another one stays text.
TEST_F(SmtpSubmissionTest, NormalizesBareNewlinesWhereAsked) {
  options_.bare_newlines = smtp::BareNewlines::kNormalize;
  Connect();
  Greet();
  EXPECT_TRUE(absl::StartsWith(AnswerTo("Subject: x\n\rone\n.\r\nRSET\ntwo\r.\rthree\r\n"), "250 "));
  EXPECT_EQ(body(),
            "Subject: x\r\n\r\none\r\n.\r\nRSET\r\ntwo\r\n.\r\nthree\r\n");
  EXPECT_EQ(acceptor_.messages.size(), 1u);
}

// The same for what comes in chunks, which may cut anything.
TEST_F(SmtpSubmissionTest, ChunksAreTreatedLikeData) {
  options_.bare_newlines = smtp::BareNewlines::kNormalize;
  ConnectAndLogIn();
  const std::string message = "Subject: x\r\nBcc: carol@other.test\r\n\r\none\n.\r\ntwo\r";
  for (std::size_t cut = 0; cut <= message.size(); ++cut) {
    acceptor_.messages.clear();
    Send("MAIL FROM:<alice@example.test>\r\nRCPT TO:<bob@example.test>\r\n");
    Send(absl::StrCat("BDAT ", cut, "\r\n", message.substr(0, cut)));
    received().clear();
    Send(absl::StrCat("BDAT ", message.size() - cut, " LAST\r\n", message.substr(cut)));
    EXPECT_EQ(received().substr(0, 4), "250 ") << cut;
    ASSERT_EQ(acceptor_.messages.size(), 1u) << cut;
    const std::string id = acceptor_.messages[0].request.id.ToString();
    EXPECT_EQ(body(), absl::StrCat("Subject: x\r\nDate: Tue, 14 Nov 2023 22:13:20 +0000\r\n"
                                   "From: alice@example.test\r\nMessage-ID: <",
                                   id, "@mx.example>\r\n\r\none\r\n.\r\ntwo\r\n"))
        << cut;
  }
}

TEST_F(SmtpSubmissionTest, TellsTheAcceptorWhereTheMessageHasBeen) {
  Connect();
  Greet();
  AnswerTo("Delivered-To: Bob@example.test\r\nDelivered-To: x@y\r\n\r\nDelivered-To: z\r\n");
  const std::vector<std::string> expected = {"bob@example.test", "x@y"};
  EXPECT_EQ(acceptor_.messages.at(0).request.delivered_to, expected);
}

}  // namespace
}  // namespace posthorn::gateway
