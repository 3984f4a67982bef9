// Dialogues of the session as a whole: greeting, transactions, pipelining, limits, timeouts.
#include "lib/base/failure.h"
#include "services/gateway/smtp/transcript.h"

namespace posthorn::gateway {
namespace {

class SmtpSessionTest : public SmtpTranscriptTest {};

TEST_F(SmtpSessionTest, SpeaksAsTheStandardHasIt) {
  Connect();
  Play(R"(
    S: 220 mx.example ESMTP Posthorn
    C: EHLO client.example
    S: 250-mx.example greets client.example
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
    C: MAIL FROM:<sender@remote.example> SIZE=100 BODY=8BITMIME
    S: 250 2.1.0 Sender ok
    C: RCPT TO:<alice@example.test>
    S: 250 2.1.5 Recipient ok
    C: RCPT TO:<nobody@example.test>
    S: 550 5.1.1 No such recipient here
    C: RCPT TO:<suspended@example.test>
    S: 550 5.2.1 Mailbox disabled
    C: DATA
    S: 354 End data with <CR><LF>.<CR><LF>
    C: Subject: hello
    C:
    C: ..dot
    C: .
    S: 250 2.0.0 *
    C: QUIT
    S: 221 2.0.0 Bye
    CLOSED
  )");
  ASSERT_EQ(acceptor_.messages.size(), 1u);
  const AcceptRequest& request = acceptor_.messages[0].request;
  EXPECT_EQ(acceptor_.messages[0].body, "Subject: hello\r\n\r\n.dot\r\n");
  EXPECT_EQ(request.reverse_path, "sender@remote.example");
  ASSERT_EQ(request.recipients.size(), 1u);
  EXPECT_EQ(request.recipients[0].tenant, TenantId(1));
  EXPECT_EQ(request.trace.helo, "client.example");
  EXPECT_EQ(request.trace.client_ip, "192.0.2.99");
  EXPECT_EQ(request.trace.protocol, "ESMTP");
  EXPECT_EQ(request.received_at, clock_.Now());
}

TEST_F(SmtpSessionTest, WorksTypedByHand) {
  Connect();
  Play(R"(
    S: 220 mx.example ESMTP Posthorn
    C: helo test
    S: 250 mx.example
    C: mail from: a@b.example
    S: 250 2.1.0 Sender ok
    C: rcpt to: alice@example.test
    S: 250 2.1.5 Recipient ok
    C: data
    S: 354 *
    C: Subject: by hand
    C: .
    S: 250 2.0.0 *
    C: quit
    S: 221 2.0.0 Bye
    CLOSED
  )");
  EXPECT_EQ(acceptor_.messages.at(0).body, "Subject: by hand\r\n");
  EXPECT_EQ(acceptor_.messages.at(0).request.trace.protocol, "SMTP");
}

TEST_F(SmtpSessionTest, StrictPathsAreAnOption) {
  options_.strict_paths = true;
  Connect();
  Play(R"(
    S: 220 *
    C: helo test
    S: 250 mx.example
    C: mail from: a@b.example
    S: 553 5.1.3 *
    C: MAIL FROM:<a@b.example>
    S: 250 2.1.0 Sender ok
  )");
}

TEST_F(SmtpSessionTest, The250CarriesTheMessageId) {
  Connect();
  Greet();
  Play(R"(
    C: MAIL FROM:<>
    S: 250 2.1.0 Sender ok
    C: RCPT TO:<alice@example.test>
    S: 250 2.1.5 Recipient ok
    C: DATA
    S: 354 *
  )");
  Send(".\r\n");
  EXPECT_EQ(received(), "250 2.0.0 " + acceptor_.messages.at(0).request.id.ToString() + "\r\n");
}

TEST_F(SmtpSessionTest, AnswersPipelinedCommandsInOrder) {
  const std::string envelope =
      "MAIL FROM:<a@b.example>\r\nRCPT TO:<alice@example.test>\r\n"
      "RCPT TO:<nobody@example.test>\r\nDATA\r\n";
  const std::string message =
      "Subject: x\r\n\r\ntext\r\n.\r\n"
      "RSET\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\n";
  const std::string end = "\r\n.\r\nQUIT\r\n";
  for (std::size_t chunk = 1; chunk <= envelope.size(); chunk += chunk < 40 ? 1 : 37) {
    acceptor_.messages.clear();
    Connect();
    Greet();
    Send(envelope, chunk);
    Play(R"(
      S: 250 2.1.0 Sender ok
      S: 250 2.1.5 Recipient ok
      S: 550 5.1.1 *
      S: 354 *
    )");
    Send(message, chunk);
    Play(R"(
      S: 250 2.0.0 *
      S: 250 2.0.0 Ok
      S: 250 2.1.0 Sender ok
      S: 250 2.1.5 Recipient ok
      S: 354 *
    )");
    Send(end, chunk);
    Play(R"(
      S: 250 2.0.0 *
      S: 221 2.0.0 Bye
      CLOSED
    )");
    ASSERT_EQ(acceptor_.messages.size(), 2u) << chunk;
    EXPECT_EQ(acceptor_.messages[0].body, "Subject: x\r\n\r\ntext\r\n");
    EXPECT_EQ(acceptor_.messages[1].body, "\r\n");
    clock_.Advance(absl::Minutes(11));  // the unknown recipients are forgotten
  }
}

// RFC 2920 section 3.1: who goes on without the reply that it needs does not listen.
TEST_F(SmtpSessionTest, RefusesWhatIsSentBeforeItsTurn) {
  struct Row {
    const char* name;
    std::string before;
    std::string sent;
  };
  const std::string mail = "MAIL FROM:<a@b.example>\r\nRCPT TO:<alice@example.test>\r\n";
  const Row rows[] = {
      {"after EHLO", "", "EHLO c\r\nMAIL FROM:<a@b.example>\r\n"},
      {"after HELO", "", "HELO c\r\nMAIL FROM:<a@b.example>\r\n"},
      {"after EHLO, a part", "", "EHLO c\r\nM"},
      {"HELO has no pipelining", "HELO c\r\n", mail},
      {"before any greeting", "", "MAIL FROM:<a@b.example>\r\nRSET\r\n"},
      {"another protocol", "", "GET / HTTP/1.1\r\nHost: x\r\n"},
      {"after DATA", "EHLO c\r\n", mail + "DATA\r\nSubject: x\r\n\r\n.\r\n"},
      {"after NOOP", "EHLO c\r\n", "NOOP\r\nNOOP\r\n"},
      {"after VRFY", "EHLO c\r\n", "VRFY a\r\nNOOP\r\n"},
      {"after EXPN", "EHLO c\r\n", "EXPN a\r\nNOOP\r\n"},
      {"after HELP", "EHLO c\r\n", "HELP\r\nNOOP\r\n"},
      {"after STARTTLS", "EHLO c\r\n", "STARTTLS\r\nNOOP\r\n"},
      {"after AUTH", "EHLO c\r\n", "AUTH PLAIN AGEAYg==\r\nNOOP\r\n"},
      {"after XCLIENT", "EHLO c\r\n", "XCLIENT NAME=a\r\nNOOP\r\n"},
  };
  for (const Row& row : rows) {
    Connect();
    Send(row.before);
    received().clear();
    Send(row.sent);
    EXPECT_NE(received().find("554 5.5.0 Sent before its turn, closing connection\r\n"),
              std::string::npos)
        << row.name << ": " << received();
    EXPECT_TRUE(closed()) << row.name;
    EXPECT_TRUE(acceptor_.messages.empty()) << row.name;
  }
}

TEST_F(SmtpSessionTest, NothingBehindQuitMatters) {
  Connect();
  Greet();
  Send("QUIT\r\nNOOP\r\n");
  Play(R"(
    S: 221 2.0.0 Bye
    CLOSED
  )");
}

TEST_F(SmtpSessionTest, RefusesWhoSpeaksBeforeTheGreeting) {
  early_ = "EHLO c\r\n";
  Connect();
  Play(R"(
    S: 554 5.5.0 Sent before its turn, closing connection
    CLOSED
  )");
}

TEST_F(SmtpSessionTest, WaitsForWhoSpeaksBeforeTheGreeting) {
  options_.greeting_delay = absl::Seconds(5);
  Connect();
  Advance(absl::Seconds(4));
  EXPECT_EQ(received(), "");
  Send("EHLO c\r\n");
  Play(R"(
    S: 554 5.5.0 *
    CLOSED
  )");
  Connect();
  Advance(absl::Seconds(5));
  Play(R"(
    S: 220 mx.example ESMTP Posthorn
  )");
}

TEST_F(SmtpSessionTest, ChecksTheSequence) {
  Connect();
  Play(R"(
    S: 220 *
    C: MAIL FROM:<a@b.example>
    S: 503 5.5.1 Send EHLO or HELO first
    C: RCPT TO:<alice@example.test>
    S: 503 5.5.1 Send EHLO or HELO first
    C: HELO c
    S: 250 mx.example
    C: RCPT TO:<alice@example.test>
    S: 503 5.5.1 Send MAIL first
    C: DATA
    S: 503 5.5.1 Send MAIL first
    C: MAIL FROM:<a@b.example>
    S: 250 2.1.0 Sender ok
    C: MAIL FROM:<a@b.example>
    S: 503 5.5.1 Not within a mail transaction
    C: DATA
    S: 503 5.5.1 No valid recipients
    C: RCPT TO:<nobody@example.test>
    S: 550 5.1.1 *
    C: DATA
    S: 503 5.5.1 No valid recipients
    C: RSET
    S: 250 2.0.0 Ok
    C: RCPT TO:<alice@example.test>
    S: 503 5.5.1 Send MAIL first
    C: MAIL FROM:<a@b.example>
    S: 250 2.1.0 Sender ok
    C: EHLO again
    S: 250-mx.example greets again
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
    C: RCPT TO:<alice@example.test>
    S: 503 5.5.1 Send MAIL first
  )");
  EXPECT_TRUE(acceptor_.messages.empty());
}

TEST_F(SmtpSessionTest, AnswersTheSmallCommands) {
  Connect();
  Play(R"(
    S: 220 *
    C: NOOP
    S: 250 2.0.0 Ok
    C: HELP
    S: 214-2.0.0 Commands: HELO EHLO MAIL RCPT DATA BDAT RSET NOOP QUIT HELP VRFY EXPN STARTTLS
    S: 214 2.0.0 HELP verb says more
    C: HELP mail
    S: 214-2.0.0 MAIL FROM:<address> [parameters]
    S: 214-2.0.0 *
    S: 214 2.0.0 *
    C: HELP AUTH
    S: 504 5.5.4 No help for this
    C: HELP FOO
    S: 504 5.5.4 No help for this
    C: VRFY alice
    S: 252 2.0.0 *
    C: VRFY nobody
    S: 252 2.0.0 *
    C: EXPN list
    S: 252 2.0.0 *
    C: VERB
    S: 502 5.5.1 *
    C: ETRN example.test
    S: 502 5.5.1 *
    C: TURN
    S: 502 5.5.1 *
    C: LHLO c
    S: 500 5.5.1 *
    C: FOO
    S: 500 5.5.1 Unknown command
    C: AUTH PLAIN AGEAYg==
    S: 503 5.5.1 *
  )");
}

TEST_F(SmtpSessionTest, AuthIsOffOnPort25) {
  Connect();
  Greet();
  Play(R"(
    C: AUTH PLAIN AGFsaWNlQGV4YW1wbGUudGVzdABzZWNyZXQ=
    S: 502 5.5.1 Command not available here
  )");
}

TEST_F(SmtpSessionTest, RefusesParametersNobodyOffered) {
  Connect();
  Greet();
  Play(R"(
    C: MAIL FROM:<a@b.example> RET=FULL
    S: 555 5.5.4 *
    C: MAIL FROM:<a@b.example> SIZE=x
    S: 501 5.5.4 *
    C: MAIL FROM:<a@b.example> SIZE=52428801
    S: 552 5.3.4 *
    C: MAIL FROM:<a@b.example> SIZE=52428800
    S: 250 2.1.0 Sender ok
    C: RCPT TO:<alice@example.test> NOTIFY=NEVER
    S: 555 5.5.4 *
  )");
}

TEST_F(SmtpSessionTest, LimitsRecipients) {
  limits_.recipients = 2;
  Connect();
  Greet();
  Play(R"(
    C: MAIL FROM:<a@b.example>
    S: 250 2.1.0 Sender ok
    C: RCPT TO:<alice@example.test>
    S: 250 2.1.5 Recipient ok
    C: RCPT TO:<bob@example.test>
    S: 250 2.1.5 Recipient ok
    C: RCPT TO:<list@example.test>
    S: 452 4.5.3 Too many recipients
    C: DATA
    S: 354 *
    C: .
    S: 250 2.0.0 *
  )");
  EXPECT_EQ(acceptor_.messages.at(0).request.recipients.size(), 2u);
}

TEST_F(SmtpSessionTest, LimitsErrors) {
  limits_.errors = 3;
  Connect();
  Play(R"(
    S: 220 *
    C: FOO
    S: 500 5.5.1 *
    C: MAIL
    S: 501 5.5.2 *
    C: FOO
    S: 421 4.7.0 Too many errors, closing connection
    CLOSED
  )");
}

TEST_F(SmtpSessionTest, LimitsCommandsBetweenMessages) {
  limits_.commands = 4;
  Connect();
  Play(R"(
    S: 220 *
    C: HELO c
    S: 250 *
    C: MAIL FROM:<a@b.example>
    S: 250 *
    C: RCPT TO:<alice@example.test>
    S: 250 *
    C: DATA
    S: 354 *
    C: .
    S: 250 2.0.0 *
    C: NOOP
    S: 250 *
    C: NOOP
    S: 250 *
    C: NOOP
    S: 250 *
    C: NOOP
    S: 250 *
    C: NOOP
    S: 421 4.7.0 Too many commands, closing connection
    CLOSED
  )");
}

TEST_F(SmtpSessionTest, LimitsCommandLines) {
  Connect();
  Send("NOOP " + std::string(3000, 'x') + "\r\nNOOP\r\n", 100);
  Play(R"(
    S: 220 *
    S: 500 5.5.6 Line too long
    S: 250 2.0.0 Ok
  )");
}

TEST_F(SmtpSessionTest, TellsAnIdleClientAndCloses) {
  limits_.command_timeout = absl::Seconds(30);
  Connect();
  executor_.Advance(absl::Seconds(29));
  EXPECT_FALSE(closed());
  executor_.Advance(absl::Seconds(2));
  Play(R"(
    S: 220 *
    S: 421 4.4.2 *
    CLOSED
  )");
}

TEST_F(SmtpSessionTest, GivesDataItsOwnTime) {
  limits_.command_timeout = absl::Seconds(30);
  limits_.data_timeout = absl::Seconds(90);
  Connect();
  Greet();
  Send("MAIL FROM:<>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\n");
  received().clear();
  executor_.Advance(absl::Seconds(60));
  EXPECT_FALSE(closed());
  executor_.Advance(absl::Seconds(31));
  Play(R"(
    S: 421 4.4.2 *
    CLOSED
  )");
  EXPECT_TRUE(acceptor_.messages.empty());
}

TEST_F(SmtpSessionTest, AConnectionLostInDataStoresNothing) {
  Connect();
  Greet();
  Send("MAIL FROM:<>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\n");
  Send("Subject: x\r\n\r\n.\r");
  Connect();
  EXPECT_TRUE(acceptor_.messages.empty());
  EXPECT_EQ(server_->active_sessions(), 1);
}

TEST_F(SmtpSessionTest, ADirectoryAwayIsTemporary) {
  Connect();
  Greet();
  directory_.FailWith(MakeFailure(Failure::kUnavailable));
  Play(R"(
    C: MAIL FROM:<a@b.example>
    S: 250 2.1.0 Sender ok
    C: RCPT TO:<alice@example.test>
    S: 451 4.3.0 *
  )");
  directory_.FailWith(std::nullopt);
  Play(R"(
    C: RCPT TO:<alice@example.test>
    S: 250 2.1.5 Recipient ok
  )");
}

TEST_F(SmtpSessionTest, LimitsConnectionsOfAnAddress) {
  std::vector<ConnectionLimiter::Slot> slots;
  for (int i = 0; i < 5; ++i) slots.push_back(limiter_.Acquire(peer_.ip).value());
  Connect();
  Play(R"(
    S: 421 4.7.0 Too many connections from your address
    CLOSED
  )");
}

TEST_F(SmtpSessionTest, DrainTellsIdleSessionsAndFinishesMessages) {
  Connect();
  Greet();
  server_->Drain();
  executor_.RunUntilIdle();
  Play(R"(
    S: 421 4.3.2 *
    CLOSED
  )");
  EXPECT_EQ(server_->active_sessions(), 0);
  Connect();
  Play(R"(
    S: 421 4.3.2 *
    CLOSED
  )");
}

TEST_F(SmtpSessionTest, DrainFinishesTheMessageUnderWay) {
  Connect();
  BeginTransaction();
  Send("DATA\r\nSubject: x\r\n", 6);
  received().clear();
  server_->Drain();
  executor_.RunUntilIdle();
  EXPECT_EQ(received(), "");
  Play(R"(
    C: .
    S: 250 2.0.0 *
    S: 421 4.3.2 *
    CLOSED
  )");
  EXPECT_EQ(acceptor_.messages.size(), 1u);
}

TEST_F(SmtpSessionTest, DrainFinishesTransactions) {
  Connect();
  Greet();
  Send("MAIL FROM:<a@b.example>\r\n");
  received().clear();
  server_->Drain();
  executor_.RunUntilIdle();
  Play(R"(
    C: RCPT TO:<alice@example.test>
    S: 250 2.1.5 Recipient ok
    C: BDAT 3
    c: a\r\n
    S: 250 2.0.0 3 octets received
    C: BDAT 0 LAST
    S: 250 2.0.0 *
    S: 421 4.3.2 *
    CLOSED
  )");
  EXPECT_EQ(acceptor_.messages.size(), 1u);
  EXPECT_EQ(server_->active_sessions(), 0);
}

// The time is that of the whole line, however its octets trickle in.
TEST_F(SmtpSessionTest, LimitsTheTimeOfACommand) {
  limits_.command_timeout = absl::Seconds(30);
  Connect();
  received().clear();
  for (int i = 0; i < 5; ++i) {
    Send("N");
    Advance(absl::Seconds(6));
  }
  Play(R"(
    S: 421 4.4.2 *
    CLOSED
  )");
  // A finished line has earned the next its own time.
  Connect();
  received().clear();
  for (int i = 0; i < 5; ++i) {
    Advance(absl::Seconds(20));
    Play(R"(
      C: NOOP
      S: 250 2.0.0 Ok
    )");
  }
}

TEST_F(SmtpSessionTest, LimitsTheTimeOfAMessage) {
  limits_.data_timeout = absl::Seconds(60);
  limits_.min_data_octets_per_second = 100;
  struct Row {
    const char* name;
    std::size_t octets;  // every 10 seconds
    absl::Duration total;
    bool finishes;
  };
  const Row rows[] = {
      {"slow", 500, absl::Hours(2), false},
      {"fast enough", 1000, absl::Hours(2), true},
      {"too long", 1000, absl::Seconds(150), false},
  };
  for (const Row& row : rows) {
    limits_.data_total_timeout = row.total;
    Disconnect();
    server_.reset();
    Connect();
    BeginTransaction();
    Send("DATA\r\n");
    received().clear();
    for (int i = 0; i < 20 && !closed(); ++i) {
      Send(std::string(row.octets - 2, 'x') + "\r\n");
      Advance(absl::Seconds(10));
    }
    if (row.finishes) {
      EXPECT_EQ(received(), "") << row.name;
      Send(".\r\n");
      EXPECT_EQ(received().substr(0, 4), "250 ") << row.name;
    } else {
      EXPECT_EQ(received().substr(0, 9), "421 4.4.2") << row.name;
      EXPECT_TRUE(closed()) << row.name;
    }
  }
}

TEST_F(SmtpSessionTest, LimitsTheMessagesReceivedAtOnce) {
  limits_.messages_at_once = 0;
  Connect();
  BeginTransaction();
  Play(R"(
    C: DATA
    S: 451 4.3.2 Overloaded, try again later
    C: BDAT 3 LAST
    c: a\r\n
    S: 451 4.3.2 Overloaded, try again later
    C: NOOP
    S: 250 2.0.0 Ok
  )");
}

}  // namespace
}  // namespace posthorn::gateway
