// The parameters of MAIL and RCPT from the wire to the acceptor, and where each is offered.
#include "lib/base/failure.h"
#include "services/gateway/smtp/transcript.h"

namespace posthorn::gateway {
namespace {

using smtp::Extension;

class SmtpParametersTest : public SmtpTranscriptTest {
 protected:
  SmtpParametersTest() {
    queue_extensions_ = smtp::ExtensionSet{Extension::kDsn, Extension::kRequireTls,
                                           Extension::kFutureRelease, Extension::kMtPriority,
                                           Extension::kDeliverBy};
    limits_.max_hold = absl::Hours(24);
  }
  // The request of the only message.
  const AcceptRequest& Accepted() { return acceptor_.messages.at(0).request; }
  void LogIn() {
    options_.role = SmtpRole::kSubmission;
    Connect();
    Play(R"(
      S: 220 *
      C: STARTTLS
      S: 220 *
      TLS
    )");
    Greet();
    Play(R"(
      C: AUTH PLAIN AGFsaWNlQGV4YW1wbGUudGVzdABzZWNyZXQ=
      S: 235 *
    )");
  }
};

TEST_F(SmtpParametersTest, OffersWhatTheQueueHonours) {
  Connect();
  Play(R"(
    S: 220 *
    C: EHLO c
    S: 250-mx.example greets c
    S: 250-PIPELINING
    S: 250-SIZE 52428800
    S: 250-8BITMIME
    S: 250-ENHANCEDSTATUSCODES
    S: 250-STARTTLS
    S: 250-SMTPUTF8
    S: 250-CHUNKING
    S: 250-BINARYMIME
    S: 250-DSN
    S: 250-MT-PRIORITY
    S: 250-DELIVERBY
    S: 250-LIMITS RCPTMAX=1000
    S: 250 HELP
    C: MAIL FROM:<a@b.example> REQUIRETLS
    S: 555 5.5.4 *
    C: MAIL FROM:<a@b.example> HOLDFOR=60
    S: 555 5.5.4 *
  )");
}

TEST_F(SmtpParametersTest, OffersTheRestUnderTlsAndForSubmission) {
  options_.role = SmtpRole::kSubmission;
  Connect();
  Play(R"(
    S: 220 *
    C: STARTTLS
    S: 220 *
    TLS
    C: EHLO c
    S: 250-mx.example greets c
    S: 250-PIPELINING
    S: 250-SIZE 52428800
    S: 250-8BITMIME
    S: 250-ENHANCEDSTATUSCODES
    S: 250-AUTH *
    S: 250-SMTPUTF8
    S: 250-CHUNKING
    S: 250-BINARYMIME
    S: 250-DSN
    S: 250-REQUIRETLS
    S: 250-FUTURERELEASE 86400 2023-11-15T22:13:20Z
    S: 250-MT-PRIORITY
    S: 250-DELIVERBY
    S: 250-LIMITS RCPTMAX=1000
    S: 250 HELP
  )");
}

TEST_F(SmtpParametersTest, WithoutTheQueueNothingOfItIsKnown) {
  queue_extensions_ = smtp::ExtensionSet();
  Connect();
  Greet();
  for (const char* parameter : {"RET=FULL", "ENVID=x", "REQUIRETLS", "HOLDFOR=1", "MT-PRIORITY=1",
                                "HOLDUNTIL=2023-11-14T22:13:20Z", "BY=1;R"}) {
    received().clear();
    Send(std::string("MAIL FROM:<a@b.example> ") + parameter + "\r\n");
    EXPECT_EQ(received(), "555 5.5.4 Parameter not recognised\r\n") << parameter;
  }
}

TEST_F(SmtpParametersTest, CarriesDsn) {
  Connect();
  Greet();
  Play(R"(
    C: MAIL FROM:<a@b.example> RET=HDRS ENVID=QQ+2B314
    S: 250 2.1.0 Sender ok
    C: RCPT TO:<alice@example.test> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;Bob@Example.net
    S: 250 2.1.5 Recipient ok
    C: RCPT TO:<bob@example.test> NOTIFY=NEVER
    S: 250 2.1.5 Recipient ok
    C: RCPT TO:<list@example.test>
    S: 250 2.1.5 Recipient ok
    C: RCPT TO:<list@example.test> NOTIFY=NEVER,SUCCESS
    S: 501 5.5.4 NOTIFY=NEVER stands alone
    C: DATA
    S: 354 *
    C: .
    S: 250 2.0.0 *
  )");
  EXPECT_EQ(Accepted().options.ret, smtp::DsnReturn::kHeaders);
  EXPECT_EQ(Accepted().options.envelope_id, "QQ+314");
  ASSERT_EQ(Accepted().recipients.size(), 3u);
  const RecipientOptions& first = Accepted().recipients[0].options;
  EXPECT_TRUE(first.notify.success && first.notify.delay);
  EXPECT_FALSE(first.notify.failure || first.notify.never);
  EXPECT_EQ(first.original_recipient, "rfc822;Bob@Example.net");
  EXPECT_TRUE(Accepted().recipients[1].options.notify.never);
  EXPECT_FALSE(Accepted().recipients[2].options.notify.IsGiven());
}

TEST_F(SmtpParametersTest, CarriesTheRestOfALogin) {
  LogIn();
  Play(R"(
    C: MAIL FROM:<alice@example.test> REQUIRETLS HOLDFOR=3600 MT-PRIORITY=4 BY=7200;RT
    S: 250 2.1.0 Sender ok
    C: RCPT TO:<x@remote.example> NOTIFY=FAILURE
    S: 250 2.1.5 *
    C: DATA
    S: 354 *
    C: .
    S: 250 2.0.0 *
  )");
  const EnvelopeOptions& options = Accepted().options;
  EXPECT_TRUE(options.require_tls);
  EXPECT_EQ(options.hold_until, clock_.Now() + absl::Hours(1));
  EXPECT_EQ(options.priority, 4);
  ASSERT_TRUE(options.deliver_by.has_value());
  EXPECT_EQ(options.deliver_by->by, clock_.Now() + absl::Hours(2));
  EXPECT_FALSE(options.deliver_by->notify);
  EXPECT_TRUE(options.deliver_by->trace);
  EXPECT_TRUE(Accepted().recipients[0].options.notify.failure);
  EXPECT_EQ(Accepted().trace.protocol, "ESMTPSA");
}

TEST_F(SmtpParametersTest, ChecksTimesAgainstEachOtherAndTheLimit) {
  LogIn();
  Play(R"(
    C: MAIL FROM:<alice@example.test> HOLDFOR=86401
    S: 501 5.5.4 Held longer than FUTURERELEASE allows
    C: MAIL FROM:<alice@example.test> HOLDUNTIL=2023-11-15T22:13:21Z
    S: 501 5.5.4 Held longer than FUTURERELEASE allows
    C: MAIL FROM:<alice@example.test> HOLDFOR=60 HOLDUNTIL=2023-11-14T22:14:20Z
    S: 501 5.5.4 *
    C: MAIL FROM:<alice@example.test> HOLDFOR=3600 BY=3600;R
    S: 501 5.5.4 BY ends before the message is released
    C: MAIL FROM:<alice@example.test> HOLDFOR=3600 BY=60;N
    S: 250 2.1.0 Sender ok
    C: RSET
    S: 250 2.0.0 Ok
    C: MAIL FROM:<alice@example.test> HOLDUNTIL=2023-11-15T22:13:20Z
    S: 250 2.1.0 Sender ok
  )");
}

// RFC 6710 section 4.1.
TEST_F(SmtpParametersTest, VariableEnvelopeReturnPathsAreNotForStrangers) {
  queue_extensions_.Add(Extension::kXverp);
  Connect();
  Greet();
  Play(R"(
    C: MAIL FROM:<a@b.example> XVERP
    S: 555 5.5.4 *
  )");
  LogIn();
  Send("EHLO c\r\n");
  EXPECT_NE(received().find("250-XVERP\r\n"), std::string::npos);
  received().clear();
  Play(R"(
    C: MAIL FROM:<> XVERP
    S: 501 5.5.4 *
    C: MAIL FROM:<alice@example.test> XVERP=-=
    S: 250 *
    C: RCPT TO:<bob@example.test>
    S: 250 *
    C: DATA
    S: 354 *
    C: Subject: x\r\n\r\nx\r\n.
    S: 250 *
  )");
  EXPECT_EQ(Accepted().options.verp_delimiters, "-=");
}

TEST_F(SmtpParametersTest, StrangersDoNotRaiseTheirPriority) {
  Connect();
  Greet();
  Play(R"(
    C: MAIL FROM:<a@b.example> MT-PRIORITY=9
    S: 250 2.3.6 0 is the priority of this message
    C: RCPT TO:<alice@example.test>
    S: 250 2.1.5 Recipient ok
    C: DATA
    S: 354 *
    C: .
    S: 250 2.0.0 *
    C: MAIL FROM:<a@b.example> MT-PRIORITY=-5
    S: 250 2.1.0 Sender ok
  )");
  EXPECT_EQ(Accepted().options.priority, 0);
}

TEST_F(SmtpParametersTest, ALoginIsNotClaimedByAParameter) {
  Connect();
  Greet();
  Play(R"(
    C: MAIL FROM:<a@b.example> AUTH=alice@example.test
    S: 250 2.1.0 Sender ok
    C: RCPT TO:<x@remote.example>
    S: 550 5.7.1 Relaying denied
  )");
}

// RFC 6531.
TEST_F(SmtpParametersTest, TakesInternationalisedAddresses) {
  directory_.AddAccount("d\xc3\xb6mi@example.test", "x", AccountId(14));
  directory_.AddDomain("b\xc3\xbc" "cher.test", TenantId(1));
  directory_.AddAccount("info@b\xc3\xbc" "cher.test", "x", AccountId(15));
  Connect();
  Greet();
  Play(R"(
    C: MAIL FROM:<\xc3\xa4@b.example> SMTPUTF8 BODY=8BITMIME
    S: 250 2.1.0 Sender ok
    C: RCPT TO:<d\xc3\xb6mi@example.test>
    S: 250 2.1.5 Recipient ok
    C: RCPT TO:<info@b\xc3\xbccher.test>
    S: 250 2.1.5 Recipient ok
    C: RCPT TO:<\xc3\x28@example.test>
    S: 553 5.1.3 *
    C: DATA
    S: 354 *
    C: Subject: \xc3\xa4
    C: .
    S: 250 2.0.0 *
  )");
  EXPECT_EQ(Accepted().reverse_path, "\xc3\xa4@b.example");
  EXPECT_EQ(Accepted().recipients.at(0).address, "d\xc3\xb6mi@example.test");
  EXPECT_TRUE(Accepted().options.smtputf8);
  EXPECT_EQ(Accepted().trace.protocol, "UTF8SMTP");
}

TEST_F(SmtpParametersTest, NamesTheProtocolAsRfc6531HasIt) {
  LogIn();
  Play(R"(
    C: MAIL FROM:<alice@example.test> SMTPUTF8
    S: 250 2.1.0 Sender ok
    C: RCPT TO:<bob@example.test>
    S: 250 2.1.5 Recipient ok
    C: DATA
    S: 354 *
    C: Subject: plain
    C:
    C: \xc3\xa4
    C: .
    S: 250 2.0.0 *
  )");
  EXPECT_EQ(Accepted().trace.protocol, "UTF8SMTPSA");
  // The client asked for it, the message does not need it: any server may have it.
  EXPECT_FALSE(Accepted().options.smtputf8);
  EXPECT_TRUE(Accepted().body_is_8bit);
}

TEST_F(SmtpParametersTest, LmtpHasItsOwnName) {
  options_.role = SmtpRole::kLmtp;
  Connect();
  Greet();
  Play(R"(
    C: MAIL FROM:<\xc3\xa4@b.example> SMTPUTF8
    S: 250 2.1.0 Sender ok
    C: RCPT TO:<alice@example.test>
    S: 250 2.1.5 Recipient ok
    C: DATA
    S: 354 *
    C: .
    S: 250 2.0.0 *
  )");
  EXPECT_EQ(Accepted().trace.protocol, "UTF8LMTP");
}

TEST_F(SmtpParametersTest, InternationalisedAddressesNeedSmtpUtf8) {
  Connect();
  Greet();
  Play(R"(
    C: MAIL FROM:<\xc3\xa4@b.example>
    S: 553 5.6.7 Internationalised address without SMTPUTF8
    C: MAIL FROM:<a@b.example>
    S: 250 2.1.0 Sender ok
    C: RCPT TO:<d\xc3\xb6mi@example.test>
    S: 553 5.6.7 *
    C: RCPT TO:<alice@example.test> ORCPT=utf-8;d\xc3\xb6mi@x.example
    S: 553 5.6.7 *
    C: RCPT TO:<alice@example.test> ORCPT=utf-8;d\\x{F6}mi@x.example
    S: 250 2.1.5 Recipient ok
  )");
}

}  // namespace
}  // namespace posthorn::gateway
