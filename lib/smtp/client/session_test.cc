#include "lib/smtp/client/session.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "lib/base/failure.h"

namespace posthorn::smtp::client {
namespace {

using Need = Session::Need;

SessionOptions Options() {
  SessionOptions options;
  options.hostname = "out.example.org";
  return options;
}

Transaction Mail(std::vector<std::string> recipients) {
  Transaction transaction;
  transaction.reverse_path = "from@example.org";
  transaction.recipients = std::move(recipients);
  transaction.size = 10;
  return transaction;
}

// Plays a transcript: "S: x" feeds a line, "C: x" expects the next line of output, in order.
// Whatever the client has sent and the transcript has not named fails the test at the end.
class Player {
 public:
  explicit Player(SessionOptions options = Options()) : session(std::move(options)) {}

  void Play(absl::string_view transcript) {
    for (absl::string_view line : absl::StrSplit(transcript, '\n', absl::SkipWhitespace())) {
      line = absl::StripAsciiWhitespace(line);
      const std::string text = absl::StrCat(line.substr(3), "\r\n");
      if (line.substr(0, 3) == "S: ") {
        EXPECT_TRUE(Pending().empty()) << "not expected: " << pending_ << " before " << line;
        // A trickle, so that no step depends on how bytes are cut.
        for (const char c : text) session.Feed(std::string_view(&c, 1));
      } else {
        ASSERT_EQ(line.substr(0, 3), "C: ");
        EXPECT_EQ(Pending().substr(0, text.size()), text);
        pending_.erase(0, std::min(pending_.size(), text.size()));
      }
    }
    EXPECT_EQ(Pending(), "");
  }
  // Several replies at once.
  void Server(absl::string_view text) {
    session.Feed(absl::StrReplaceAll(text, {{"\n", "\r\n"}}));
  }
  void Open() {
    Play(R"(S: 220 mx.example.net ESMTP
            C: EHLO out.example.org
            S: 250-mx.example.net
            S: 250-PIPELINING
            S: 250-8BITMIME
            S: 250 SIZE 1000)");
  }
  std::string& Pending() {
    pending_ += session.TakeOutput();
    return pending_;
  }

  Session session;

 private:
  std::string pending_;
};

// Opens with all that `offers` lists, a line each.
void OpenWith(Player& p, const std::string& offers) {
  p.session.TakeOutput();
  p.Server(absl::StrCat("220 mx.example.net\n"));
  p.session.TakeOutput();
  p.Server(absl::StrCat("250-mx.example.net\n", offers, "250 PIPELINING\n"));
  ASSERT_EQ(p.session.need(), Need::kReady);
}

Transaction WithEverything() {
  Transaction mail = Mail({"a@example.net", "b@example.net"});
  mail.dsn.resize(2);
  mail.dsn[0].notify = "SUCCESS,DELAY";
  mail.dsn[0].original_recipient = "rfc822;a+x@example.net";
  mail.envelope_id = "QQ+1";
  mail.ret = "HDRS";
  mail.priority = -3;
  mail.deliver_by.emplace();
  mail.deliver_by->seconds = 120;
  mail.deliver_by->trace = true;
  mail.verp_delimiters = "+=";
  return mail;
}

TEST(ClientSessionTest, AsksForWhatTheServerOffers) {
  Player p;
  OpenWith(p, "250-DSN\n250-MT-PRIORITY MIXER\n250-DELIVERBY 60\n250-SMTPUTF8\n250-8BITMIME\n250-XVERP\n");
  Transaction mail = WithEverything();
  mail.smtputf8 = true;
  mail.body_is_8bit = true;
  p.session.Begin(std::move(mail));
  p.Play(R"(C: MAIL FROM:<from@example.org> BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=QQ+2B1 MT-PRIORITY=-3 BY=120;NT XVERP=+=
            C: RCPT TO:<a@example.net> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;a+2Bx@example.net
            C: RCPT TO:<b@example.net>
            C: DATA)");
}

TEST(ClientSessionTest, LeavesOutWhatTheServerDoesNotOffer) {
  Player p;
  OpenWith(p, "");
  p.session.Begin(WithEverything());
  p.Play(R"(C: MAIL FROM:<from@example.org>
            C: RCPT TO:<a@example.net>
            C: RCPT TO:<b@example.net>
            C: DATA)");
}

TEST(ClientSessionTest, WhatAMessageCannotGoWithoutIsAMatterOfTheServer) {
  struct Row {
    const char* name;
    const char* offers;
    std::function<void(Transaction&)> needs;
    const char* status;  // nullptr: goes
  };
  const auto binary = [](Transaction& t) { t.body_is_binary = true; };
  const auto utf8 = [](Transaction& t) { t.smtputf8 = true; };
  const auto within = [](int seconds) {
    return [seconds](Transaction& t) {
      t.deliver_by.emplace();
      t.deliver_by->seconds = seconds;
      t.deliver_by->return_after = true;
    };
  };
  const Row rows[] = {
      {"binary without any", "", binary, "5.6.3"},
      {"binary without CHUNKING", "250-BINARYMIME\n", binary, "5.6.3"},
      {"binary", "250-BINARYMIME\n250-CHUNKING\n", binary, nullptr},
      {"UTF-8 header", "", utf8, "5.6.7"},
      {"UTF-8 header, offered", "250-SMTPUTF8\n", utf8, nullptr},
      {"UTF-8 sender", "", [](Transaction& t) { t.reverse_path = "\xc3\xbc@example.org"; }, "5.6.7"},
      {"TLS required, in clear", "250-REQUIRETLS\n", [](Transaction& t) { t.require_tls = true; },
       "5.7.30"},
      {"a time, no promise", "", within(100), "5.3.3"},
      {"a time", "250-DELIVERBY\n", within(100), nullptr},
      {"a time below the minimum", "250-DELIVERBY 240\n", within(100), "5.4.7"},
      {"a time that is past", "250-DELIVERBY\n", within(0), "5.4.7"},
  };
  for (const Row& row : rows) {
    Player p;
    OpenWith(p, row.offers);
    Transaction mail = Mail({"a@example.net"});
    row.needs(mail);
    p.session.Begin(std::move(mail));
    if (row.status == nullptr) {
      EXPECT_EQ(p.session.need(), Need::kReply) << row.name;
      continue;
    }
    EXPECT_EQ(p.session.need(), Need::kReady) << row.name;
    EXPECT_TRUE(p.Pending().empty()) << row.name;
    const RecipientOutcome& outcome = p.session.outcomes()[0];
    EXPECT_TRUE(outcome.permanent() && outcome.lacks_extension) << row.name;
    EXPECT_EQ(outcome.reply.enhanced, row.status) << row.name;
  }
}

TEST(ClientSessionTest, RequiresTlsOfAServerThatOffersItUnderTls) {
  Player p;
  p.Server("220 mx.example.net\n");
  p.session.TakeOutput();
  p.Server("250-mx.example.net\n250 STARTTLS\n");
  p.session.TakeOutput();
  p.Server("220 go\n");
  p.session.OnTlsStarted();
  p.session.TakeOutput();
  p.Server("250-mx.example.net\n250 REQUIRETLS\n");
  Transaction mail = Mail({"a@example.net"});
  mail.require_tls = true;
  p.session.Begin(std::move(mail));
  p.Play("C: MAIL FROM:<from@example.org> REQUIRETLS");
}

TEST(ClientSessionTest, SendsByBdatWhereChunkingIsOffered) {
  Player p;
  OpenWith(p, "250-CHUNKING\n250-BINARYMIME\n");
  Transaction mail = Mail({"a@example.net", "b@example.net"});
  mail.body_is_binary = true;
  p.session.Begin(std::move(mail));
  p.Play(R"(C: MAIL FROM:<from@example.org> BODY=BINARYMIME
            C: RCPT TO:<a@example.net>
            C: RCPT TO:<b@example.net>
            S: 250 ok
            S: 250 ok
            S: 550 5.1.1 no)");
  ASSERT_EQ(p.session.need(), Need::kBody);
  ASSERT_TRUE(p.session.chunked());
  p.session.SendChunk(1000, false);
  p.session.SendChunk(2000, false);
  EXPECT_EQ(p.session.unanswered_chunks(), 2u);
  p.Play(R"(C: BDAT 1000
            C: BDAT 2000
            S: 250 1000 octets
            S: 250 2000 octets)");
  ASSERT_EQ(p.session.need(), Need::kBody);
  EXPECT_FALSE(p.session.final_dot_pending());
  p.session.SendChunk(0, true);
  EXPECT_TRUE(p.session.final_dot_pending());
  p.Play(R"(C: BDAT 0 LAST
            S: 250 2.0.0 queued)");
  ASSERT_EQ(p.session.need(), Need::kReady);
  EXPECT_TRUE(p.session.outcomes()[0].delivered());
  EXPECT_TRUE(p.session.outcomes()[1].permanent());
  // Nothing is left to be reset.
  p.session.Begin(Mail({"a@example.net"}));
  EXPECT_EQ(p.Pending().substr(0, 4), "MAIL");
}

TEST(ClientSessionTest, ARefusedChunkEndsTheMessage) {
  Player p;
  OpenWith(p, "250-CHUNKING\n");
  p.session.Begin(Mail({"a@example.net"}));
  p.session.TakeOutput();
  p.Server("250 ok\n250 ok\n");
  for (int i = 0; i < 3; ++i) p.session.SendChunk(100, false);
  p.session.TakeOutput();
  p.Server("552 5.3.4 too much\n");
  EXPECT_EQ(p.session.need(), Need::kReply);
  EXPECT_FALSE(p.session.final_dot_pending());
  p.Server("503 5.5.1 no\n503 5.5.1 no\n");
  ASSERT_EQ(p.session.need(), Need::kReady);
  EXPECT_TRUE(p.session.outcomes()[0].permanent());
  EXPECT_EQ(p.session.outcomes()[0].reply.enhanced, "5.3.4");
  p.session.Begin(Mail({"a@example.net"}));
  EXPECT_EQ(p.Pending().substr(0, 4), "RSET");
}

TEST(ClientSessionTest, WithoutAValidRecipientNoChunkIsSent) {
  Player p;
  OpenWith(p, "250-CHUNKING\n");
  p.session.Begin(Mail({"a@example.net"}));
  p.session.TakeOutput();
  p.Server("250 ok\n550 5.1.1 no\n");
  EXPECT_EQ(p.session.need(), Need::kReady);
  EXPECT_TRUE(p.session.outcomes()[0].permanent());
}

TEST(ClientSessionTest, AConnectionLostAfterTheLastChunkIsInDoubt) {
  Player p;
  OpenWith(p, "250-CHUNKING\n");
  p.session.Begin(Mail({"a@example.net"}));
  p.session.TakeOutput();
  p.Server("250 ok\n250 ok\n");
  p.session.SendChunk(100, true);
  p.session.ConnectionLost(absl::UnavailableError("gone"));
  EXPECT_TRUE(p.session.final_dot_lost());
  EXPECT_FALSE(p.session.outcomes()[0].decided);
}

TEST(ClientSessionTest, OneMessageWithoutExtensions) {
  Player p;
  p.Play(R"(S: 220 mx.example.net
            C: EHLO out.example.org
            S: 502 no
            C: HELO out.example.org
            S: 250 mx.example.net)");
  ASSERT_EQ(p.session.need(), Need::kReady);
  Transaction mail = Mail({"a@example.net", "b@example.net"});
  mail.body_is_8bit = true;
  p.session.Begin(std::move(mail));
  p.Play(R"(C: MAIL FROM:<from@example.org>
            S: 250 ok
            C: RCPT TO:<a@example.net>
            S: 250 ok
            C: RCPT TO:<b@example.net>
            S: 550 5.1.1 no
            C: DATA
            S: 354 go)");
  ASSERT_EQ(p.session.need(), Need::kBody);
  EXPECT_FALSE(p.session.final_dot_pending());
  p.session.BodySent();
  EXPECT_TRUE(p.session.final_dot_pending());
  p.Play("S: 250 2.0.0 queued");
  ASSERT_EQ(p.session.need(), Need::kReady);
  EXPECT_TRUE(p.session.outcomes()[0].delivered());
  EXPECT_EQ(p.session.outcomes()[0].reply.text(), "queued");
  EXPECT_TRUE(p.session.outcomes()[1].permanent());
  EXPECT_EQ(p.session.outcomes()[1].stage, Stage::kRcpt);
  p.session.Quit();
  p.Play("C: QUIT");
  EXPECT_EQ(p.session.need(), Need::kClosed);
}

TEST(ClientSessionTest, PipelinesAndReuses) {
  Player p;
  p.Open();
  Transaction mail = Mail({"a@example.net", "b@example.net"});
  mail.body_is_8bit = true;
  p.session.Begin(std::move(mail));
  p.Play(R"(C: MAIL FROM:<from@example.org> SIZE=10 BODY=8BITMIME
            C: RCPT TO:<a@example.net>
            C: RCPT TO:<b@example.net>
            C: DATA
            S: 250 ok
            S: 250 ok
            S: 450 4.2.0 later
            S: 354 go)");
  ASSERT_EQ(p.session.need(), Need::kBody);
  p.session.BodySent();
  p.Play("S: 250 ok");
  EXPECT_TRUE(p.session.outcomes()[0].delivered());
  EXPECT_FALSE(p.session.outcomes()[1].delivered());
  EXPECT_FALSE(p.session.outcomes()[1].permanent());

  // A message that was taken needs no RSET; the null reverse-path is sent as such.
  Transaction second = Mail({"c@example.net"});
  second.reverse_path = "";
  p.session.Begin(std::move(second));
  p.Play(R"(C: MAIL FROM:<> SIZE=10
            C: RCPT TO:<c@example.net>
            C: DATA
            S: 250 ok
            S: 550 no
            S: 554 no valid recipients)");
  ASSERT_EQ(p.session.need(), Need::kReady);
  EXPECT_TRUE(p.session.outcomes()[0].permanent());
  EXPECT_EQ(p.session.outcomes()[0].reply.code, 550);

  // One that was not does.
  p.session.Begin(Mail({"d@example.net"}));
  p.Play(R"(C: RSET
            C: MAIL FROM:<from@example.org> SIZE=10
            C: RCPT TO:<d@example.net>
            C: DATA
            S: 250 ok
            S: 250 ok
            S: 250 ok
            S: 354 go)");
  EXPECT_EQ(p.session.need(), Need::kBody);
}

TEST(ClientSessionTest, EndsAnEmptyMessageWhenDataIsAcceptedWithoutRecipients) {
  Player p;
  p.Open();
  p.session.Begin(Mail({"a@example.net"}));
  p.Play(R"(C: MAIL FROM:<from@example.org> SIZE=10
            C: RCPT TO:<a@example.net>
            C: DATA
            S: 250 ok
            S: 550 no
            S: 354 go
            C: .
            S: 554 no valid recipients)");
  EXPECT_EQ(p.session.need(), Need::kReady);
  EXPECT_EQ(p.session.outcomes()[0].reply.code, 550);
}

TEST(ClientSessionTest, ARefusedSenderDecidesAllRecipients) {
  Player p;
  p.Open();
  p.session.Begin(Mail({"a@example.net", "b@example.net"}));
  p.Play(R"(C: MAIL FROM:<from@example.org> SIZE=10
            C: RCPT TO:<a@example.net>
            C: RCPT TO:<b@example.net>
            C: DATA
            S: 550 5.7.1 not you
            S: 503 no
            S: 503 no
            S: 503 no)");
  ASSERT_EQ(p.session.need(), Need::kReady);
  for (const RecipientOutcome& outcome : p.session.outcomes()) {
    EXPECT_TRUE(outcome.permanent());
    EXPECT_EQ(outcome.reply.enhanced, "5.7.1");
    EXPECT_EQ(outcome.stage, Stage::kMail);
  }
}

TEST(ClientSessionTest, KeepsTheWindow) {
  SessionOptions options = Options();
  options.pipeline_window = 2;
  Player p(options);
  p.Open();
  p.session.Begin(Mail({"a@example.net", "b@example.net"}));
  p.Play(R"(C: MAIL FROM:<from@example.org> SIZE=10
            C: RCPT TO:<a@example.net>
            S: 250 ok
            C: RCPT TO:<b@example.net>
            S: 250 ok
            C: DATA
            S: 250 ok
            S: 354 go)");
  EXPECT_EQ(p.session.need(), Need::kBody);
}

TEST(ClientSessionTest, StartsTlsWhenOffered) {
  Player p;
  p.Play(R"(S: 220 mx
            C: EHLO out.example.org
            S: 250-mx
            S: 250-PIPELINING
            S: 250 STARTTLS
            C: STARTTLS)");
  // What follows the 220 in clear is an injection: dropped.
  p.Server("220 go\n250-evil\n250 SIZE 1\n");
  ASSERT_EQ(p.session.need(), Need::kStartTls);
  p.session.OnTlsStarted();
  p.Play(R"(C: EHLO out.example.org
            S: 250-mx
            S: 250-STARTTLS
            S: 250 8BITMIME)");
  EXPECT_EQ(p.session.need(), Need::kReady);
  EXPECT_TRUE(p.session.tls_active());
  EXPECT_FALSE(p.session.capabilities().pipelining);
  EXPECT_FALSE(p.session.capabilities().size);
}

TEST(ClientSessionTest, GoesOnInClearWhenStartTlsIsRefused) {
  Player p;
  p.Play(R"(S: 220 mx
            C: EHLO out.example.org
            S: 250-mx
            S: 250 STARTTLS
            C: STARTTLS
            S: 454 not now)");
  EXPECT_EQ(p.session.need(), Need::kReady);
  EXPECT_FALSE(p.session.tls_active());
}

TEST(ClientSessionTest, DoesNotStartTlsWhereItMustNot) {
  SessionOptions options = Options();
  options.allow_starttls = false;
  Player p(options);
  p.Play(R"(S: 220 mx
            C: EHLO out.example.org
            S: 250-mx
            S: 250 STARTTLS)");
  EXPECT_EQ(p.session.need(), Need::kReady);
}

TEST(ClientSessionTest, AnUnfriendlyGreetingClosesTheHostNotTheMail) {
  for (const char* greeting : {"S: 554 no service", "S: 421 busy", "S: 450 x"}) {
    Player p;
    p.Play(greeting);
    EXPECT_EQ(p.session.need(), Need::kClosed);
    EXPECT_NE(p.session.closing_reply().code, 0);
    EXPECT_FALSE(IsPermanent(p.session.error()));
  }
}

// RFC 5321 section 3.8: 421 at any moment.
TEST(ClientSessionTest, A421LeavesRecipientsUndecidedAtEveryPlace) {
  const char* const replies[] = {"250 ok", "250 ok", "250 ok", "354 go"};
  for (std::size_t place = 0; place < 4; ++place) {
    Player p;
    p.Open();
    p.session.Begin(Mail({"a@example.net", "b@example.net"}));
    p.session.TakeOutput();
    for (std::size_t i = 0; i < place; ++i) p.Server(absl::StrCat(replies[i], "\n"));
    p.Server("421 4.3.2 going down\n");
    ASSERT_EQ(p.session.need(), Need::kClosed) << place;
    EXPECT_EQ(p.session.transaction_answered(), place > 0);
    for (const RecipientOutcome& outcome : p.session.outcomes()) {
      EXPECT_FALSE(outcome.delivered());
      EXPECT_FALSE(outcome.permanent());
      EXPECT_EQ(outcome.reply.code, 421);
    }
  }
}

TEST(ClientSessionTest, A421AfterTheFinalDotIsAnAnswer) {
  Player p;
  p.Open();
  p.session.Begin(Mail({"a@example.net"}));
  p.session.TakeOutput();
  p.Server("250 ok\n250 ok\n354 go\n");
  p.session.BodySent();
  p.Server("421 4.3.2 going down\n");
  EXPECT_EQ(p.session.need(), Need::kClosed);
  EXPECT_FALSE(p.session.final_dot_lost());
  EXPECT_TRUE(p.session.outcomes()[0].decided);
  EXPECT_FALSE(p.session.outcomes()[0].permanent());
}

TEST(ClientSessionTest, ALostReplyToTheFinalDotIsKnownAsSuch) {
  Player p;
  p.Open();
  p.session.Begin(Mail({"a@example.net", "b@example.net"}));
  p.session.TakeOutput();
  p.Server("250 ok\n250 ok\n550 no\n354 go\n");
  p.session.BodySent();
  p.session.ConnectionLost(absl::UnavailableError("reset"));
  EXPECT_TRUE(p.session.final_dot_lost());
  EXPECT_FALSE(p.session.outcomes()[0].decided);
  EXPECT_EQ(p.session.outcomes()[0].stage, Stage::kFinalDot);
  EXPECT_EQ(p.session.outcomes()[0].reply.code, 0);
  EXPECT_TRUE(p.session.outcomes()[1].permanent());
}

TEST(ClientSessionTest, ALossBeforeTheFinalDotIsNone) {
  Player p;
  p.Open();
  p.session.Begin(Mail({"a@example.net"}));
  p.Server("250 ok\n250 ok\n354 go\n");
  p.session.ConnectionLost(absl::UnavailableError("reset"));
  EXPECT_FALSE(p.session.final_dot_lost());
}

TEST(ClientSessionTest, AnEarlyRefusalOfTheBodyCounts) {
  Player p;
  p.Open();
  p.session.Begin(Mail({"a@example.net"}));
  p.Server("250 ok\n250 ok\n354 go\n552 5.3.4 too large\n");
  EXPECT_EQ(p.session.need(), Need::kClosed);
  EXPECT_TRUE(p.session.outcomes()[0].permanent());
  EXPECT_EQ(p.session.outcomes()[0].reply.enhanced, "5.3.4");
}

TEST(ClientSessionTest, AMessageOverTheAnnouncedSizeIsNotTried) {
  Player p;
  p.Open();
  Transaction mail = Mail({"a@example.net"});
  mail.size = 1001;
  p.session.Begin(std::move(mail));
  EXPECT_EQ(p.session.TakeOutput(), "");
  EXPECT_EQ(p.session.need(), Need::kReady);
  EXPECT_TRUE(p.session.outcomes()[0].permanent());
  EXPECT_EQ(p.session.outcomes()[0].reply.enhanced, "5.3.4");
}

TEST(ClientSessionTest, AnAddressThatWouldBreakACommandFailsByItself) {
  const std::string bad[] = {"a\r\nDATA@example.net", "a\n@b", "a b@example.net", "a>@b", "<a@b",
                             "\"open@example.net", "", std::string("a\0b@c", 5), "\"a\\\n\"@b"};
  for (const std::string& address : bad) {
    Player p;
    p.Open();
    p.session.Begin(Mail({address, "\"quoted one>\\\"\"@example.net"}));
    p.Play(R"(C: MAIL FROM:<from@example.org> SIZE=10
              C: RCPT TO:<"quoted one>\""@example.net>
              C: DATA
              S: 250 ok)");
    EXPECT_EQ(p.session.outcomes()[0].reply.enhanced, "5.1.3") << address;
  }
  Player p;
  p.Open();
  Transaction mail = Mail({"a@example.net"});
  mail.reverse_path = "x> SIZE=1\r\nRSET";
  p.session.Begin(std::move(mail));
  EXPECT_EQ(p.session.TakeOutput(), "");
  EXPECT_EQ(p.session.outcomes()[0].reply.enhanced, "5.1.7");
}

TEST(ClientSessionTest, Utf8AddressesNeedTheExtension) {
  Player p;
  p.Open();
  p.session.Begin(Mail({"j\xc3\xbcrgen@example.net"}));
  EXPECT_EQ(p.session.TakeOutput(), "");
  EXPECT_EQ(p.session.outcomes()[0].reply.enhanced, "5.6.7");
}

TEST(ClientSessionTest, NonsenseFromTheServerEndsTheConnection) {
  for (const char* nonsense : {"hello\n", "250 ok\n250 ok\n250 ok\n250 not 354\n",
                               "250 ok\n350 what\n", "350 what\n"}) {
    Player p;
    p.Open();
    p.session.Begin(Mail({"a@example.net", "b@example.net"}));
    p.session.TakeOutput();
    p.Server(nonsense);
    EXPECT_EQ(p.session.need(), Need::kClosed) << nonsense;
    for (const RecipientOutcome& outcome : p.session.outcomes()) EXPECT_FALSE(outcome.decided);
  }
}

TEST(ClientSessionTest, AnUnexpectedReplyBetweenTransactionsEndsTheConnection) {
  Player p;
  p.Open();
  p.Server("421 idle too long\n");
  EXPECT_EQ(p.session.need(), Need::kClosed);
  EXPECT_EQ(p.session.closing_reply().code, 421);
}

class FakeAuthenticator final : public Authenticator {
 public:
  absl::StatusOr<std::string> Begin(const std::vector<std::string>& mechanisms) override {
    offered = mechanisms;
    if (!failure.ok()) return failure;
    return std::string("LOGIN");
  }
  absl::StatusOr<std::string> Answer(std::string_view challenge) override {
    challenges.emplace_back(challenge);
    return absl::StrCat("answer", challenges.size());
  }
  bool Done() const override { return challenges.size() >= 2; }
  absl::Status failure = absl::OkStatus();
  std::vector<std::string> offered, challenges;
};

SessionOptions LoginOptions(FakeAuthenticator& authenticator) {
  SessionOptions options = Options();
  options.tls_from_start = true;
  options.authenticator = &authenticator;
  return options;
}

TEST(SessionLoginTest, LogsInBeforeTheFirstMail) {
  FakeAuthenticator login;
  Player player(LoginOptions(login));
  player.Play(R"(S: 220 relay
                 C: EHLO out.example.org
                 S: 250-relay
                 S: 250-STARTTLS
                 S: 250 AUTH LOGIN PLAIN
                 C: AUTH LOGIN
                 S: 334 VXNlcm5hbWU6
                 C: answer1
                 S: 334 UGFzc3dvcmQ6
                 C: answer2
                 S: 235 2.7.0 welcome)");
  EXPECT_EQ(player.session.need(), Need::kReady);
  EXPECT_EQ(login.offered, (std::vector<std::string>{"LOGIN", "PLAIN"}));
  EXPECT_EQ(login.challenges, (std::vector<std::string>{"VXNlcm5hbWU6", "UGFzc3dvcmQ6"}));
}

TEST(SessionLoginTest, ARefusedLoginIsTemporary) {
  FakeAuthenticator login;
  Player player(LoginOptions(login));
  player.Play(R"(S: 220 relay
                 C: EHLO out.example.org
                 S: 250-relay
                 S: 250 AUTH LOGIN
                 C: AUTH LOGIN
                 S: 535 5.7.8 wrong)");
  EXPECT_EQ(player.session.need(), Need::kClosed);
  EXPECT_TRUE(player.session.login_failed());
  EXPECT_FALSE(IsPermanent(player.session.error()));
  EXPECT_NE(player.session.error().message().find("535"), absl::string_view::npos);
}

TEST(SessionLoginTest, ASuccessBeforeTheServerHasProvenItselfIsNone) {
  FakeAuthenticator login;
  Player player(LoginOptions(login));
  player.Play(R"(S: 220 relay
                 C: EHLO out.example.org
                 S: 250-relay
                 S: 250 AUTH SCRAM-SHA-256
                 C: AUTH LOGIN
                 S: 235 2.7.0 welcome)");
  EXPECT_TRUE(player.session.login_failed());
}

TEST(SessionLoginTest, NothingIsSaidInClear) {
  FakeAuthenticator login;
  SessionOptions options = LoginOptions(login);
  options.tls_from_start = false;
  Player player(options);
  player.Play(R"(S: 220 relay
                 C: EHLO out.example.org
                 S: 250-relay
                 S: 250 AUTH LOGIN)");
  EXPECT_TRUE(player.session.login_failed());
  EXPECT_TRUE(login.offered.empty());
}

TEST(SessionTest, RequiredTlsThatIsNotToBeHadEndsTheSession) {
  for (const char* rest : {"S: 250 SIZE", R"(S: 250 STARTTLS
                                             C: STARTTLS
                                             S: 454 4.7.0 not now)"}) {
    SessionOptions options = Options();
    options.require_tls = true;
    Player player(options);
    player.Play(R"(S: 220 mx
                   C: EHLO out.example.org
                   S: 250-mx)");
    player.Play(rest);
    EXPECT_EQ(player.session.need(), Need::kClosed) << rest;
    EXPECT_TRUE(player.session.starttls_refused());
    EXPECT_EQ(FailureOf(player.session.error()), Failure::kTlsFailed);
  }
}

TEST(SessionTest, LmtpAnswersForEachRecipient) {
  SessionOptions options = Options();
  options.lmtp = true;
  Player player(options);
  player.Play(R"(S: 220 store
                 C: LHLO out.example.org
                 S: 250-store
                 S: 250-CHUNKING
                 S: 250 PIPELINING)");
  ASSERT_EQ(player.session.need(), Need::kReady);
  player.session.Begin(Mail({"a@example.net", "b@example.net", "c@example.net"}));
  player.Play(R"(C: MAIL FROM:<from@example.org>
                 C: RCPT TO:<a@example.net>
                 C: RCPT TO:<b@example.net>
                 C: RCPT TO:<c@example.net>
                 C: DATA
                 S: 250 ok
                 S: 250 ok
                 S: 550 5.1.1 nobody
                 S: 250 ok
                 S: 354 go on)");
  ASSERT_EQ(player.session.need(), Need::kBody);
  EXPECT_FALSE(player.session.chunked());
  player.session.BodySent();
  player.Play("S: 250 2.0.0 stored");
  EXPECT_EQ(player.session.need(), Need::kReply) << "one answer is still to come";
  EXPECT_TRUE(player.session.final_dot_pending());
  player.Play("S: 452 4.2.2 full");
  EXPECT_EQ(player.session.need(), Need::kReady);
  const std::vector<RecipientOutcome>& outcomes = player.session.outcomes();
  EXPECT_TRUE(outcomes[0].delivered());
  EXPECT_TRUE(outcomes[1].permanent());
  EXPECT_EQ(outcomes[2].reply.code, 452);
  EXPECT_EQ(outcomes[2].stage, Stage::kFinalDot);
}

TEST(SessionTest, AnLmtpServerThatBreaksOffHasDecidedForSome) {
  SessionOptions options = Options();
  options.lmtp = true;
  Player player(options);
  player.Play(R"(S: 220 store
                 C: LHLO out.example.org
                 S: 250 PIPELINING)");
  player.session.Begin(Mail({"a@example.net", "b@example.net"}));
  player.Play(R"(C: MAIL FROM:<from@example.org>
                 S: 250 ok
                 C: RCPT TO:<a@example.net>
                 S: 250 ok
                 C: RCPT TO:<b@example.net>
                 S: 250 ok
                 C: DATA
                 S: 354 go on)");
  player.session.BodySent();
  player.Play("S: 250 stored");
  player.session.ConnectionLost(MakeFailure(Failure::kConnectFailed, "gone"));
  EXPECT_TRUE(player.session.final_dot_lost());
  EXPECT_TRUE(player.session.outcomes()[0].delivered());
  EXPECT_FALSE(player.session.outcomes()[1].decided);
}

}  // namespace
}  // namespace posthorn::smtp::client
