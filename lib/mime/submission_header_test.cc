#include "lib/mime/submission_header.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <memory>
#include <string>

namespace posthorn::mime {
namespace {

std::unique_ptr<SubmissionHeader> Read(const std::string& message, std::size_t chunk) {
  auto header = std::make_unique<SubmissionHeader>();
  for (std::size_t i = 0; i < message.size(); i += chunk) {
    header->Feed(std::string_view(message).substr(i, chunk));
  }
  header->Finish();
  return header;
}

std::string Describe(const SubmissionHeader::Authors& authors) {
  if (!authors.presence.there) return "-";
  if (!authors.mailboxes.has_value()) return "?";
  std::string out = "[";
  for (const Address& address : *authors.mailboxes) {
    out += *address.mailbox + "@" + *address.host + " ";
  }
  return out + "]";
}

struct AuthorRow {
  const char* name;
  std::string message;
  const char* from;
  const char* sender = "-";
};

const AuthorRow kAuthors[] = {
    {"none", "To: x\r\n\r\nFrom: a@b\r\n", "-"},
    {"bare", "From: a@b\r\n\r\n", "[a@b ]"},
    {"with a name", "FROM : \"A, B\" <a@b>\r\n\r\n", "[a@b ]"},
    {"encoded name", "From: =?utf-8?q?J=C3=B6rg?= <a@b>\r\n\r\n", "[a@b ]"},
    {"8-bit name", "From: J\xc3\xb6rg <a@b>\r\n\r\n", "[a@b ]"},
    {"comment", "From: a@b (x@y)\r\n\r\n", "[a@b ]"},
    {"folded", "From:\r\n A\r\n\t<a@b>\r\nTo: x\r\n\r\n", "[a@b ]"},
    {"folded inside the address", "From: <a\r\n @b>\r\n\r\n", "[a@b ]"},
    {"several", "From: a@b, C <c@d>\r\nSender: a@b\r\n\r\n", "[a@b c@d ]", "[a@b ]"},
    {"several fields", "From: a@b\r\nFrom: c@d\r\n\r\n", "[a@b c@d ]"},
    {"group", "From: All: a@b, C <c@d>;\r\n\r\n", "[a@b c@d ]"},
    {"empty group", "From: Nobody:;\r\n\r\n", "[]"},
    {"group and mailbox", "From: x@y, G: a@b;, c@d\r\n\r\n", "[x@y a@b c@d ]"},
    {"quoted", "From: \"a b\"@c\r\n\r\n", "[a b@c ]"},
    {"literal", "From: a@[192.0.2.1]\r\n\r\n", "[a@[192.0.2.1] ]"},
    {"trailing comma", "From: a@b,\r\n\r\n", "[a@b ]"},
    {"empty", "From:\r\n\r\n", "[]"},
    {"blank", "From:  \r\n \t\r\n\r\n", "[]"},
    {"after a line that is no field", "x\r\nFrom: a@b\r\n\r\n", "[a@b ]"},
    // Where another reader may see another address.
    {"two in a row", "From: a@b <c@d>\r\n\r\n", "?"},
    {"two in brackets", "From: <a@b> <c@d>\r\n\r\n", "?"},
    {"text behind", "From: a@b c\r\n\r\n", "?"},
    {"no domain", "From: root\r\n\r\n", "?"},
    {"no address", "From: Joe Doe\r\n\r\n", "?"},
    {"empty brackets", "From: Joe <>\r\n\r\n", "?"},
    {"open bracket", "From: Joe <a@b\r\n\r\n", "?"},
    {"open comment", "From: a@b (x\r\n\r\n", "?"},
    {"open comment first", "From: (x\r\n\r\n", "?"},
    {"open group", "From: G: a@b\r\n\r\n", "?"},
    {"route", "From: <@x:a@b>\r\n\r\n", "?"},
    {"open quote", "From: \"a <a@b>\r\n\r\n", "?"},
    {"NUL", std::string("From: a@b\0 <c@d>\r\n\r\n", 20), "?"},
    {"second at sign", "From: a@b@c\r\n\r\n", "?"},
};

TEST(SubmissionHeaderTest, FindsTheAuthorsAtEveryChunkSize) {
  for (const AuthorRow& row : kAuthors) {
    for (std::size_t chunk = 1; chunk <= row.message.size(); ++chunk) {
      const auto header = Read(row.message, chunk);
      EXPECT_EQ(Describe(header->from()), row.from) << row.name << " by " << chunk;
      EXPECT_EQ(Describe(header->sender()), row.sender) << row.name << " by " << chunk;
    }
  }
}

TEST(SubmissionHeaderTest, KeepsNoMoreThanItsLimit) {
  std::string many = "From: a0@b";
  for (int i = 1; i < 100; ++i) many += ", a" + std::to_string(i) + "@b";
  EXPECT_EQ(Read(many + "\r\n\r\n", 7)->from().mailboxes->size(), 100u);
  EXPECT_FALSE(Read(many + ", c@d\r\n\r\n", 7)->from().mailboxes.has_value());
  const std::string longer = "From: \"" + std::string(70000, 'x') + "\" <a@b>\r\n\r\n";
  for (const std::size_t chunk : {std::size_t{1000}, longer.size()}) {
    EXPECT_FALSE(Read(longer, chunk)->from().mailboxes.has_value());
    EXPECT_TRUE(Read(longer, chunk)->from().presence.filled);
  }
}

struct EditRow {
  const char* name;
  std::string message;
  std::string removed;
  std::string added;
};

const char kDate[] = "Date: now\r\n";
const char kFrom[] = "From: me@x\r\n";
const char kId[] = "Message-ID: <new@x>\r\n";

const EditRow kEdits[] = {
    {"complete", "Date: d\r\nFrom: a@b\r\nMessage-Id: <i>\r\nSubject:\r\n\r\n", "", ""},
    {"nothing there", "To: x\r\n\r\n", "", std::string(kDate) + kFrom + kId},
    {"no date", "From: a@b\r\nMessage-ID: <i>\r\n\r\n", "", kDate},
    {"empty ones", "Date: \r\nFrom:\r\n  \r\nMessage-ID:\r\n\r\n", "date from message-id ",
     std::string(kDate) + kFrom + kId},
    {"an empty and a full one", "Date:\r\nDate: d\r\nFrom: a@b\r\nMessage-ID: <i>\r\n\r\n", "", ""},
    {"blind copies", "Date: d\r\nFrom: a@b\r\nMessage-ID: <i>\r\nBCC: a\r\nResent-Bcc: b\r\n\r\n",
     "bcc resent-bcc ", ""},
};

TEST(SubmissionHeaderTest, CompletesWhatIsMissing) {
  Completion completion;
  completion.date = "now";
  completion.from = "me@x";
  completion.message_id = "<new@x>";
  for (const EditRow& row : kEdits) {
    for (const std::size_t chunk : {std::size_t{1}, std::size_t{5}, row.message.size()}) {
      const HeaderEdits edits = EditsFor(*Read(row.message, chunk), completion);
      std::string removed;
      for (const std::string& name : edits.removed) removed += name + " ";
      EXPECT_EQ(removed, row.removed) << row.name;
      EXPECT_EQ(edits.added, row.added) << row.name;
    }
  }
}

TEST(SubmissionHeaderTest, ABareCarriageReturnBeforeAnAddressCountsInPiecesToo) {
  const std::string message = "From: \r\n \r&a@b.example\r\n\r\n";
  for (std::size_t piece = 1; piece <= message.size(); ++piece) {
    SubmissionHeader header;
    for (std::size_t i = 0; i < message.size(); i += piece) header.Feed(message.substr(i, piece));
    header.Finish();
    EXPECT_TRUE(header.from().presence.filled);
    EXPECT_FALSE(header.from().mailboxes.has_value()) << piece;
  }
}

}  // namespace
}  // namespace posthorn::mime
