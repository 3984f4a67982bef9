// What does not belong to one command: greeting, states, TLS, limits, errors, timeouts, IDLE.
#include "services/gateway/imap/imap_fixture_test.h"

namespace posthorn::gateway {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

using SessionTest = ImapTest;

TEST_F(SessionTest, GreetsWithCapabilitiesAndAnswersLogout) {
  Client client = Connect();
  EXPECT_EQ(client.Receive(),
            "* OK [CAPABILITY IMAP4rev1 IMAP4rev2 SASL-IR LITERAL+ ID ENABLE IDLE NAMESPACE "
            "AUTH=PLAIN AUTH=LOGIN "
            "AUTH=SCRAM-SHA-256] "
            "Posthorn ready\r\n");
  EXPECT_EQ(client.Say("a LOGOUT\r\n"), "* BYE Logging out\r\na OK Logout completed\r\n<closed>");
}

TEST_F(SessionTest, TakesNoPasswordInClearText) {
  Client client = Connect("192.0.2.1");
  EXPECT_THAT(client.Receive(), AllOf(HasSubstr("LOGINDISABLED"), Not(HasSubstr("AUTH=PLAIN"))));
  EXPECT_THAT(client.Say("a LOGIN alice@example.test \"se cret\"\r\n"),
              StartsWith("a NO [PRIVACYREQUIRED] "));
  EXPECT_THAT(client.Say("b AUTHENTICATE PLAIN\r\n"), StartsWith("b NO [PRIVACYREQUIRED] "));
}

TEST_F(SessionTest, StartTlsDiscardsWhatCameBeforeAndAllowsLogin) {
  char context[1];  // the memory stream never looks at it
  dependencies_.tls = reinterpret_cast<const net::TlsContext*>(context);
  Client client = Connect("192.0.2.1");
  EXPECT_THAT(client.Receive(), HasSubstr("STARTTLS LOGINDISABLED"));
  EXPECT_EQ(client.Say("a STARTTLS\r\nb LOGOUT\r\n"), "a OK Begin TLS negotiation now\r\n");
  const std::optional<absl::Status> secured =
      executor_.Run(client.stream().StartTlsClient(*dependencies_.tls, "", absl::Seconds(1)));
  ASSERT_TRUE(secured.has_value() && secured->ok());
  EXPECT_THAT(client.Say("c CAPABILITY\r\n"),
              AllOf(HasSubstr("AUTH=PLAIN"), Not(HasSubstr("STARTTLS")),
                    EndsWith("c OK Capability completed\r\n")));
  EXPECT_THAT(client.Say("d LOGIN alice@example.test \"se cret\"\r\n"), StartsWith("d OK "));
  EXPECT_THAT(client.Say("e STARTTLS\r\n"), StartsWith("e BAD "));
}

TEST_F(SessionTest, LoginByLiteralAndAuthenticateInBothForms) {
  Client client = Connect();
  client.Receive();
  EXPECT_EQ(client.Say("a LOGIN {18}\r\n"), "+ OK\r\n");
  EXPECT_EQ(client.Say("alice@example.test {7}\r\n"), "+ OK\r\n");
  EXPECT_THAT(client.Say("se cret\r\n"), StartsWith("a OK [CAPABILITY IMAP4rev1 "));
  EXPECT_THAT(client.Say("b LOGIN x y\r\n"), StartsWith("b BAD Already authenticated"));

  Client second = Connect();
  second.Receive();
  EXPECT_EQ(second.Say("a AUTHENTICATE PLAIN\r\n"), "+ \r\n");
  EXPECT_THAT(second.Say("AGFsaWNlQGV4YW1wbGUudGVzdABzZSBjcmV0\r\n"), StartsWith("a OK "));

  Client third = Connect();
  third.Receive();
  EXPECT_THAT(third.Say("a AUTHENTICATE PLAIN AGFsaWNlQGV4YW1wbGUudGVzdABzZSBjcmV0\r\n"),
              StartsWith("a OK "));

  Client fourth = Connect();
  fourth.Receive();
  EXPECT_EQ(fourth.Say("a AUTHENTICATE PLAIN\r\n"), "+ \r\n");
  EXPECT_EQ(fourth.Say("*\r\n"), "a BAD Authentication cancelled\r\n");
  EXPECT_THAT(fourth.Say("b AUTHENTICATE PLAIN %%%\r\n"), StartsWith("b BAD "));
  EXPECT_THAT(fourth.Say("c AUTHENTICATE CRAM-MD5\r\n"), StartsWith("c NO "));
}

TEST_F(SessionTest, DelaysTheAnswerToAWrongPassword) {
  Client client = Connect();
  client.Receive();
  EXPECT_EQ(client.Say("a LOGIN alice@example.test wrong\r\n"), "");
  Advance(absl::Seconds(1));
  EXPECT_EQ(client.Receive(), "a NO [AUTHENTICATIONFAILED] Authentication failed\r\n");
}

TEST_F(SessionTest, ChecksStates) {
  Client client = Connect();
  client.Receive();
  EXPECT_THAT(client.Say("a SELECT INBOX\r\n"), StartsWith("a BAD Please authenticate first"));
  EXPECT_THAT(client.Say("b APPEND INBOX {3}\r\n"), StartsWith("b BAD "));
  Client second = LogIn();
  EXPECT_THAT(second.Say("a FETCH 1 FLAGS\r\n"), StartsWith("a BAD No mailbox selected"));
}

TEST_F(SessionTest, SaysWhatWasWrongAndKeepsTheTag) {
  Client client = Connect();
  client.Receive();
  EXPECT_EQ(client.Say("a NONSENSE\r\n"), "a BAD Unknown command\r\n");
  EXPECT_EQ(client.Say("b LOGIN\r\n"), "b BAD Missing arguments\r\n");
  EXPECT_THAT(client.Say("\r\n"), StartsWith("* BAD "));
  EXPECT_THAT(client.Say("+ NOOP\r\n"), StartsWith("* BAD "));
  EXPECT_EQ(client.Say("c noop\r\n"), "c OK NOOP completed\r\n");
}

TEST_F(SessionTest, EndsAfterTooManyErrors) {
  limits_.errors = 3;
  Client client = Connect();
  client.Receive();
  EXPECT_EQ(client.Say("a X\r\nb X\r\nc X\r\nd NOOP\r\n"),
            "a BAD Unknown command\r\nb BAD Unknown command\r\nc BAD Unknown command\r\n"
            "* BYE Too many errors\r\n<closed>");
}

TEST_F(SessionTest, RefusesLongLinesAndLiteralsAndStaysInStep) {
  limits_.line_octets = 1024;
  limits_.literal_octets = 2048;
  Client client = LogIn();
  EXPECT_EQ(client.Say("a NOOP " + std::string(5000, 'x') + "\r\nb NOOP\r\n"),
            "a BAD Command line too long\r\nb OK NOOP completed\r\n");
  EXPECT_EQ(client.Say("c CREATE {3000}\r\n"), "c NO [TOOBIG] Literal is too large\r\n");
  EXPECT_EQ(client.Say("d CREATE {3000+}\r\n" + std::string(3000, '\n') + "\r\ne NOOP\r\n"),
            "d NO [TOOBIG] Literal is too large\r\ne OK NOOP completed\r\n");
}

TEST_F(SessionTest, RunsPipelinedCommandsInOrder) {
  Client client = LogIn();
  EXPECT_EQ(
      client.Say("a NOOP\r\nb CREATE x\r\nc STATUS x (MESSAGES)\r\nd UNSELECT\r\n"),
      "a OK NOOP completed\r\nb OK [MAILBOXID (M2)] Create completed\r\n* STATUS x (MESSAGES 0)\r\n"
      "c OK Status completed\r\nd BAD No mailbox selected\r\n");
}

TEST_F(SessionTest, LogsOutIdleClients) {
  Client client = Connect();
  client.Receive();
  Advance(absl::Minutes(3));
  EXPECT_EQ(client.Receive(), "* BYE Disconnected for inactivity\r\n<closed>");
  Client second = LogIn();
  Advance(absl::Minutes(30));
  EXPECT_EQ(second.Say("a NOOP\r\n"), "a OK NOOP completed\r\n");
  Advance(absl::Minutes(31));
  EXPECT_EQ(second.Receive(), "* BYE Disconnected for inactivity\r\n<closed>");
}

TEST_F(SessionTest, SaysByeWhenDraining) {
  Client waiting = LogIn();
  Client idling = Select();
  EXPECT_EQ(idling.Say("i IDLE\r\n"), "+ idling\r\n");
  server_->Drain();
  EXPECT_EQ(waiting.Receive(), "* BYE [UNAVAILABLE] Server shutting down\r\n<closed>");
  EXPECT_EQ(idling.Receive(), "* BYE [UNAVAILABLE] Server shutting down\r\n<closed>");
  Client late = Connect();
  EXPECT_EQ(late.Receive(), "* BYE [UNAVAILABLE] Server shutting down\r\n<closed>");
}

TEST_F(SessionTest, RefusesTooManyConnections) {
  ConnectionLimiter limiter(10, 1);
  dependencies_.connections = &limiter;
  Client first = Connect();
  EXPECT_THAT(first.Receive(), StartsWith("* OK "));
  EXPECT_THAT(Connect().Receive(), StartsWith("* BYE [LIMIT] "));
  first.Say("a LOGOUT\r\n");
  EXPECT_THAT(Connect().Say("a LOGOUT\r\n"), StartsWith("* OK "));
}

TEST_F(SessionTest, IdleIsWokenByADelivery) {
  Client client = Select();
  EXPECT_EQ(client.Say("i IDLE\r\n"), "+ idling\r\n");
  Deliver("Subject: a\r\n\r\nb\r\n");
  EXPECT_EQ(client.Receive(), "* 1 EXISTS\r\n* 1 RECENT\r\n");
  Deliver("Subject: a\r\n\r\nb\r\n");
  EXPECT_EQ(client.Receive(), "* 2 EXISTS\r\n* 2 RECENT\r\n");
  EXPECT_EQ(client.Say("done\r\n"), "i OK Idle completed\r\n");
}

TEST_F(SessionTest, IdleSaysThatItIsThereAndEndsAtLast) {
  Client client = LogIn();
  EXPECT_EQ(client.Say("i IDLE\r\n"), "+ idling\r\n");
  Advance(absl::Minutes(2));
  EXPECT_EQ(client.Receive(), "* OK Still here\r\n");
  for (int minute = 0; minute < 30; minute += 2) Advance(absl::Minutes(2));
  EXPECT_THAT(client.Receive(), EndsWith("* BYE Disconnected for inactivity\r\n<closed>"));
}

TEST_F(SessionTest, IdleEndsWithAnythingButDone) {
  Client client = LogIn();
  EXPECT_EQ(client.Say("i IDLE\r\n"), "+ idling\r\n");
  EXPECT_EQ(client.Say("x NOOP\r\n"), "i BAD Expected DONE\r\n");
  EXPECT_EQ(client.Say("y NOOP\r\n"), "y OK NOOP completed\r\n");
}

TEST_F(SessionTest, TemporaryFailuresAreNotTheClientsFault) {
  Client client = LogIn();
  store_.FailWith(MakeFailure(Failure::kStorageDown));
  EXPECT_THAT(client.Say("a SELECT INBOX\r\n"), StartsWith("a NO [UNAVAILABLE] "));
  store_.FailWith(absl::InternalError("password of the database"));
  EXPECT_EQ(client.Say("b LIST \"\" *\r\n"),
            "b NO [SERVERBUG] Temporary failure, try again later\r\n");
  store_.FailWith(std::nullopt);
  EXPECT_THAT(client.Say("c SELECT INBOX\r\n"), EndsWith("c OK [READ-WRITE] Select completed\r\n"));
}

TEST_F(SessionTest, SaysByeWhenTheSelectedMailboxIsGone) {
  Client other = LogIn();
  other.Say("a CREATE box\r\n");
  Client client = Select("box");
  other.Say("b DELETE box\r\n");
  EXPECT_EQ(client.Say("c NOOP\r\n"), "* BYE [NONEXISTENT] Mailbox was deleted\r\n<closed>");
}

TEST_F(SessionTest, UnauthenticateEndsTheLoginAndNothingElse) {
  directory_.AddAccount("bob@example.test", "other", AccountId(11));
  store_.AddAccount(kTenant, AccountId(11));
  Deliver("Subject: a\r\n\r\nb\r\n");
  Client client = Select();
  client.Say("a STORE 1 +FLAGS (\\Deleted)\r\n");
  const std::string answer = client.Say("b UNAUTHENTICATE\r\n");
  EXPECT_THAT(answer, testing::StartsWith("b OK [CAPABILITY IMAP4rev1 "));
  EXPECT_THAT(answer, testing::HasSubstr(" AUTH=PLAIN"));
  EXPECT_THAT(answer, testing::Not(testing::HasSubstr("UIDPLUS")));
  EXPECT_EQ(client.Say("c SELECT INBOX\r\n"), "c BAD Please authenticate first\r\n");
  EXPECT_EQ(client.Say("d UNAUTHENTICATE\r\n"), "d BAD Please authenticate first\r\n");
  EXPECT_THAT(client.Say("e LOGIN {9000}\r\n"), testing::StartsWith("e NO [TOOBIG] "));
  EXPECT_THAT(client.Say("f LOGIN bob@example.test other\r\n"), testing::StartsWith("f OK "));
  EXPECT_THAT(client.Say("g SELECT INBOX\r\n"), testing::HasSubstr("* 0 EXISTS\r\n"));
  // CLOSE would have expunged.
  Client again = LogIn();
  EXPECT_EQ(again.Say("h STATUS INBOX (MESSAGES)\r\n"),
            "* STATUS INBOX (MESSAGES 1)\r\nh OK Status completed\r\n");
}

}  // namespace
}  // namespace posthorn::gateway
