// CHUNKING and BINARYMIME (RFC 3030).
#include "absl/strings/str_cat.h"
#include "lib/base/failure.h"
#include "services/gateway/smtp/transcript.h"

namespace posthorn::gateway {
namespace {

class SmtpBdatTest : public SmtpTranscriptTest {};

TEST_F(SmtpBdatTest, TakesAMessageInChunks) {
  Connect();
  BeginTransaction();
  Play(R"(
    C: BDAT 14
    c: Subject: x\r\n\r\n
    S: 250 2.0.0 14 octets received
    C: BDAT 0
    S: 250 2.0.0 0 octets received
    C: NOOP
    S: 250 2.0.0 Ok
    C: BDAT 6
    c: ..\r\n.\r
    S: 250 2.0.0 6 octets received
    C: BDAT 1 LAST
    c: \n
    S: 250 2.0.0 *
    C: MAIL FROM:<a@b.example>
    S: 250 2.1.0 Sender ok
  )");
  ASSERT_EQ(acceptor_.messages.size(), 1u);
  // No dot is special, and none is stuffed.
  EXPECT_EQ(acceptor_.messages[0].body, "Subject: x\r\n\r\n..\r\n.\r\n");
  EXPECT_FALSE(acceptor_.messages[0].request.options.body_is_binary);
  EXPECT_FALSE(acceptor_.messages[0].request.body_is_8bit);
}

TEST_F(SmtpBdatTest, AnEmptyMessageIsOne) {
  Connect();
  BeginTransaction();
  Play(R"(
    C: BDAT 0 LAST
    S: 250 2.0.0 *
  )");
  EXPECT_EQ(acceptor_.messages.at(0).body, "");
}

TEST_F(SmtpBdatTest, PipelinesAtEveryChunkSize) {
  const std::string session =
      "MAIL FROM:<a@b.example>\r\nRCPT TO:<alice@example.test>\r\nBDAT 12\r\nSubject: x\r\n"
      "BDAT 8\r\nRSET\r\n\r\nBDAT 6 LAST\r\nQUIT\r\n"
      "MAIL FROM:<a@b.example>\r\nRCPT TO:<bob@example.test>\r\nBDAT 2 LAST\r\n\r\nQUIT\r\n";
  for (std::size_t chunk = 1; chunk <= session.size(); ++chunk) {
    acceptor_.messages.clear();
    Connect();
    Greet();
    Send(session, chunk);
    Play(R"(
      S: 250 2.1.0 Sender ok
      S: 250 2.1.5 Recipient ok
      S: 250 2.0.0 12 octets received
      S: 250 2.0.0 8 octets received
      S: 250 2.0.0 *
      S: 250 2.1.0 Sender ok
      S: 250 2.1.5 Recipient ok
      S: 250 2.0.0 *
      S: 221 2.0.0 Bye
      CLOSED
    )");
    ASSERT_EQ(acceptor_.messages.size(), 2u) << chunk;
    EXPECT_EQ(acceptor_.messages[0].body, "Subject: x\r\nRSET\r\n\r\nQUIT\r\n");
    EXPECT_EQ(acceptor_.messages[1].body, "\r\n");
  }
}

TEST_F(SmtpBdatTest, KeepsEveryOctetOfABinaryMessage) {
  std::string message = "Content-Transfer-Encoding: binary\r\n\r\n";
  for (int c = 0; c < 256; ++c) message += static_cast<char>(c);
  message += "\n.\n\r.\r\r\n.\r\n";
  for (const std::size_t chunk : {std::size_t{1}, std::size_t{7}, std::size_t{4096}}) {
    acceptor_.messages.clear();
    Connect();
    Greet();
    Send(absl::StrCat("MAIL FROM:<a@b.example> BODY=BINARYMIME\r\nRCPT TO:<alice@example.test>\r\n",
                      "BDAT ", message.size(), " LAST\r\n", message),
         chunk);
    Play(R"(
      S: 250 2.1.0 Sender ok
      S: 250 2.1.5 Recipient ok
      S: 250 2.0.0 *
    )");
    ASSERT_EQ(acceptor_.messages.size(), 1u);
    EXPECT_EQ(acceptor_.messages[0].body, message);
    EXPECT_TRUE(acceptor_.messages[0].request.options.body_is_binary);
  }
}

TEST_F(SmtpBdatTest, KeepsLargeMessages) {
  std::string message;
  for (int i = 0; message.size() < 1000000; ++i) absl::StrAppend(&message, "line ", i, "\r\n");
  Connect();
  BeginTransaction();
  Send(absl::StrCat("BDAT ", message.size(), "\r\n", message, "BDAT 0 LAST\r\n"), 65536);
  Play(R"(
    S: 250 2.0.0 *
    S: 250 2.0.0 *
  )");
  EXPECT_EQ(acceptor_.messages.at(0).body, message);
}

// RFC 3030 section 3.
TEST_F(SmtpBdatTest, BinaryNeedsBdat) {
  Connect();
  Greet();
  Play(R"(
    C: MAIL FROM:<a@b.example> BODY=BINARYMIME
    S: 250 2.1.0 Sender ok
    C: RCPT TO:<alice@example.test>
    S: 250 2.1.5 Recipient ok
    C: DATA
    S: 503 5.5.1 BODY=BINARYMIME needs BDAT
    C: BDAT 3 LAST
    c: a\nb
    S: 250 2.0.0 *
  )");
}

// RFC 3030 section 2: DATA and BDAT don't mix, and after BDAT there are no more recipients.
TEST_F(SmtpBdatTest, RefusesWhatDoesNotBelongBetweenChunks) {
  Connect();
  BeginTransaction();
  Play(R"(
    C: BDAT 3
    c: a\r\n
    S: 250 2.0.0 3 octets received
    C: DATA
    S: 503 5.5.1 Not after BDAT
    C: RCPT TO:<bob@example.test>
    S: 503 5.5.1 Not after BDAT
    C: MAIL FROM:<a@b.example>
    S: 503 5.5.1 Not within a mail transaction
    C: STARTTLS
    S: 503 5.5.1 Not within a mail transaction
    C: RSET
    S: 250 2.0.0 Ok
    C: BDAT 3 LAST
    c: a\r\n
    S: 503 5.5.1 Send MAIL first
    C: MAIL FROM:<a@b.example>
    S: 250 2.1.0 Sender ok
    C: RCPT TO:<alice@example.test>
    S: 250 2.1.5 Recipient ok
    C: DATA
    S: 354 *
    C: second
    C: .
    S: 250 2.0.0 *
    C: BDAT 3 LAST
    c: a\r\n
    S: 503 5.5.1 Send MAIL first
  )");
  ASSERT_EQ(acceptor_.messages.size(), 1u);
  EXPECT_EQ(acceptor_.messages[0].body, "second\r\n");
}

// The octets of a command that is refused never run as commands.
TEST_F(SmtpBdatTest, DropsTheOctetsOfARefusedCommand) {
  for (std::size_t chunk = 1; chunk < 60; ++chunk) {
    Connect();
    Send("BDAT 6\r\nQUIT\r\n", chunk);
    Play(R"(
      S: 220 *
      S: 503 5.5.1 Send EHLO or HELO first
    )");
    Send("EHLO c\r\n");
    received().clear();
    Send("MAIL FROM:<a@b.example>\r\nRCPT TO:<nobody@example.test>\r\n"
         "BDAT 6\r\nQUIT\r\nBDAT 6 LAST\r\nQUIT\r\nRSET\r\n",
         chunk);
    Play(R"(
      S: 250 2.1.0 Sender ok
      S: 550 5.1.1 *
      S: 503 5.5.1 No valid recipients
      S: 503 5.5.1 No valid recipients
      S: 250 2.0.0 Ok
    )");
    EXPECT_FALSE(closed());
    clock_.Advance(absl::Minutes(11));
  }
}

TEST_F(SmtpBdatTest, GoesOnAfterAChunkThatFailed) {
  limits_.message_octets = 10;
  Connect();
  BeginTransaction();
  Send("BDAT 8\r\n123456\r\nBDAT 6\r\nQUIT\r\nBDAT 2\r\n\r\nBDAT 6 LAST\r\nQUIT\r\n"
       "MAIL FROM:<a@b.example>\r\n");
  Play(R"(
    S: 250 2.0.0 8 octets received
    S: 552 5.3.4 Message exceeds the maximum size
    S: 552 5.3.4 Message exceeds the maximum size
    S: 552 5.3.4 Message exceeds the maximum size
    S: 250 2.1.0 Sender ok
  )");
  EXPECT_TRUE(acceptor_.messages.empty());
}

TEST_F(SmtpBdatTest, RefusesBareNewlinesOfWhatIsNotBinary) {
  for (const char* message : {"a\nb\r\n", "a\rb\r\n", "a\r\nb\r"}) {
    Connect();
    BeginTransaction();
    Send(absl::StrCat("BDAT ", std::string(message).size(), " LAST\r\n", message));
    EXPECT_EQ(received(), "550 5.6.11 Bare CR or LF is not allowed\r\n");
  }
  EXPECT_TRUE(acceptor_.messages.empty());
}

// Without a size nobody knows where the next command begins.
TEST_F(SmtpBdatTest, EndsTheSessionOverAnUnreadableSize) {
  for (const char* command : {"BDAT", "BDAT x", "BDAT 99999999999999999999 LAST", "bdat 1 2"}) {
    Connect();
    BeginTransaction();
    Send(absl::StrCat(command, "\r\nRSET\r\n"));
    EXPECT_EQ(received(), "501 5.5.2 Syntax: BDAT octets [LAST]\r\n") << command;
    EXPECT_TRUE(closed()) << command;
  }
}

TEST_F(SmtpBdatTest, LmtpAnswersForEachRecipientAfterTheLastChunk) {
  options_.role = SmtpRole::kLmtp;
  acceptor_.answers["bob@example.test"] = MakeFailure(Failure::kOverQuota);
  Connect();
  BeginTransaction("alice@example.test bob@example.test");
  Play(R"(
    C: BDAT 3
    c: a\r\n
    S: 250 2.0.0 3 octets received
    C: BDAT 0 LAST
    S: 250 2.0.0 *
    S: 452 4.2.2 *
  )");
}

TEST_F(SmtpBdatTest, AConnectionLostInAChunkStoresNothing) {
  Connect();
  BeginTransaction();
  Send("BDAT 10 LAST\r\nabc");
  Connect();
  EXPECT_TRUE(acceptor_.messages.empty());
  EXPECT_EQ(server_->active_sessions(), 1);
}

TEST_F(SmtpBdatTest, GivesAChunkTheTimeOfData) {
  limits_.command_timeout = absl::Seconds(30);
  limits_.data_timeout = absl::Seconds(90);
  Connect();
  BeginTransaction();
  Send("BDAT 10 LAST\r\nabc");
  Advance(absl::Seconds(60));
  EXPECT_FALSE(closed());
  Advance(absl::Seconds(31));
  Play(R"(
    S: 421 4.4.2 *
    CLOSED
  )");
}

}  // namespace
}  // namespace posthorn::gateway
