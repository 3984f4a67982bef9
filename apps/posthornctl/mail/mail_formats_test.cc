// Maildir, mbox and what is read of IMAP responses.

#include <gtest/gtest.h>

#include <string>

#include "apps/posthornctl/input.h"
#include "apps/posthornctl/mail/imap_wire.h"
#include "apps/posthornctl/mail/maildir.h"
#include "apps/posthornctl/mail/mbox.h"

namespace posthorn::ctl {
namespace {

TEST(MaildirTest, FolderNamesGoThereAndBack) {
  const std::pair<const char*, const char*> names[] = {
      {"INBOX", ""},
      {"Sent", ".Sent"},
      {"a/b/c", ".a.b.c"},
      {"a.b/c", ".a&AC4-b.c"},
      {"Entw\xc3\xbcrfe", ".Entw&APw-rfe"},
      {"R&D", ".R&-D"},
      {"INBOX/sub", ".INBOX.sub"},
  };
  for (const auto& [mailbox, folder] : names) {
    EXPECT_EQ(FolderOf(mailbox), folder);
    EXPECT_EQ(MailboxOf(std::string_view(folder)), mailbox);
  }
  for (const char* folder : {".", "..", ".a..b", "a", ".&x"}) {
    EXPECT_FALSE(MailboxOf(std::string_view(folder)).has_value()) << folder;
  }
}

TEST(MaildirTest, FileNamesSayFlagsAndSizes) {
  const std::vector<std::string> keywords = {"$Work", "", "blue"};
  FileName name = ParseFileName("1700000000.M1P2.host,S=12,W=14:2,FPRSTac", keywords);
  EXPECT_EQ(name.base, "1700000000.M1P2.host,S=12,W=14");
  EXPECT_EQ(name.flags, kFlagged | kAnswered | kSeen | kDeleted);
  EXPECT_EQ(name.keywords, (std::vector<std::string>{"$Forwarded", "$Work", "blue"}));
  EXPECT_EQ(name.size, 12u);
  EXPECT_EQ(name.virtual_size, 14u);
  name = ParseFileName("1700000000.plain", keywords);
  EXPECT_EQ(name.base, "1700000000.plain");
  EXPECT_EQ(name.flags, 0u);
  EXPECT_FALSE(name.size.has_value());

  std::vector<std::string> letters;
  std::vector<std::string> left_over;
  EXPECT_EQ(FlagLetters(kSeen | kDraft, {"x", "$Forwarded", "y"}, letters, left_over), "DPSab");
  EXPECT_EQ(letters, (std::vector<std::string>{"x", "y"}));
  for (int i = 0; i < 30; ++i) {
    FlagLetters(0, {"k" + std::to_string(i)}, letters, left_over);
  }
  EXPECT_EQ(letters.size(), 26u);
  EXPECT_EQ(left_over.size(), 6u);
  EXPECT_EQ(ParseKeywords(FormatKeywords(letters)), letters);
}

TEST(MaildirTest, OrderIsByNumberThenName) {
  EXPECT_TRUE(ComesBefore("9.a", "10.a"));
  EXPECT_TRUE(ComesBefore("0009.a", "10.a"));
  EXPECT_TRUE(ComesBefore("5.a", "5.b"));
  EXPECT_FALSE(ComesBefore("5.b", "5.a"));
}

TEST(MaildirTest, BareLfBecomesCrlfInAnyPieces) {
  const std::string text = "a\nb\r\nc\rd\n\n";
  for (std::size_t piece = 1; piece <= text.size(); ++piece) {
    CrlfMaker maker;
    std::string out;
    for (std::size_t at = 0; at < text.size(); at += piece)
      out += maker.Feed(text.substr(at, piece));
    EXPECT_EQ(out, "a\r\nb\r\nc\rd\r\n\r\n");
  }
}

// What an export writes of `message`, without the From line.
std::string Written(const std::string& message, const MboxMeta& given, std::size_t piece) {
  LineEnds ends;
  MboxMeta meta = given;
  meta.octets = message.size();
  std::string out;
  for (std::size_t at = 0; at < message.size(); at += piece) ends.Feed(message.substr(at, piece));
  meta.crlf = ends.AllCrlf();
  out = MboxHead(meta);
  MboxQuoter quoter(meta.crlf);
  for (std::size_t at = 0; at < message.size(); at += piece) {
    out += quoter.Feed(message.substr(at, piece));
  }
  return out + quoter.Finish();
}

TEST(MboxTest, EveryMessageComesBackAsItWas) {
  const std::string messages[] = {
      "Subject: a\r\n\r\ntext\r\n",
      "Subject: a\r\n\r\nFrom me\r\n>From you\r\n>>>>From\r\nFrom\r\n>Fro",
      "Subject: a\r\n\r\nno end of line",
      "Subject: a\r\n\r\nempty lines at the end\r\n\r\n\r\n",
      "bare\nLF and\rCR\r\n",
      "",
      "\r\n",
      "\n",
      "From \r\n",
      "X-Posthorn: lines=9 eol=raw octets=1\r\nStatus: RO\r\n\r\nas if it were ours\r\n",
      "Status: R\r\n\r\nits own\r\n",
      "Subject: long\r\n" + std::string(10000, 'x') + "\r\n",
      std::string(20000, 'y'),
      "Subject: nul\r\n\r\n" + std::string(3, '\0') + "\r\n",
  };
  MboxMeta meta;
  meta.flags = kAnswered | kFlagged;
  meta.keywords = {"$Work", "blue"};
  meta.received_micros = 1700000000123456;
  for (const std::string& message : messages) {
    for (const std::size_t piece :
         {std::size_t{1}, std::size_t{2}, std::size_t{7}, std::size_t{4096}}) {
      std::string file = Written(message, meta, piece);
      const std::size_t line = file.find('\n') + 1;
      EXPECT_EQ(TimeOfFromLine(file.substr(0, line - 1)), 1700000000);
      // Nothing in it looks like the start of another message.
      EXPECT_EQ(file.find("\nFrom "), std::string::npos);
      EXPECT_EQ(file.substr(file.size() - 2), "\n\n");
      file.erase(0, line);
      MboxReader reader;
      std::string read;
      for (std::size_t at = 0; at < file.size(); at += piece)
        read += reader.Feed(file.substr(at, piece));
      read += reader.Finish();
      EXPECT_EQ(read, message) << "in pieces of " << piece;
      EXPECT_EQ(reader.meta().flags, meta.flags);
      EXPECT_EQ(reader.meta().keywords, meta.keywords);
      EXPECT_EQ(reader.meta().received_micros, meta.received_micros);
    }
  }
}

TEST(MboxTest, OthersFilesGetCrlfAndKeepTheirHeaders) {
  const std::string file =
      "Subject: a\nStatus: RO\nX-Status: AF\nX-Keywords: one two\n\ntext\n>From x\n>>From "
      "y\n\nend\n\n";
  for (std::size_t piece = 1; piece < 20; ++piece) {
    MboxReader reader;
    std::string read;
    for (std::size_t at = 0; at < file.size(); at += piece)
      read += reader.Feed(file.substr(at, piece));
    read += reader.Finish();
    EXPECT_EQ(
        read,
        "Subject: a\r\nStatus: RO\r\nX-Status: AF\r\nX-Keywords: one two\r\n\r\ntext\r\nFrom x\r\n"
        ">From y\r\n\r\nend\r\n");
    EXPECT_EQ(reader.meta().flags, kSeen | kAnswered | kFlagged);
    EXPECT_EQ(reader.meta().keywords, (std::vector<std::string>{"one", "two"}));
    EXPECT_EQ(reader.meta().received_micros, 0);
  }
}

TEST(MboxTest, FromLines) {
  EXPECT_EQ(TimeOfFromLine("From a@b.c Tue Nov 14 22:13:20 2023"), 1700000000);
  EXPECT_EQ(TimeOfFromLine("From MAILER-DAEMON  Fri Sep  8 01:02:03 2023"), 1694134923);
  EXPECT_EQ(TimeOfFromLine("From a Tue Nov 14 23:13:20 2023 +0100"), 1700000000);
  EXPECT_FALSE(TimeOfFromLine("From nowhere").has_value());
  EXPECT_FALSE(IsFromLine(">From x"));
}

TEST(MboxTest, PathsGoThereAndBack) {
  for (const char* name : {"INBOX", "a/b", ".hidden/..", "50%", "a\tb", "Entw\xc3\xbcrfe"}) {
    const std::string path = MboxPathOf(name);
    EXPECT_EQ(MailboxOfMboxPath(path), name);
    EXPECT_EQ(path.find("/."), std::string::npos);
    EXPECT_NE(path.front(), '.');
  }
}

TEST(ImapWireTest, Lists) {
  ImapResponse response;
  response.text = "* LIST (\\HasNoChildren \\Sent) \".\" INBOX.Sent.a&APw-";
  std::optional<ImapList> list = ParseList(response, "LIST");
  ASSERT_TRUE(list.has_value());
  EXPECT_TRUE(list->selectable);
  EXPECT_EQ(MailboxOf(*list), "INBOX/Sent/a\xc3\xbc");
  response.text = "* list (\\noselect) NIL \"a \\\"b\\\"\"";
  list = ParseList(response, "LIST");
  ASSERT_TRUE(list.has_value());
  EXPECT_FALSE(list->selectable);
  EXPECT_EQ(list->name, "a \"b\"");
  response.text = std::string("* LIST () \"/\" ") + ImapResponse::kLiteral;
  response.literals = {"in a literal"};
  EXPECT_EQ(ParseList(response, "LIST")->name, "in a literal");
  response.text = "* LSUB () \"/\" x";
  EXPECT_FALSE(ParseList(response, "LIST").has_value());
  for (const char* bad : {"* LIST", "* LIST x", "* OK LIST", "* LIST (( "}) {
    response.text = bad;
    (void)ParseList(response, "LIST");
  }
}

TEST(ImapWireTest, Fetches) {
  ImapResponse response;
  response.text = std::string(
                      "* 12 FETCH (FLAGS (\\Seen \\Recent $Work) UID 7 X-OTHER (a (b)) "
                      "INTERNALDATE \"14-Nov-2023 23:13:20 +0100\" BODY[] ") +
                  ImapResponse::kBody + ")";
  std::optional<ImapFetch> fetch = ParseFetch(response);
  ASSERT_TRUE(fetch.has_value());
  EXPECT_EQ(fetch->uid, 7u);
  EXPECT_EQ(fetch->flags, kSeen);
  EXPECT_EQ(fetch->keywords, (std::vector<std::string>{"$Work"}));
  EXPECT_EQ(fetch->received_micros, 1700000000000000);
  EXPECT_TRUE(fetch->has_body);
  EXPECT_FALSE(fetch->body.has_value());
  response.text = "* 1 FETCH (UID 3 BODY[] \"x\\\\y\" INTERNALDATE \" 1-Jan-2020 00:00:00 +0000\")";
  fetch = ParseFetch(response);
  ASSERT_TRUE(fetch.has_value());
  EXPECT_EQ(fetch->body, "x\\y");
  EXPECT_EQ(fetch->received_micros, 1577836800000000);
  response.text = "* 1 FETCH (UID 3 BODY[] NIL)";
  EXPECT_FALSE(ParseFetch(response)->has_body);
  for (const char* bad : {"* 1 EXISTS", "* OK", "* 1 FETCH", "* 1 FETCH (", "* 1 FETCH (UID x)",
                          "* 1 FETCH (FLAGS (\\Seen", "* 1 FETCH (X ((", "* 1 FETCH (() "}) {
    response.text = bad;
    fetch = ParseFetch(response);
    EXPECT_TRUE(!fetch.has_value() || fetch->uid == 0) << bad;
  }
}

TEST(ImapWireTest, SmallThings) {
  std::string line = "* 1 FETCH (BODY[] {120}";
  EXPECT_EQ(TakeLiteral(line), 120u);
  EXPECT_EQ(line, "* 1 FETCH (BODY[] ");
  EXPECT_TRUE(ExpectsBody(line));
  line = "x {5+}";
  EXPECT_EQ(TakeLiteral(line), 5u);
  for (std::string other : {"x {}", "x {a}", "{5} ", ""})
    EXPECT_FALSE(TakeLiteral(other).has_value());
  EXPECT_EQ(ParseSearch("* SEARCH 1 2 30"), (std::vector<std::uint32_t>{1, 2, 30}));
  EXPECT_EQ(ParseSearch("* SEARCH"), std::vector<std::uint32_t>());
  EXPECT_FALSE(ParseSearch("* LIST").has_value());
  EXPECT_EQ(ParseUidValidity("* OK [UIDVALIDITY 55] ok"), 55u);
  EXPECT_FALSE(ParseUidValidity("* OK [UIDNEXT 55]").has_value());
  EXPECT_EQ(Quoted("a\"b\\"), "\"a\\\"b\\\\\"");
  EXPECT_EQ(SetOf({1, 2, 3, 7, 9, 10}), "1:3,7,9:10");
}

TEST(TimeTest, IsADateOrHowLongAgo) {
  const absl::Time now = absl::FromUnixSeconds(1700000000);
  EXPECT_EQ(*ParseTime("2023-11-14", now), absl::FromUnixSeconds(1699920000));
  EXPECT_EQ(*ParseTime("2023-11-14 22:13", now), absl::FromUnixSeconds(1699999980));
  EXPECT_EQ(*ParseTime("2023-11-14T22:13:20Z", now), now);
  EXPECT_EQ(*ParseTime("2h", now), now - absl::Hours(2));
  EXPECT_EQ(*ParseTime("7d", now), now - absl::Hours(168));
  for (const char* bad : {"", "x", "-3h", "3y", "2023-13-01"}) {
    EXPECT_FALSE(ParseTime(bad, now).ok()) << bad;
  }
}

}  // namespace
}  // namespace posthorn::ctl
