#include "lib/dsn/dsn.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"

namespace posthorn::dsn {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

Notification Sample(Kind kind) {
  Notification n;
  n.kind = kind;
  n.reporting_host = "mail.example.org";
  n.to = "sender@example.org";
  n.message_id = "id-1";
  n.now = absl::FromUnixSeconds(1795420800);
  n.arrival = n.now - absl::Hours(4);
  n.retry_until = n.now + absl::Hours(100);
  Recipient recipient;
  recipient.final_address = "who@example.net";
  recipient.status = kind == Kind::kFailure ? "5.1.1" : "4.4.1";
  recipient.diagnostic = "550 5.1.1 no such user";
  recipient.diagnostic_is_smtp = true;
  recipient.remote_host = "mx.example.net";
  n.recipients.push_back(recipient);
  n.original = "From: sender@example.org\r\nSubject: hello\r\n\r\nsecret body\r\n";
  return n;
}

TEST(DsnTest, FailureIsComposedAsKnown) {
  const Composed composed = Compose(Sample(Kind::kFailure));
  EXPECT_FALSE(composed.body_is_8bit);
  EXPECT_EQ(
      composed.message,
      "From: Mail Delivery System <MAILER-DAEMON@mail.example.org>\r\n"
      "To: <sender@example.org>\r\n"
      "Subject: Undelivered mail returned to sender\r\n"
      "Date: Mon, 23 Nov 2026 08:00:00 +0000\r\n"
      "Message-ID: <id-1@mail.example.org>\r\n"
      "Auto-Submitted: auto-replied\r\n"
      "MIME-Version: 1.0\r\n"
      "Content-Type: multipart/report; report-type=delivery-status;\r\n"
      " boundary=\"=_id-1/0\"\r\n"
      "Content-Transfer-Encoding: 7bit\r\n"
      "\r\n"
      "This is a MIME-encapsulated message.\r\n"
      "\r\n"
      "--=_id-1/0\r\n"
      "Content-Type: text/plain\r\n"
      "Content-Transfer-Encoding: 7bit\r\n"
      "\r\n"
      "This is the mail system at mail.example.org.\r\n"
      "\r\n"
      "Your message could not be delivered to the recipients below. It will not\r\n"
      "be tried again.\r\n"
      "\r\n"
      "<who@example.net>\r\n"
      "    There is no such mailbox.\r\n"
      "    Check the address for typing errors.\r\n"
      "    mx.example.net said: 550 5.1.1 no such user\r\n"
      "\r\n"
      "The header lines of your message are attached.\r\n"
      "\r\n"
      "--=_id-1/0\r\n"
      "Content-Type: message/delivery-status\r\n"
      "Content-Transfer-Encoding: 7bit\r\n"
      "\r\n"
      "Reporting-MTA: dns; mail.example.org\r\n"
      "Arrival-Date: Mon, 23 Nov 2026 04:00:00 +0000\r\n"
      "\r\n"
      "Final-Recipient: rfc822; who@example.net\r\n"
      "Action: failed\r\n"
      "Status: 5.1.1\r\n"
      "Remote-MTA: dns; mx.example.net\r\n"
      "Diagnostic-Code: smtp; 550 5.1.1 no such user\r\n"
      "Last-Attempt-Date: Mon, 23 Nov 2026 08:00:00 +0000\r\n"
      "\r\n"
      "--=_id-1/0\r\n"
      "Content-Type: text/rfc822-headers\r\n"
      "Content-Transfer-Encoding: 7bit\r\n"
      "\r\n"
      "From: sender@example.org\r\n"
      "Subject: hello\r\n"
      "\r\n"
      "--=_id-1/0--\r\n");
}

TEST(DsnTest, DelaySaysThatNothingNeedsToBeDone) {
  const Composed composed = Compose(Sample(Kind::kDelay));
  EXPECT_THAT(composed.message, HasSubstr("Action: delayed\r\nStatus: 4.4.1\r\n"));
  EXPECT_THAT(composed.message, HasSubstr("Will-Retry-Until: Fri, 27 Nov 2026 12:00:00 +0000"));
  EXPECT_THAT(composed.message, HasSubstr("You need\r\nnot do anything"));
}

TEST(DsnTest, SuccessSaysWhoAnswersNow) {
  struct Row {
    Kind kind;
    const char* action;
    const char* text;
  };
  const Row rows[] = {
      {Kind::kDelivered, "Action: delivered\r\nStatus: 2.0.0\r\n", "is in the mailboxes"},
      {Kind::kRelayed, "Action: relayed\r\nStatus: 2.0.0\r\n", "taken by the mail servers"},
      {Kind::kExpanded, "Action: expanded\r\nStatus: 2.0.0\r\n", "stand for several recipients"},
  };
  for (const Row& row : rows) {
    Notification n = Sample(row.kind);
    n.recipients[0].status.clear();
    n.recipients[0].diagnostic = "250 2.0.0 queued";
    const std::string message = Compose(n).message;
    EXPECT_THAT(message, HasSubstr(row.action));
    EXPECT_THAT(message, HasSubstr(row.text));
    EXPECT_THAT(message, Not(HasSubstr("Undelivered")));
    EXPECT_THAT(message, Not(HasSubstr("Check the address")));
  }
}

TEST(DsnTest, RepeatsWhatTheSenderKnowsTheMessageBy) {
  Notification n = Sample(Kind::kFailure);
  n.envelope_id = "QQ 314159\r\nX-Evil: 1";
  n.recipients[0].original_address = "alias@example.org";
  n.recipients[0].original_recipient = "rfc822;Alias+x@example.org";
  std::string message = Compose(n).message;
  EXPECT_THAT(message, HasSubstr("Reporting-MTA: dns; mail.example.org\r\n"
                                 "Original-Envelope-Id: QQ 314159??X-Evil: 1\r\n"));
  EXPECT_THAT(message, HasSubstr("Original-Recipient: rfc822; Alias+x@example.org\r\n"
                                 "Final-Recipient: rfc822; who@example.net\r\n"));
  n.recipients[0].original_recipient = "utf-8;j\xc3\xbcrgen@example.net";
  message = Compose(n).message;
  EXPECT_THAT(message, HasSubstr("Original-Recipient: utf-8; j\\x{FC}rgen@example.net\r\n"));
}

TEST(DsnTest, ReturnsTheWholeMessageWhenAskedTo) {
  Notification n = Sample(Kind::kFailure);
  n.full = true;
  std::string message = Compose(n).message;
  EXPECT_THAT(message, HasSubstr("Content-Type: message/rfc822\r\n"
                                 "Content-Transfer-Encoding: 7bit\r\n\r\n"
                                 "From: sender@example.org\r\nSubject: hello\r\n\r\n"
                                 "secret body\r\n\r\n--"));
  EXPECT_THAT(message, HasSubstr("Your message is attached."));
  n.original = "Subject: gr\xc3\xbc\xc3\x9f\x65\r\n\r\nbody\r\n";
  Composed composed = Compose(n);
  EXPECT_TRUE(composed.body_is_8bit);
  EXPECT_THAT(composed.message, HasSubstr("Content-Type: message/global\r\n"
                                          "Content-Transfer-Encoding: 8bit\r\n"));
}

TEST(DsnTest, AMessageThatFitsNoPartComesBackAsHeaders) {
  struct Row {
    const char* name;
    std::string message;
  };
  const Row rows[] = {
      {"NUL", std::string("Subject: a\r\n\r\nsecret\0\r\n", 24)},
      {"bare LF", "Subject: a\r\n\r\nsecret\n"},
      {"bare CR", "Subject: a\r\n\r\nsecret\rx\r\n"},
      {"CR at the end", "Subject: a\r\n\r\nsecret\r"},
      {"long line", "Subject: a\r\n\r\nsecret" + std::string(1000, 'x') + "\r\n"},
      {"too large", "Subject: a\r\n\r\nsecret\r\n" + [] {
         std::string lines;
         while (lines.size() <= kMaxFull) lines += "line\r\n";
         return lines;
       }()},
  };
  for (const Row& row : rows) {
    EXPECT_FALSE(IsReturnable(row.message)) << row.name;
    Notification n = Sample(Kind::kFailure);
    n.full = true;
    n.original = row.message;
    const std::string message = Compose(n).message;
    EXPECT_THAT(message, HasSubstr("text/rfc822-headers")) << row.name;
    EXPECT_THAT(message, Not(HasSubstr("secret"))) << row.name;
  }
  EXPECT_TRUE(IsReturnable("Subject: a\r\n\r\n" + std::string(998, 'x') + "\r\nend"));
}

TEST(DsnTest, TextSaysWhatTheStatusMeans) {
  struct Row {
    const char* status;
    const char* text;
  };
  const Row rows[] = {
      {"5.1.1", "no such mailbox"},      {"5.1.2", "does not exist"},
      {"5.1.10", "does not accept mail"}, {"5.2.2", "mailbox is full"},
      {"5.3.4", "too large"},            {"5.4.7", "in time"},
      {"5.4.4", "no mail server"},       {"5.4.1", "can't be reached"},
      {"5.7.26", "by its policy"},       {"5.7.30", "protection on the whole"},
      {"5.6.7", "international addresses"}, {"5.6.3", "in this format"},       {"", "did not take the message"},
  };
  for (const Row& row : rows) {
    Notification n = Sample(Kind::kFailure);
    n.recipients[0].status = row.status;
    EXPECT_THAT(Compose(n).message, HasSubstr(row.text)) << row.status;
  }
}

TEST(DsnTest, NothingOfTheInputBreaksTheStructure) {
  Notification n = Sample(Kind::kFailure);
  n.recipients[0].diagnostic = "550 x\r\n\r\n--=_id-1/0\r\nBcc: a@b";
  n.recipients[0].final_address = "a\r\nX-Evil: 1@b";
  n.recipients[0].remote_host = "mx\r\n\r\n";
  n.original = "A: 1\nB: \xff\n\nbody";
  const Composed composed = Compose(n);
  EXPECT_THAT(composed.message, Not(HasSubstr("\r\nX-Evil")));
  EXPECT_THAT(composed.message, Not(HasSubstr("\r\nBcc")));
  EXPECT_TRUE(composed.body_is_8bit);
  // The text of the boundary is taken, so another one is used.
  EXPECT_THAT(composed.message, HasSubstr("boundary=\"=_id-1/1\""));
  for (std::size_t i = 0; i < composed.message.size(); ++i) {
    if (composed.message[i] == '\n') {
      ASSERT_GT(i, 0u);
      EXPECT_EQ(composed.message[i - 1], '\r');
    }
    if (composed.message[i] == '\r') {
      ASSERT_LT(i + 1, composed.message.size());
      EXPECT_EQ(composed.message[i + 1], '\n');
    }
  }
}

TEST(DsnTest, SizeIsBounded) {
  Notification n = Sample(Kind::kFailure);
  n.recipients[0].diagnostic = std::string(100000, 'd');
  n.recipients.resize(5000, n.recipients[0]);
  std::string headers;
  for (int i = 0; i < 10000; ++i) absl::StrAppend(&headers, "X-Line: ", i, "\r\n");
  n.original = headers;
  const Composed composed = Compose(n);
  EXPECT_LT(composed.message.size(), 400u * 1024);
  EXPECT_THAT(composed.message, HasSubstr("and 4900 more."));
}

}  // namespace
}  // namespace posthorn::dsn
