// AUTH and STARTTLS.
#include "absl/strings/escaping.h"
#include "lib/base/failure.h"
#include "services/gateway/smtp/transcript.h"

namespace posthorn::gateway {
namespace {

class SmtpAuthTest : public SmtpTranscriptTest {
 protected:
  SmtpAuthTest() { options_.role = SmtpRole::kSubmission; }

  // Connects, starts TLS and greets again.
  void ConnectSecurely() {
    Connect();
    Play(R"(
      S: 220 *
      C: STARTTLS
      S: 220 2.0.0 Ready to start TLS
      TLS
    )");
    Greet();
  }
};

TEST_F(SmtpAuthTest, OffersAndTakesAuthOnlyUnderTls) {
  Connect();
  Play(R"(
    S: 220 mx.example ESMTP Posthorn
    C: EHLO c
    S: 250-mx.example greets c
    S: 250-PIPELINING
    S: 250-SIZE *
    S: 250-8BITMIME
    S: 250-ENHANCEDSTATUSCODES
    S: 250-STARTTLS
    S: 250-SMTPUTF8
    S: 250-CHUNKING
    S: 250-BINARYMIME
    S: 250-LIMITS RCPTMAX=1000
    S: 250 HELP
    C: AUTH PLAIN AGFsaWNlQGV4YW1wbGUudGVzdABzZWNyZXQ=
    S: 538 5.7.11 *
    C: AUTH LOGIN
    S: 538 5.7.11 *
    C: STARTTLS
    S: 220 2.0.0 Ready to start TLS
    TLS
    C: MAIL FROM:<alice@example.test>
    S: 503 5.5.1 Send EHLO or HELO first
    C: EHLO c
    S: 250-mx.example greets c
    S: 250-PIPELINING
    S: 250-SIZE *
    S: 250-8BITMIME
    S: 250-ENHANCEDSTATUSCODES
    S: 250-AUTH PLAIN LOGIN SCRAM-SHA-256 SCRAM-SHA-256-PLUS
    S: 250-SMTPUTF8
    S: 250-CHUNKING
    S: 250-BINARYMIME
    S: 250-LIMITS RCPTMAX=1000
    S: 250 HELP
    C: STARTTLS
    S: 503 5.5.1 TLS is already active
    C: AUTH PLAIN AGFsaWNlQGV4YW1wbGUudGVzdABzZWNyZXQ=
    S: 235 2.7.0 Authentication successful
    C: AUTH PLAIN AGFsaWNlQGV4YW1wbGUudGVzdABzZWNyZXQ=
    S: 503 5.5.1 Already authenticated
    C: MAIL FROM:<alice@example.test>
    S: 250 2.1.0 Sender ok
    C: RCPT TO:<u@remote.example>
    S: 250 2.1.5 *
    C: DATA
    S: 354 *
    C: .
    S: 250 2.0.0 *
  )");
  EXPECT_EQ(acceptor_.messages.at(0).request.trace.protocol, "ESMTPSA");
  EXPECT_EQ(acceptor_.messages.at(0).request.trace.tls, "TLS_AES_256_GCM_SHA384 (TLSv1.3)");
}

TEST_F(SmtpAuthTest, PlainWithAnEmptyChallenge) {
  ConnectSecurely();
  Play(R"(
    C: AUTH PLAIN
    S: 334 
    C: AGFsaWNlQGV4YW1wbGUudGVzdABzZWNyZXQ=
    S: 235 2.7.0 *
  )");
}

TEST_F(SmtpAuthTest, LoginAsksTwice) {
  ConnectSecurely();
  Play(R"(
    C: AUTH LOGIN
    S: 334 VXNlcm5hbWU6
    C: YWxpY2VAZXhhbXBsZS50ZXN0
    S: 334 UGFzc3dvcmQ6
    C: c2VjcmV0
    S: 235 2.7.0 *
  )");
}

TEST_F(SmtpAuthTest, LoginWithTheNameAtOnce) {
  ConnectSecurely();
  Play(R"(
    C: AUTH LOGIN YWxpY2VAZXhhbXBsZS50ZXN0
    S: 334 UGFzc3dvcmQ6
    C: d3Jvbmc=
    S: 535 5.7.8 Authentication failed
    C: AUTH LOGIN YWxpY2VAZXhhbXBsZS50ZXN0
    S: 334 UGFzc3dvcmQ6
    C: c2VjcmV0
    S: 235 2.7.0 *
  )");
}

TEST_F(SmtpAuthTest, RefusesWhatIsMalformed) {
  ConnectSecurely();
  Play(R"(
    C: AUTH PLAIN
    S: 334 
    C: *
    S: 501 5.7.0 *
    C: AUTH PLAIN !!!
    S: 501 5.5.2 *
    C: AUTH PLAIN YWxpY2U=
    S: 501 5.5.2 *
    C: AUTH PLAIN =
    S: 501 5.5.2 *
    C: AUTH LOGIN
    S: 334 *
    C: =
    S: 501 5.5.2 *
    C: AUTH CRAM-MD5
    S: 504 5.5.4 *
    C: NOOP
    S: 250 2.0.0 Ok
  )");
}

TEST_F(SmtpAuthTest, RefusesAnotherIdentity) {
  ConnectSecurely();
  const std::string plain("bob@example.test\0alice@example.test\0secret", 42);
  Play("C: AUTH PLAIN " + absl::Base64Escape(plain) + "\nS: 535 5.7.8 Authentication failed\n");
}

TEST_F(SmtpAuthTest, ABusyDirectoryIsTemporary) {
  ConnectSecurely();
  directory_.FailWith(MakeFailure(Failure::kAuthenticationBusy));
  Play(R"(
    C: AUTH PLAIN AGFsaWNlQGV4YW1wbGUudGVzdABzZWNyZXQ=
    S: 454 4.7.0 *
  )");
  directory_.FailWith(MakeFailure(Failure::kUnavailable));
  Play(R"(
    C: AUTH PLAIN AGFsaWNlQGV4YW1wbGUudGVzdABzZWNyZXQ=
    S: 454 4.7.0 *
  )");
}

TEST_F(SmtpAuthTest, GuessingEndsTheSession) {
  limits_.errors = 3;
  ConnectSecurely();
  Play(R"(
    C: AUTH PLAIN AGFsaWNlQGV4YW1wbGUudGVzdABhYWE=
    S: 535 *
    C: AUTH PLAIN
    S: 334 
    C: AGFsaWNlQGV4YW1wbGUudGVzdABhYWI=
    S: 535 *
    C: AUTH PLAIN AGFsaWNlQGV4YW1wbGUudGVzdABhYWM=
    S: 421 4.7.0 *
    CLOSED
  )");
}

TEST_F(SmtpAuthTest, AuthIsNotForTransactions) {
  options_.trusted_networks.push_back(TrustedNetwork::Parse("192.0.2.0/24=demo").value());
  ConnectSecurely();
  Play(R"(
    C: MAIL FROM:<a@b.example>
    S: 250 2.1.0 Sender ok
    C: AUTH PLAIN AGFsaWNlQGV4YW1wbGUudGVzdABzZWNyZXQ=
    S: 503 5.5.1 *
    C: STARTTLS
    S: 503 5.5.1 *
  )");
}

TEST_F(SmtpAuthTest, LoopbackMayBeExempt) {
  options_.allow_plaintext_auth_on_loopback = true;
  Connect();
  Greet();
  Play(R"(
    C: AUTH PLAIN AGFsaWNlQGV4YW1wbGUudGVzdABzZWNyZXQ=
    S: 538 5.7.11 *
  )");
  peer_.ip = "127.0.0.1";
  Connect();
  Greet();
  Play(R"(
    C: AUTH PLAIN AGFsaWNlQGV4YW1wbGUudGVzdABzZWNyZXQ=
    S: 235 2.7.0 *
  )");
}

TEST_F(SmtpAuthTest, SubmissionsBeginsWithTls) {
  options_.role = SmtpRole::kSubmissions;
  Connect();
  Play(R"(
    TLS
    S: 220 mx.example ESMTP Posthorn
    C: EHLO c
    S: 250-mx.example greets c
    S: 250-PIPELINING
    S: 250-SIZE *
    S: 250-8BITMIME
    S: 250-ENHANCEDSTATUSCODES
    S: 250-AUTH PLAIN LOGIN SCRAM-SHA-256 SCRAM-SHA-256-PLUS
    S: 250-SMTPUTF8
    S: 250-CHUNKING
    S: 250-BINARYMIME
    S: 250-LIMITS RCPTMAX=1000
    S: 250 HELP
  )");
}

// What arrives after STARTTLS in clear text is never executed under TLS.
TEST_F(SmtpAuthTest, StartTlsDiscardsWhatCameBefore) {
  options_.role = SmtpRole::kMx;
  Connect();
  Greet();
  Play(R"(
    C: STARTTLS
    S: 220 2.0.0 Ready to start TLS
    c: MAIL FROM:<evil@b.example>\r\nRCPT TO:<alice@example.test>\r\nNOOP\r\nQU
    TLS
    C: EHLO c
    S: 250-mx.example greets c
    S: 250-PIPELINING
    S: 250-SIZE *
    S: 250-8BITMIME
    S: 250-ENHANCEDSTATUSCODES
    S: 250-SMTPUTF8
    S: 250-CHUNKING
    S: 250-BINARYMIME
    S: 250-LIMITS RCPTMAX=1000
    S: 250 HELP
    C: RCPT TO:<alice@example.test>
    S: 503 5.5.1 Send MAIL first
  )");
}

TEST_F(SmtpAuthTest, WithoutCertificateThereIsNoStartTls) {
  tls_available_ = false;
  Connect();
  Play(R"(
    S: 220 *
    C: EHLO c
    S: 250-mx.example greets c
    S: 250-PIPELINING
    S: 250-SIZE *
    S: 250-8BITMIME
    S: 250-ENHANCEDSTATUSCODES
    S: 250-SMTPUTF8
    S: 250-CHUNKING
    S: 250-BINARYMIME
    S: 250-LIMITS RCPTMAX=1000
    S: 250 HELP
    C: STARTTLS
    S: 502 5.5.1 *
  )");
}

TEST_F(SmtpAuthTest, AVeryLongResponseIsRefused) {
  ConnectSecurely();
  Send("AUTH PLAIN\r\n");
  received().clear();
  Send(std::string(20000, 'A') + "\r\nNOOP\r\n");
  Play(R"(
    S: 500 5.5.6 *
    S: 250 2.0.0 Ok
  )");
}

}  // namespace
}  // namespace posthorn::gateway
