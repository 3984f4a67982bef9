// Who may send to whom: never an open relay.
#include "lib/base/failure.h"
#include "services/gateway/smtp/transcript.h"

namespace posthorn::gateway {
namespace {

class SmtpRelayTest : public SmtpTranscriptTest {
 protected:
  void Login() {
    Play(R"(
      C: AUTH PLAIN AGFsaWNlQGV4YW1wbGUudGVzdABzZWNyZXQ=
      S: 235 2.7.0 Authentication successful
    )");
  }
  void ConnectAndLogIn() {
    options_.role = SmtpRole::kSubmission;
    options_.allow_plaintext_auth_on_loopback = true;
    peer_.ip = "127.0.0.1";
    Connect();
    Greet();
    Login();
  }
};

struct RelayRow {
  const char* name;
  std::string mail;
  std::string rcpt;
  std::string answer;
};

const RelayRow kRelayRows[] = {
    {"remote", "<x@remote.example>", "<u@remote.example>", "550 5.7.1 Relaying denied"},
    {"forged local sender", "<alice@example.test>", "<u@remote.example>",
     "550 5.7.1 Relaying denied"},
    {"null sender", "<>", "<u@remote.example>", "550 5.7.1 Relaying denied"},
    {"percent", "<x@remote.example>", "<u%remote.example@example.test>",
     "550 5.1.1 No such recipient here"},
    {"quoted", "<x@remote.example>", "<\"u@remote.example\"@example.test>",
     "550 5.1.1 No such recipient here"},
    {"bang", "<x@remote.example>", "<remote.example!u@example.test>",
     "550 5.1.1 No such recipient here"},
    {"source route", "<x@remote.example>", "<@example.test:u@remote.example>",
     "550 5.7.1 Relaying denied"},
    {"long source route", "<x@remote.example>", "<@example.test,@other.test:u@remote.example>",
     "550 5.7.1 Relaying denied"},
    {"percent twice", "<x@remote.example>", "<u%remote.example%x@example.test>",
     "550 5.1.1 No such recipient here"},
    {"percent of a local user", "<x@remote.example>", "<alice%example.test@remote.example>",
     "550 5.7.1 Relaying denied"},
    {"literal", "<x@remote.example>", "<u@[192.0.2.25]>", "550 5.7.1 Relaying denied"},
    {"no brackets", "x@remote.example", "u@remote.example", "550 5.7.1 Relaying denied"},
    {"quoted, no brackets", "x@remote.example", "\"u@remote.example\"@example.test",
     "550 5.1.1 No such recipient here"},
    {"subdomain", "<x@remote.example>", "<alice@sub.example.test>", "550 5.7.1 Relaying denied"},
    {"suffix", "<x@remote.example>", "<alice@notexample.test>", "550 5.7.1 Relaying denied"},
};

TEST_F(SmtpRelayTest, UntrustedPeersCannotRelay) {
  options_.domain_literals = true;
  for (const SmtpRole role : {SmtpRole::kMx, SmtpRole::kLmtp}) {
    for (const RelayRow& row : kRelayRows) {
      options_.role = role;
      Connect();
      Greet();
      Play("C: MAIL FROM:" + row.mail + "\nS: 250 2.1.0 Sender ok\nC: RCPT TO:" + row.rcpt +
           "\nS: " + row.answer + "\nC: DATA\nS: 503 5.5.1 No valid recipients\n");
      EXPECT_TRUE(acceptor_.messages.empty()) << row.name;
      if (HasFailure()) {
        ADD_FAILURE() << row.name;
        return;
      }
    }
  }
}

TEST_F(SmtpRelayTest, AFailedLoginIsNoLogin) {
  Connect();
  Greet();
  Play(R"(
    C: AUTH PLAIN AGFsaWNlQGV4YW1wbGUudGVzdAB3cm9uZw==
    S: 502 5.5.1 *
    C: MAIL FROM:<alice@example.test>
    S: 250 2.1.0 Sender ok
    C: RCPT TO:<u@remote.example>
    S: 550 5.7.1 Relaying denied
  )");
  options_.role = SmtpRole::kSubmission;
  options_.allow_plaintext_auth_on_loopback = true;
  peer_.ip = "127.0.0.1";
  Connect();
  Greet();
  Play(R"(
    C: AUTH PLAIN AGFsaWNlQGV4YW1wbGUudGVzdAB3cm9uZw==
    S: 535 5.7.8 Authentication failed
    C: MAIL FROM:<alice@example.test>
    S: 530 5.7.0 Authentication required
    C: RCPT TO:<u@remote.example>
    S: 503 5.5.1 Send MAIL first
  )");
  EXPECT_TRUE(acceptor_.messages.empty());
}

TEST_F(SmtpRelayTest, SubmissionWantsALogin) {
  options_.role = SmtpRole::kSubmission;
  Connect();
  Greet();
  Play(R"(
    C: MAIL FROM:<alice@example.test>
    S: 530 5.7.0 Authentication required
    C: RCPT TO:<bob@example.test>
    S: 503 5.5.1 *
  )");
}

TEST_F(SmtpRelayTest, ALoginMayRelayAsItself) {
  ConnectAndLogIn();
  Play(R"(
    C: MAIL FROM:<alice@example.test>
    S: 250 2.1.0 Sender ok
    C: RCPT TO:<u@remote.example>
    S: 250 2.1.5 Recipient ok, will relay
    C: RCPT TO:<carol@other.test>
    S: 250 2.1.5 Recipient ok
    C: RCPT TO:<nobody@example.test>
    S: 550 5.1.1 *
    C: DATA
    S: 354 *
    C: .
    S: 250 2.0.0 *
  )");
  const AcceptRequest& request = acceptor_.messages.at(0).request;
  ASSERT_EQ(request.recipients.size(), 2u);
  EXPECT_EQ(request.recipients[0].tenant, TenantId(1));
  EXPECT_FALSE(request.recipients[0].targets[0].account);
  EXPECT_EQ(request.recipients[0].targets[0].address, "u@remote.example");
  EXPECT_EQ(request.recipients[1].tenant, TenantId(2));
  EXPECT_EQ(request.trace.protocol, "ESMTPA");
}

TEST_F(SmtpRelayTest, ALoginSendsOnlyAsItself) {
  ConnectAndLogIn();
  Play(R"(
    C: MAIL FROM:<bob@example.test>
    S: 550 5.7.1 *
    C: MAIL FROM:<carol@other.test>
    S: 550 5.7.1 *
    C: MAIL FROM:<x@remote.example>
    S: 550 5.7.1 *
    C: MAIL FROM:<>
    S: 250 2.1.0 Sender ok
  )");
}

TEST_F(SmtpRelayTest, ATrustedNetworkRelaysForItsTenant) {
  options_.trusted_networks.push_back(TrustedNetwork::Parse("192.0.2.0/24=demo").value());
  for (const SmtpRole role : {SmtpRole::kMx, SmtpRole::kSubmission}) {
    options_.role = role;
    acceptor_.messages.clear();
    Connect();
    Greet();
    Play(R"(
      C: MAIL FROM:<app@somewhere.example>
      S: 250 2.1.0 Sender ok
      C: RCPT TO:<u@remote.example>
      S: 250 2.1.5 Recipient ok, will relay
      C: DATA
      S: 354 *
      C: .
      S: 250 2.0.0 *
      C: MAIL FROM:<carol@other.test>
      S: 250 2.1.0 Sender ok
      C: RCPT TO:<u@remote.example>
      S: 550 5.7.1 *
    )");
    EXPECT_EQ(acceptor_.messages.at(0).request.recipients[0].tenant, TenantId(1));
  }
  peer_.ip = "192.0.3.1";
  options_.role = SmtpRole::kMx;
  Connect();
  Greet();
  Play(R"(
    C: MAIL FROM:<app@somewhere.example>
    S: 250 2.1.0 Sender ok
    C: RCPT TO:<u@remote.example>
    S: 550 5.7.1 Relaying denied
  )");
}

TEST_F(SmtpRelayTest, ATrustedNetworkOfNobodyIsNotTrusted) {
  options_.trusted_networks.push_back(TrustedNetwork::Parse("192.0.2.0/24=gone").value());
  Connect();
  Greet();
  Play(R"(
    C: MAIL FROM:<app@somewhere.example>
    S: 250 2.1.0 Sender ok
    C: RCPT TO:<u@remote.example>
    S: 550 5.7.1 Relaying denied
  )");
}

TEST_F(SmtpRelayTest, PostmasterNeedsNoDomain) {
  directory_.AddDomain("mx.example", TenantId(1));
  directory_.AddAccount("postmaster@mx.example", "x", AccountId(19));
  Connect();
  Greet();
  Play(R"(
    C: MAIL FROM:<>
    S: 250 2.1.0 Sender ok
    C: RCPT TO:<Postmaster>
    S: 250 2.1.5 Recipient ok
  )");
}

TEST_F(SmtpRelayTest, PostmasterMayBeThatOfTheDomainAbove) {
  directory_.AddDomain("example", TenantId(1));
  Connect();
  Greet();
  // "example" alone is no domain that mail goes to.
  Play(R"(
    C: MAIL FROM:<>
    S: 250 2.1.0 Sender ok
    C: RCPT TO:<Postmaster>
    S: 550 5.7.1 *
    C: RCPT TO:<nobody>
    S: 553 5.1.3 *
  )");
  hostname_ = "in.mx.example";
  directory_.AddDomain("mx.example", TenantId(1));
  directory_.AddAccount("postmaster@mx.example", "x", AccountId(19));
  Connect();
  Greet();
  Play(R"(
    C: MAIL FROM:<>
    S: 250 2.1.0 Sender ok
    C: RCPT TO:<postmaster>
    S: 250 2.1.5 Recipient ok
  )");
}

TEST(TrustedNetworkTest, IsANetworkAndATenant) {
  const absl::StatusOr<TrustedNetwork> network = TrustedNetwork::Parse("2001:db8::/32=t");
  ASSERT_TRUE(network.ok()) << network.status();
  EXPECT_EQ(network->tenant(), "t");
  EXPECT_TRUE(network->Contains("2001:db8:1::1"));
  EXPECT_FALSE(network->Contains("192.0.2.1"));
  for (const char* bad : {"", "10.0.0.0/8", "10.0.0.0/8=", "=t", "10.0.0.1/8=t", "10.0.0.0/33=t",
                          "10.0.0.0/-1=t", "10.0.0.0/x=t", "x/8=t", "2001:db8::/129=t"}) {
    EXPECT_FALSE(TrustedNetwork::Parse(bad).ok()) << bad;
  }
}

}  // namespace
}  // namespace posthorn::gateway
