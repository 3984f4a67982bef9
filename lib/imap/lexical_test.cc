#include <gtest/gtest.h>

#include "lib/imap/cursor.h"
#include "lib/imap/date_time.h"
#include "lib/imap/mailbox_name.h"
#include "lib/imap/sequence_set.h"
#include "lib/imap/utf7.h"

namespace posthorn::imap {
namespace {

TEST(SequenceSetTest, ResolvesSortsAndMerges) {
  struct Row {
    const char* name;
    std::vector<SequenceRange> set;
    std::uint32_t largest;
    std::vector<SequenceRange> resolved;
  };
  const Row rows[] = {
      {"single", {{3, 3}}, 10, {{3, 3}}},
      {"star", {{kStar, kStar}}, 10, {{10, 10}}},
      {"reversed", {{4, 2}}, 10, {{2, 4}}},
      {"star beyond", {{12, kStar}}, 10, {{10, 12}}},
      {"overlap", {{5, 8}, {1, 3}, {4, 4}, {7, 9}}, 10, {{1, 9}}},
      {"gap", {{1, 1}, {3, 3}}, 10, {{1, 1}, {3, 3}}},
      {"empty mailbox", {{1, kStar}}, 0, {}},
      {"largest number",
       {{4294967295u, 4294967295u}, {1, kStar}},
       4,
       {{1, 4}, {4294967295u, 4294967295u}}},
  };
  for (const Row& row : rows) {
    EXPECT_EQ(SequenceSet{row.set}.Resolve(row.largest), row.resolved) << row.name;
  }
  EXPECT_TRUE(Contains({{1, 3}, {7, 9}}, 8));
  EXPECT_FALSE(Contains({{1, 3}, {7, 9}}, 5));
  EXPECT_EQ(FormatSequenceSet({1, 2, 3, 7, 9, 10}), "1:3,7,9:10");
  EXPECT_EQ(FormatSequenceSet({}), "");
}

TEST(ModifiedUtf7Test, IsReversibleAndStrict) {
  const std::pair<const char*, const char*> rows[] = {
      {"INBOX", "INBOX"},
      {"a&-b", "a&b"},
      {"&ZeVnLIqe-", "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e"},
      {"Entw&APw-rfe", "Entw\xc3\xbcrfe"},
      {"&2D3eAA-", "\xf0\x9f\x98\x80"},
      {"&AOQA9gD8-", "\xc3\xa4\xc3\xb6\xc3\xbc"},
  };
  for (const auto& [encoded, utf8] : rows) {
    EXPECT_EQ(DecodeModifiedUtf7(encoded), utf8);
    EXPECT_EQ(EncodeModifiedUtf7(utf8), encoded);
  }
  for (const char* bad : {"&", "&Jjo", "&Jjo!-", "\xc3\xa4", "&AGE-", "&2D0-", "&3gA-", "a\tb",
                          "&ZeU-&ZyyKng-", "&A-", "&AOQ"}) {
    EXPECT_EQ(DecodeModifiedUtf7(bad), std::nullopt) << bad;
  }
}

TEST(Utf8Test, RefusesOverlongSurrogatesAndTails) {
  EXPECT_TRUE(IsValidUtf8("a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"));
  for (const char* bad : {"\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xc3", "\x80", "\xff"}) {
    EXPECT_FALSE(IsValidUtf8(bad));
  }
}

TEST(MailboxNameTest, MatchesPatterns) {
  struct Row {
    const char* name;
    const char* pattern;
    bool matches;
  };
  const Row rows[] = {
      {"INBOX", "inbox", true},
      {"INBOX", "%", true},
      {"a/b", "%", false},
      {"a/b", "*", true},
      {"a/b", "a/%", true},
      {"a/b/c", "a/%", false},
      {"a/b/c", "a/*", true},
      {"a/b/c", "%/%/c", true},
      {"abc", "a*c", true},
      {"abc", "a%d", false},
      {"INBOX/x", "InBox/%", true},
      {"Inboxes", "inboxes", false},
      {"", "", true},
      {"a", "", false},
      {"aaaa", "*a*a*a*a*a", false},
  };
  for (const Row& row : rows) {
    EXPECT_EQ(MatchesPattern(row.name, row.pattern), row.matches) << row.name << " " << row.pattern;
  }
}

TEST(MailboxNameTest, NormalisesInboxOnly) {
  EXPECT_EQ(*DecodeMailbox("iNbOx"), "INBOX");
  EXPECT_EQ(*DecodeMailbox("inbox/Sub"), "INBOX/Sub");
  EXPECT_EQ(*DecodeMailbox("inboxes"), "inboxes");
  EXPECT_FALSE(DecodeMailbox("&").ok());
  EXPECT_EQ(*DecodeMailbox("inBox/&\xc3\xbc", true), "INBOX/&\xc3\xbc");
  EXPECT_FALSE(DecodeMailbox("\xc3", true).ok());
}

TEST(MailboxNameTest, ValidatesNewNames) {
  EXPECT_TRUE(ValidateNewMailbox("a/b c", 100).ok());
  for (const char* bad : {"", "/", "a/", "/a", "a//b", "a\nb", "a*", "%", "abcdefghijk"}) {
    EXPECT_FALSE(ValidateNewMailbox(bad, 10).ok()) << bad;
  }
}

TEST(DateTimeTest, ParsesAndFormats) {
  EXPECT_EQ(ParseDate("1-Jan-1970"), 0);
  EXPECT_EQ(ParseDate("01-feb-1970"), 31);
  for (const char* bad : {"", "32-Jan-1970", "31-Feb-2020", "1-Foo-2020", "1-Jan-20", "1 Jan 2020",
                          "1-Jan-2020x", "0-Jan-2020"}) {
    EXPECT_EQ(ParseDate(bad), std::nullopt) << bad;
  }
  const std::optional<absl::Time> time = ParseDateTime("17-Jul-1996 02:44:25 -0700");
  ASSERT_TRUE(time.has_value());
  EXPECT_EQ(FormatDateTime(*time), "17-Jul-1996 09:44:25 +0000");
  EXPECT_EQ(FormatDateTime(*ParseDateTime(" 7-Jul-1996 02:44:25 +0000")),
            "07-Jul-1996 02:44:25 +0000");
  EXPECT_EQ(DayOf(*ParseDateTime("01-Jan-1970 23:00:00 -0200")), 1);
  for (const char* bad : {"", "17-Jul-1996", "17-Jul-1996 25:00:00 +0000", "17-Jul-1996 02:44:25",
                          "17-Jul-1996 02:44:25 0700", "17-Jul-1996 02:44:25 +07000"}) {
    EXPECT_EQ(ParseDateTime(bad), std::nullopt) << bad;
  }
}

TEST(CursorTest, ReadsStrings) {
  const std::string text = "atom \"quo\\\"ted\" {5}\r\na b\"c NIL (";
  Cursor in(text);
  EXPECT_EQ(*in.AString(), "atom");
  EXPECT_TRUE(in.ConsumeSpace());
  EXPECT_EQ(*in.AString(), "quo\"ted");
  EXPECT_TRUE(in.ConsumeSpace());
  EXPECT_EQ(*in.AString(), "a b\"c");
  EXPECT_TRUE(in.ConsumeSpace());
  EXPECT_EQ(*in.NString(), std::nullopt);
  EXPECT_TRUE(in.ConsumeSpace());
  EXPECT_FALSE(in.AString().ok());
  for (const std::string& bad :
       {std::string("\"open"), std::string("\"a\\n\""), std::string("{5}\r\nabc"),
        std::string("{x}\r\n"), std::string("{1}\r\n\0", 6), std::string("\"\\")}) {
    EXPECT_FALSE(Cursor(bad).String().ok()) << bad;
  }
}

TEST(CursorTest, NumbersAreBounded) {
  EXPECT_EQ(Cursor("4294967295").Number(), 4294967295u);
  EXPECT_EQ(Cursor("4294967296").Number(), std::nullopt);
  EXPECT_EQ(Cursor("18446744073709551616").Number64(), std::nullopt);
  EXPECT_EQ(Cursor("x").Number(), std::nullopt);
}

}  // namespace
}  // namespace posthorn::imap
