// What a listener is told to do: its name, TLS, sizes, rates, literals; and who guesses addresses.
#include "absl/strings/str_cat.h"
#include "lib/base/failure.h"
#include "services/gateway/smtp/transcript.h"

namespace posthorn::gateway {
namespace {

class SmtpPolicyTest : public SmtpTranscriptTest {
 protected:
  // One RCPT for somebody unknown, answered at once or not.
  void Guess(int number) { Send(absl::StrCat("RCPT TO:<guess", number, "@example.test>\r\n")); }
};

TEST_F(SmtpPolicyTest, AListenerHasItsOwnNameAndSize) {
  options_.hostname = "in.example";
  options_.message_octets = 1000;
  Connect();
  Play(R"(
    S: 220 in.example ESMTP Posthorn
    C: HELO c
    S: 250 in.example
    C: MAIL FROM:<a@b.example> SIZE=1001
    S: 552 5.3.4 *
    C: MAIL FROM:<a@b.example> SIZE=1000
    S: 250 2.1.0 Sender ok
    C: RCPT TO:<alice@example.test>
    S: 250 2.1.5 Recipient ok
    C: DATA
    S: 354 *
  )");
  Send(std::string(1000, 'x') + "\r\n.\r\n");
  EXPECT_EQ(received(), "552 5.3.4 Message exceeds the maximum size\r\n");
}

// RFC 3207 section 4.
TEST_F(SmtpPolicyTest, TlsMayBeRequired) {
  options_.tls = SmtpTls::kRequired;
  Connect();
  Play(R"(
    S: 220 *
    C: MAIL FROM:<a@b.example>
    S: 530 5.7.0 Must issue a STARTTLS command first
    C: VRFY alice
    S: 530 5.7.0 *
    C: BDAT 4 LAST
    c: QUIT
    S: 530 5.7.0 *
    C: NOOP
    S: 250 2.0.0 Ok
    C: HELP NOOP
    S: 214-2.0.0 *
    S: 214 2.0.0 *
    C: HELO c
    S: 250 mx.example
    C: MAIL FROM:<a@b.example>
    S: 530 5.7.0 *
    C: STARTTLS
    S: 220 2.0.0 *
    TLS
    C: HELO c
    S: 250 mx.example
    C: MAIL FROM:<a@b.example>
    S: 250 2.1.0 Sender ok
  )");
}

TEST_F(SmtpPolicyTest, TlsMayBeOff) {
  options_.tls = SmtpTls::kOff;
  Connect();
  Play(R"(
    S: 220 *
    C: EHLO c
    S: 250-mx.example greets c
    S: 250-PIPELINING
    S: 250-SIZE 52428800
    S: 250-8BITMIME
    S: 250-ENHANCEDSTATUSCODES
    S: 250-SMTPUTF8
    S: 250-CHUNKING
    S: 250-BINARYMIME
    S: 250-LIMITS RCPTMAX=1000
    S: 250 HELP
    C: STARTTLS
    S: 502 5.5.1 STARTTLS is not available
  )");
}

TEST_F(SmtpPolicyTest, LiteralsAreAnOption) {
  Connect();
  Greet();
  Play(R"(
    C: MAIL FROM:<a@[192.0.2.1]>
    S: 553 5.1.3 Address literals are not accepted here
    C: MAIL FROM:<a@b.example>
    S: 250 2.1.0 Sender ok
    C: RCPT TO:<alice@[192.0.2.25]>
    S: 553 5.1.3 Address literals are not accepted here
  )");
  options_.domain_literals = true;
  directory_.AddDomain("mx.example", TenantId(1));
  directory_.AddAccount("postmaster@mx.example", "x", AccountId(19));
  Connect();
  Greet();
  Play(R"(
    C: MAIL FROM:<a@[192.0.2.1]>
    S: 250 2.1.0 Sender ok
    C: RCPT TO:<postmaster@[192.0.2.25]>
    S: 250 2.1.5 Recipient ok
    C: RCPT TO:<alice@[192.0.2.26]>
    S: 550 5.7.1 Relaying denied
  )");
}

TEST_F(SmtpPolicyTest, LimitsMessagesOfAnAddress) {
  options_.messages_per_minute = 2;
  for (int session = 0; session < 2; ++session) {
    Connect();
    Greet();
    Play(R"(
      C: MAIL FROM:<a@b.example>
      S: 250 2.1.0 Sender ok
    )");
  }
  Connect();
  Greet();
  Play(R"(
    C: MAIL FROM:<a@b.example>
    S: 450 4.7.1 *
  )");
  clock_.Advance(absl::Minutes(1));
  Play(R"(
    C: MAIL FROM:<a@b.example>
    S: 250 2.1.0 Sender ok
  )");
  peer_.ip = "198.51.100.1";
  Connect();
  Greet();
  Play(R"(
    C: MAIL FROM:<a@b.example>
    S: 250 2.1.0 Sender ok
  )");
}

TEST_F(SmtpPolicyTest, LimitsCommandsOfAnAddress) {
  options_.commands_per_minute = 3;
  Connect();
  Play(R"(
    S: 220 *
    C: NOOP
    S: 250 *
    C: NOOP
    S: 250 *
    C: NOOP
    S: 250 *
    C: NOOP
    S: 421 4.7.0 Too many commands a minute, closing connection
    CLOSED
  )");
}

TEST_F(SmtpPolicyTest, SaysEarlyThatTheDiskIsFull) {
  staging_ = net::StagingArea::Open(testing::TempDir() + "/smtp_policy", 1000000).value();
  Connect();
  Greet();
  Play(R"(
    C: MAIL FROM:<a@b.example> SIZE=2000000
    S: 452 4.3.1 *
    C: MAIL FROM:<a@b.example> SIZE=100000
    S: 250 2.1.0 Sender ok
  )");
}

TEST_F(SmtpPolicyTest, GuessersWaitAndAreSentAway) {
  Connect();
  Greet();
  Send("MAIL FROM:<a@b.example>\r\n");
  received().clear();
  for (int i = 1; i <= 5; ++i) {
    Guess(i);
    EXPECT_EQ(received(), "550 5.1.1 No such recipient here\r\n") << i;
    received().clear();
  }
  for (int i = 6; i <= 20; ++i) {
    Guess(i);
    EXPECT_EQ(received(), "") << i;
    Advance(absl::Milliseconds(999));
    EXPECT_EQ(received(), "") << i;
    Advance(absl::Milliseconds(1));
    EXPECT_EQ(received(), "550 5.1.1 No such recipient here\r\n") << i;
    received().clear();
  }
  Guess(21);
  Play(R"(
    S: 421 4.7.0 Too many unknown recipients
    CLOSED
  )");
}

// A mail server of our own in front passes on the guesses of others.
TEST_F(SmtpPolicyTest, WhoHandsOnTheMailOfOthersIsNoGuesser) {
  limits_.unknown_recipients_at_once = 0;
  limits_.unknown_recipients = 1;
  limits_.errors = 3;
  for (const SmtpRole role : {SmtpRole::kLmtp, SmtpRole::kMx}) {
    options_.role = role;
    if (role == SmtpRole::kMx) {
      options_.trusted_networks.push_back(TrustedNetwork::Parse("192.0.2.0/24=demo").value());
    }
    Connect();
    Greet();
    Send("MAIL FROM:<a@b.example>\r\n");
    received().clear();
    for (int i = 1; i <= 5; ++i) {
      Guess(i);
      EXPECT_EQ(received(), "550 5.1.1 No such recipient here\r\n") << i;
      received().clear();
    }
  }
}

TEST_F(SmtpPolicyTest, GuessingIsCountedByAddressToo) {
  limits_.unknown_recipient_delay = absl::ZeroDuration();
  for (int i = 1; i <= 20; ++i) {
    Connect();
    Greet();
    Send("MAIL FROM:<a@b.example>\r\n");
    received().clear();
    Guess(i);
    EXPECT_EQ(received(), "550 5.1.1 No such recipient here\r\n") << i;
  }
  Connect();
  Greet();
  Play(R"(
    C: MAIL FROM:<a@b.example>
    S: 250 2.1.0 Sender ok
    C: RCPT TO:<alice@example.test>
    S: 250 2.1.5 Recipient ok
    C: RCPT TO:<guess@example.test>
    S: 421 4.7.0 *
    CLOSED
  )");
  // Who has guessed nothing, or long ago, notices nothing.
  clock_.Advance(absl::Minutes(10));
  Connect();
  Greet();
  Play(R"(
    C: MAIL FROM:<a@b.example>
    S: 250 2.1.0 Sender ok
    C: RCPT TO:<guess@example.test>
    S: 550 5.1.1 *
  )");
}

}  // namespace
}  // namespace posthorn::gateway
