// XCLIENT (Postfix XCLIENT_README).
#include "lib/base/failure.h"
#include "services/gateway/smtp/transcript.h"

namespace posthorn::gateway {
namespace {

class SmtpXclientTest : public SmtpTranscriptTest {
 protected:
  SmtpXclientTest() {
    options_.xclient_networks.push_back(net::IpNetwork::Parse("192.0.2.0/24").value());
  }
};

TEST_F(SmtpXclientTest, IsForTrustedProxies) {
  Connect();
  Play(R"(
    S: 220 mx.example ESMTP Posthorn
    C: EHLO proxy
    S: 250-mx.example greets proxy
    S: 250-PIPELINING
    S: 250-SIZE 52428800
    S: 250-8BITMIME
    S: 250-ENHANCEDSTATUSCODES
    S: 250-STARTTLS
    S: 250-SMTPUTF8
    S: 250-CHUNKING
    S: 250-BINARYMIME
    S: 250-LIMITS RCPTMAX=1000
    S: 250-XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT
    S: 250 HELP
    C: XCLIENT NAME=spike.example ADDR=203.0.113.9 PORT=4711
    S: 220 mx.example ESMTP Posthorn
    C: MAIL FROM:<a@b.example>
    S: 503 5.5.1 Send EHLO or HELO first
    C: XCLIENT PROTO=ESMTP HELO=spike DESTADDR=192.0.2.25 DESTPORT=25
    S: 220 mx.example ESMTP Posthorn
    C: MAIL FROM:<a@b.example>
    S: 250 2.1.0 Sender ok
    C: XCLIENT ADDR=203.0.113.10
    S: 503 5.5.1 Not within a mail transaction
    C: RCPT TO:<alice@example.test>
    S: 250 2.1.5 Recipient ok
    C: DATA
    S: 354 *
    C: .
    S: 250 2.0.0 *
  )");
  const TraceInfo& trace = acceptor_.messages.at(0).request.trace;
  EXPECT_EQ(trace.client_ip, "203.0.113.9");
  EXPECT_EQ(trace.client_name, "spike.example");
  EXPECT_EQ(trace.helo, "spike");
  EXPECT_EQ(trace.protocol, "ESMTP");
}

TEST_F(SmtpXclientTest, OthersAreRefusedAndNothingChanges) {
  peer_.ip = "198.51.100.1";
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
    S: 250-LIMITS RCPTMAX=1000
    S: 250 HELP
    C: XCLIENT ADDR=192.0.2.1 HELO=forged LOGIN=alice@example.test
    S: 550 5.7.1 XCLIENT is not for this client
    C: MAIL FROM:<a@b.example>
    S: 250 2.1.0 Sender ok
    C: RCPT TO:<x@remote.example>
    S: 550 5.7.1 Relaying denied
    C: RCPT TO:<alice@example.test>
    S: 250 2.1.5 Recipient ok
    C: DATA
    S: 354 *
    C: .
    S: 250 2.0.0 *
  )");
  EXPECT_EQ(acceptor_.messages.at(0).request.trace.client_ip, "198.51.100.1");
  EXPECT_EQ(acceptor_.messages.at(0).request.trace.helo, "c");
}

// The proxy may relay; whom it speaks for may not, also when TLS begins anew.
TEST_F(SmtpXclientTest, TheProxysRightsAreNotTheClients) {
  options_.trusted_networks.push_back(TrustedNetwork::Parse("192.0.2.0/24=demo").value());
  for (const char* client : {"203.0.113.9", "IPV6:2001:db8::1", "[UNAVAILABLE]"}) {
    Connect();
    Send(std::string("XCLIENT ADDR=") + client + "\r\n");
    received().clear();
    Play(R"(
      C: EHLO c
      S: 250-*
      S: 250-*
      S: 250-*
      S: 250-*
      S: 250-*
      S: 250-*
      S: 250-*
      S: 250-*
      S: 250-*
      S: 250-*
      S: 250-*
      S: 250 HELP
      C: STARTTLS
      S: 220 2.0.0 *
      TLS
    )");
    Greet();
    Play(R"(
      C: MAIL FROM:<a@b.example>
      S: 250 2.1.0 Sender ok
      C: RCPT TO:<x@remote.example>
      S: 550 5.7.1 Relaying denied
    )");
  }
  // And the other way round: the client's network is trusted, the proxy's is not.
  options_.trusted_networks = {TrustedNetwork::Parse("203.0.113.9=demo").value()};
  Connect();
  Play(R"(
    S: 220 *
    C: XCLIENT ADDR=203.0.113.9 HELO=app
    S: 220 *
    C: MAIL FROM:<a@b.example>
    S: 250 2.1.0 Sender ok
    C: RCPT TO:<x@remote.example>
    S: 250 2.1.5 *
  )");
}

TEST_F(SmtpXclientTest, LogsIn) {
  options_.role = SmtpRole::kSubmission;
  Connect();
  Play(R"(
    S: 220 *
    C: XCLIENT LOGIN=nobody@example.test
    S: 535 5.7.8 *
    C: XCLIENT LOGIN=Alice@example.test HELO=c
    S: 220 *
    C: MAIL FROM:<bob@example.test>
    S: 550 5.7.1 *
    C: MAIL FROM:<alice@example.test>
    S: 250 2.1.0 Sender ok
    C: RCPT TO:<x@remote.example>
    S: 250 2.1.5 *
    C: RSET
    S: 250 *
    C: XCLIENT LOGIN=[UNAVAILABLE] HELO=c
    S: 220 *
    C: MAIL FROM:<alice@example.test>
    S: 530 5.7.0 *
  )");
}

TEST_F(SmtpXclientTest, RefusesWhatIsMalformed) {
  Connect();
  Play(R"(
    S: 220 *
    C: XCLIENT
    S: 501 5.5.2 *
    C: XCLIENT ADDR=localhost
    S: 501 5.5.4 *
    C: XCLIENT COLOUR=red
    S: 501 5.5.4 *
  )");
}

}  // namespace
}  // namespace posthorn::gateway
