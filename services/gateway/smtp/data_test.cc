// What DATA takes and refuses: smuggling, sizes, loops, results.
#include "absl/strings/str_cat.h"
#include "lib/base/failure.h"
#include "services/gateway/smtp/transcript.h"

namespace posthorn::gateway {
namespace {

class SmtpDataTest : public SmtpTranscriptTest {
 protected:
  // Sends `data` after DATA and returns what the server says to it.
  std::string AnswerTo(const std::string& data, std::size_t chunk) {
    acceptor_.messages.clear();
    Connect();
    Greet();
    Send("MAIL FROM:<a@b.example>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\n");
    received().clear();
    Send(data, chunk);
    return received();
  }
};

// Ends of data that some servers take for one. None is; the message is refused, and what is hidden
// behind never runs as commands.
TEST_F(SmtpDataTest, IsNotSmuggledThrough) {
  struct Row {
    const char* name;
    std::string end;
  };
  const Row rows[] = {
      {"lf . lf", "\n.\n"},         {"lf . crlf", "\n.\r\n"},     {"crlf . lf", "\r\n.\n"},
      {"cr . cr", "\r.\r"},         {"cr . crlf", "\r.\r\n"},     {"crlf . cr", "\r\n.\r"},
      {"lf . cr lf lf", "\n.\r\n\n"}, {"lf cr . cr", "\n\r.\r"},
  };
  for (const Row& row : rows) {
    const std::string data = absl::StrCat(
        "Subject: x\r\n\r\nbody", row.end,
        "MAIL FROM:<admin@example.test>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\nevil\r\n.\r\n");
    for (const std::size_t chunk : {std::size_t{1}, std::size_t{3}, data.size()}) {
      const std::string answer = AnswerTo(data, chunk);
      EXPECT_EQ(answer.substr(0, 10), "550 5.6.11") << row.name << " by " << chunk;
      EXPECT_EQ(answer.find('\n'), answer.size() - 1) << row.name << " said: " << answer;
      EXPECT_TRUE(acceptor_.messages.empty()) << row.name;
    }
  }
}

TEST_F(SmtpDataTest, RefusesBareNewlinesAndGoesOn) {
  for (const char* data : {"a\nb\r\n.\r\n", "a\rb\r\n.\r\n"}) {
    EXPECT_EQ(AnswerTo(data, 100), "550 5.6.11 Bare CR or LF is not allowed\r\n");
    received().clear();
    Play(R"(
      C: MAIL FROM:<a@b.example>
      S: 250 2.1.0 Sender ok
    )");
  }
}

TEST_F(SmtpDataTest, KeepsEveryOctet) {
  std::string message;
  for (int c = 0; c < 256; ++c) {
    if (c != '\r' && c != '\n') message += static_cast<char>(c);
  }
  message += "\r\n" + std::string(5000, 'x') + "\r\n";
  EXPECT_EQ(AnswerTo(message + ".\r\n", 77).substr(0, 4), "250 ");
  EXPECT_EQ(acceptor_.messages.at(0).body, message);
  EXPECT_TRUE(acceptor_.messages.at(0).request.body_is_8bit);
}

TEST_F(SmtpDataTest, KeepsLargeMessages) {
  std::string message;
  for (int i = 0; message.size() < 1000000; ++i) absl::StrAppend(&message, "line ", i, "\r\n");
  EXPECT_EQ(AnswerTo(message + ".\r\n", 65536).substr(0, 4), "250 ");
  EXPECT_EQ(acceptor_.messages.at(0).body, message);
}

// Nothing is lost: the client keeps the message and comes again.
TEST_F(SmtpDataTest, AFullStagingAreaIsTemporary) {
  staging_ = net::StagingArea::Open(testing::TempDir() + "/smtp_staging_full", 200000).value();
  const std::string large(300000, 'x');
  EXPECT_EQ(AnswerTo(large + "\r\n.\r\n", 65536), "452 4.3.1 Insufficient system storage\r\n");
  EXPECT_TRUE(acceptor_.messages.empty());
  EXPECT_EQ(staging_->used_octets(), 0u);
  EXPECT_EQ(AnswerTo("small enough\r\n.\r\n", 65536).substr(0, 4), "250 ");
}

TEST_F(SmtpDataTest, TakesAnEmptyMessage) {
  EXPECT_EQ(AnswerTo(".\r\n", 1).substr(0, 4), "250 ");
  EXPECT_EQ(acceptor_.messages.at(0).body, "");
}

TEST_F(SmtpDataTest, LimitsTheSizeWhileOctetsArrive) {
  limits_.message_octets = 1000;
  const std::string line = std::string(98, 'x') + "\r\n";
  std::string fits;
  for (int i = 0; i < 10; ++i) fits += line;
  EXPECT_EQ(AnswerTo(fits + ".\r\n", 64).substr(0, 4), "250 ");
  EXPECT_EQ(AnswerTo(fits + "x\r\n.\r\n", 64), "552 5.3.4 Message exceeds the maximum size\r\n");
  EXPECT_TRUE(acceptor_.messages.empty());
}

TEST_F(SmtpDataTest, LimitsLinesWhereAsked) {
  limits_.line_octets = 998;
  EXPECT_EQ(AnswerTo(std::string(998, 'x') + "\r\n.\r\n", 4096).substr(0, 4), "250 ");
  EXPECT_EQ(AnswerTo(std::string(999, 'x') + "\r\n.\r\n", 4096).substr(0, 9), "500 5.5.6");
}

TEST_F(SmtpDataTest, RefusesLoops) {
  std::string hops;
  for (int i = 0; i < 100; ++i) hops += "Received: from a by b; date\r\n";
  EXPECT_EQ(AnswerTo(hops + "\r\n.\r\n", 4096).substr(0, 4), "250 ");
  EXPECT_EQ(AnswerTo("Received: x\r\n" + hops + "\r\n.\r\n", 4096),
            "554 5.4.6 Mail loop detected\r\n");
  EXPECT_TRUE(acceptor_.messages.empty());
}

TEST_F(SmtpDataTest, PassesTheMessageIdOn) {
  AnswerTo("Subject: x\r\nMessage-ID: <1@b.example>\r\n\r\n.\r\n", 5);
  EXPECT_EQ(acceptor_.messages.at(0).request.message_id_header, "<1@b.example>");
}

TEST_F(SmtpDataTest, SaysWhatBecameOfTheMessage) {
  struct Row {
    Failure failure;
    std::string answer;
  };
  const Row rows[] = {
      {Failure::kNoSuchRecipient, "550 5.1.1"}, {Failure::kStorageDown, "451 4.3.0"},
      {Failure::kUnavailable, "451 4.3.0"},     {Failure::kInsufficientStorage, "452 4.3.1"},
      {Failure::kPolicyRejected, "550 5.7.1"},
  };
  for (const Row& row : rows) {
    acceptor_.answers["alice@example.test"] = MakeFailure(row.failure);
    EXPECT_EQ(AnswerTo("x\r\n.\r\n", 4096).substr(0, 9), row.answer);
  }
}

TEST_F(SmtpDataTest, LmtpAnswersForEachRecipient) {
  options_.role = SmtpRole::kLmtp;
  acceptor_.answers["bob@example.test"] = MakeFailure(Failure::kOverQuota);
  Connect();
  Play(R"(
    S: 220 mx.example LMTP Posthorn
    C: EHLO c
    S: 500 5.5.1 *
    C: LHLO c
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
    C: MAIL FROM:<a@b.example>
    S: 250 2.1.0 Sender ok
    C: RCPT TO:<alice@example.test>
    S: 250 2.1.5 Recipient ok
    C: RCPT TO:<nobody@example.test>
    S: 550 5.1.1 *
    C: RCPT TO:<bob@example.test>
    S: 250 2.1.5 Recipient ok
    C: RCPT TO:<x@remote.example>
    S: 550 5.7.1 Relaying denied
    C: DATA
    S: 354 *
    C: Subject: x
    C: .
    S: 250 2.0.0 *
    S: 452 4.2.2 *
    C: MAIL FROM:<a@b.example>
    S: 250 2.1.0 Sender ok
    C: RCPT TO:<alice@example.test>
    S: 250 2.1.5 Recipient ok
    C: RCPT TO:<list@example.test>
    S: 250 2.1.5 Recipient ok
    C: DATA
    S: 354 *
    C: a\nb
    C: .
    S: 550 5.6.11 *
    S: 550 5.6.11 *
    C: QUIT
    S: 221 *
    CLOSED
  )");
  EXPECT_TRUE(acceptor_.messages.at(0).request.answers_per_recipient);
  EXPECT_EQ(acceptor_.messages.at(0).request.trace.protocol, "LMTP");
}

}  // namespace
}  // namespace posthorn::gateway
