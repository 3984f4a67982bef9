// Lists, suspension and quota at RCPT; what VRFY, EXPN and VERB tell whom.
#include "absl/strings/str_cat.h"
#include "lib/base/failure.h"
#include "services/gateway/smtp/transcript.h"

namespace posthorn::gateway {
namespace {

class SmtpAddressesTest : public SmtpTranscriptTest {
 protected:
  SmtpAddressesTest() {
    directory_.AddList("team@example.test", {"alice@example.test", "x@remote.example"},
                       {"alice@example.test", "x@remote.example"}, {AccountId(11)});
    directory_.AddList("open@example.test", {"bob@example.test"}, {"*"}, {});
    std::vector<Target> targets;
    targets.emplace_back(AccountId(12), "bob@example.test");
    targets.emplace_back(AccountId(), "team@example.test");
    targets.back().is_list = true;
    directory_.AddAlias("crew@example.test", std::move(targets));
  }
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
};

TEST_F(SmtpAddressesTest, ListsTakeMailFromThoseWhoMayPost) {
  struct Row {
    const char* sender;
    const char* list;
    const char* answer;
  };
  const Row rows[] = {
      {"<x@remote.example>", "<team@example.test>", "250 2.1.5 Recipient ok"},
      {"<y@remote.example>", "<team@example.test>", "550 5.7.1 You may not post to this list"},
      {"<y@remote.example>", "<open@example.test>", "250 2.1.5 Recipient ok"},
      // A name of ours needs a login; here anybody could have written it.
      {"<alice@example.test>", "<team@example.test>", "550 5.7.1 *"},
      {"<>", "<open@example.test>", "550 5.7.1 *"},
      // An alias does not get around it, nor does an old form of relaying.
      {"<y@remote.example>", "<crew@example.test>", "550 5.7.1 *"},
      {"<x@remote.example>", "<crew@example.test>", "250 2.1.5 Recipient ok"},
      {"<y@remote.example>", "<@example.test:team@example.test>", "550 5.7.1 *"},
      {"<y@remote.example>", "<team%example.test@example.test>", "550 5.1.1 *"},
  };
  for (const SmtpRole role : {SmtpRole::kMx, SmtpRole::kLmtp}) {
    options_.role = role;
    for (const Row& row : rows) {
      Connect();
      Greet();
      Play(absl::StrCat("C: MAIL FROM:", row.sender, "\nS: 250 2.1.0 Sender ok\nC: RCPT TO:",
                        row.list, "\nS: ", row.answer, "\n"));
      if (HasFailure()) {
        ADD_FAILURE() << row.sender << " to " << row.list;
        return;
      }
    }
  }
}

TEST_F(SmtpAddressesTest, ALoginPostsAsItself) {
  ConnectAndLogIn();
  Play(R"(
    C: MAIL FROM:<alice@example.test>
    S: 250 2.1.0 Sender ok
    C: RCPT TO:<team@example.test>
    S: 250 2.1.5 Recipient ok
    C: DATA
    S: 354 *
    C: .
    S: 250 2.0.0 *
  )");
  const AcceptRecipient& recipient = acceptor_.messages.at(0).request.recipients.at(0);
  EXPECT_EQ(recipient.tenant, TenantId(1));
  EXPECT_FALSE(recipient.targets.at(0).account);
  EXPECT_TRUE(recipient.targets.at(0).is_list);
}

TEST_F(SmtpAddressesTest, ATrustedNetworkPostsForItsTenant) {
  options_.trusted_networks.push_back(TrustedNetwork::Parse("192.0.2.0/24=demo").value());
  Connect();
  Greet();
  Play(R"(
    C: MAIL FROM:<alice@example.test>
    S: 250 2.1.0 Sender ok
    C: RCPT TO:<team@example.test>
    S: 250 2.1.5 Recipient ok
  )");
}

TEST_F(SmtpAddressesTest, WithoutTheDirectoryAPostWaits) {
  Connect();
  Greet();
  Play(R"(
    C: MAIL FROM:<x@remote.example>
    S: 250 2.1.0 Sender ok
  )");
  directory_.FailWith(MakeFailure(Failure::kUnavailable));
  Play(R"(
    C: RCPT TO:<team@example.test>
    S: 451 4.3.0 *
  )");
}

TEST_F(SmtpAddressesTest, SuspendedDomainsAreNotSuspendedAccounts) {
  directory_.SuspendDomain("other.test");
  Connect();
  Greet();
  Play(R"(
    C: MAIL FROM:<x@remote.example>
    S: 250 2.1.0 Sender ok
    C: RCPT TO:<carol@other.test>
    S: 550 5.3.2 Domain suspended
    C: RCPT TO:<suspended@example.test>
    S: 550 5.2.1 Mailbox disabled
  )");
}

TEST_F(SmtpAddressesTest, AFullMailboxIsRefusedBeforeTheMessageTravels) {
  directory_.SetRoom(AccountId(11), 1000, MakeFailure(Failure::kOverQuota));
  directory_.SetRoom(AccountId(12), 0, MakeFailure(Failure::kMailboxFull));
  Connect();
  Greet();
  Play(R"(
    C: MAIL FROM:<x@remote.example> SIZE=1001
    S: 250 2.1.0 Sender ok
    C: RCPT TO:<alice@example.test>
    S: 452 4.2.2 Mailbox full
    C: RSET
    S: 250 2.0.0 Ok
    C: MAIL FROM:<x@remote.example> SIZE=1000
    S: 250 2.1.0 Sender ok
    C: RCPT TO:<alice@example.test>
    S: 250 2.1.5 Recipient ok
    C: RCPT TO:<bob@example.test>
    S: 552 5.2.2 Mailbox full
    C: RSET
    S: 250 2.0.0 Ok
    C: MAIL FROM:<x@remote.example>
    S: 250 2.1.0 Sender ok
    C: RCPT TO:<bob@example.test>
    S: 552 5.2.2 Mailbox full
  )");
}

TEST_F(SmtpAddressesTest, StrangersLearnNothing) {
  for (const SmtpRole role : {SmtpRole::kMx, SmtpRole::kSubmission, SmtpRole::kLmtp}) {
    options_.role = role;
    Connect();
    Greet();
    Play(R"(
      C: VRFY alice@example.test
      S: 252 2.0.0 Cannot verify, but will take mail and try
      C: VRFY nobody@example.test
      S: 252 2.0.0 Cannot verify, but will take mail and try
      C: EXPN team@example.test
      S: 252 2.0.0 Cannot verify, but will take mail and try
      C: EXPN nothing@example.test
      S: 252 2.0.0 Cannot verify, but will take mail and try
      C: VERB
      S: 502 5.5.1 Command not implemented
      C: EXPN
      S: 501 5.5.2 *
    )");
  }
}

TEST_F(SmtpAddressesTest, AnAccountVerifiesInItsTenant) {
  directory_.AddAccount("joe@example.test", "x", AccountId(14));
  ConnectAndLogIn();
  Play(R"(
    C: VRFY bob@example.test
    S: 250 2.1.5 <bob@example.test>
    C: VRFY <BOB@example.test>
    S: 250 2.1.5 <BOB@example.test>
    C: VRFY bob
    S: 250 2.1.5 <bob@example.test>
    C: VRFY team
    S: 250 2.1.5 <team@example.test>
    C: VRFY nobody
    S: 550 5.1.1 No such recipient here
    C: VRFY suspended
    S: 550 5.2.1 Mailbox disabled
    C: VRFY carol@other.test
    S: 252 2.0.0 *
    C: VRFY nobody@other.test
    S: 252 2.0.0 *
    C: VRFY x@remote.example
    S: 252 2.0.0 *
    C: VRFY <broken@>
    S: 553 5.1.3 *
  )");
}

TEST_F(SmtpAddressesTest, ExpnShowsMembersToThoseWhoMaySeeThem) {
  ConnectAndLogIn();
  Play(R"(
    C: EXPN team
    S: 250-2.1.5 <alice@example.test>
    S: 250 2.1.5 <x@remote.example>
    C: EXPN <team@example.test>
    S: 250-2.1.5 <alice@example.test>
    S: 250 2.1.5 <x@remote.example>
    C: EXPN open@example.test
    S: 550 5.7.1 *
    C: EXPN list@example.test
    S: 250-2.1.5 <alice@example.test>
    S: 250 2.1.5 <bob@example.test>
    C: EXPN bob@example.test
    S: 550 5.1.1 *
    C: EXPN carol@other.test
    S: 550 5.1.1 *
  )");
}

TEST_F(SmtpAddressesTest, AnswersInUtf8OnlyToThoseWhoAskForIt) {
  directory_.AddAccount("d\xc3\xb6mi@example.test", "x", AccountId(14));
  directory_.AddList("utf8@example.test", {"d\xc3\xb6mi@example.test"}, {"*"}, {AccountId(11)});
  ConnectAndLogIn();
  Play(
      "C: VRFY d\xc3\xb6mi@example.test\n"
      "S: 252 2.6.8 *\n"
      "C: VRFY <d\xc3\xb6mi@example.test> smtputf8\n"
      "S: 250 2.1.5 <d\xc3\xb6mi@example.test>\n"
      "C: VRFY bob SMTPUTF8\n"
      "S: 250 2.1.5 <bob@example.test>\n"
      "C: EXPN utf8\n"
      "S: 550 5.6.8 *\n"
      "C: EXPN utf8@example.test SMTPUTF8\n"
      "S: 250 2.1.5 <d\xc3\xb6mi@example.test>\n");
}

TEST_F(SmtpAddressesTest, VerbNamesEachRecipient) {
  ConnectAndLogIn();
  Play(R"(
    C: VERB
    S: 250 2.0.0 *
    C: MAIL FROM:<alice@example.test>
    S: 250 2.1.0 Sender ok
    C: RCPT TO:<bob@example.test>
    S: 250 2.1.5 Recipient ok, it is #1
    C: RCPT TO:<nobody@example.test>
    S: 550 5.1.1 *
    C: RCPT TO:<u@remote.example>
    S: 250 2.1.5 Recipient ok, will relay, it is #2
    C: DATA
    S: 354 *
  )");
  Send(".\r\n");
  const std::string id = acceptor_.messages.at(0).request.id.ToString();
  EXPECT_EQ(received(), absl::StrCat("250-2.0.0 ", id, "\r\n250-2.0.0 ", id,
                                     "#1 <bob@example.test>\r\n250 2.0.0 ", id,
                                     "#2 <u@remote.example>\r\n"));
}

}  // namespace
}  // namespace posthorn::gateway
