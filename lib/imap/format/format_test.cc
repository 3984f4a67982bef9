#include "lib/imap/format/format.h"

#include <gtest/gtest.h>

#include "lib/base/failure.h"

namespace posthorn::imap {
namespace {

template <typename F>
std::string Out(F f) {
  std::string out;
  f(out);
  return out;
}

TEST(FormatTest, StringsAreQuotedOrLiterals) {
  const std::pair<std::string, const char*> rows[] = {
      {"plain", "\"plain\""},      {"a\"b\\c", "\"a\\\"b\\\\c\""},  {"", "\"\""},
      {"a\r\nb", "{4}\r\na\r\nb"}, {"\xc3\xa4", "{2}\r\n\xc3\xa4"},
  };
  for (const auto& [text, expected] : rows) {
    EXPECT_EQ(Out([&](std::string& out) { AppendString(text, out); }), expected);
  }
  const std::string nul("a\0", 2);
  EXPECT_EQ(Out([&](std::string& out) { AppendString(nul, out); }), "{2}\r\n" + nul);
  EXPECT_EQ(Out([&](std::string& out) { AppendString(std::string(2000, 'x'), out); }).substr(0, 8),
            "{2000}\r\n");
}

TEST(FormatTest, AStringsAreAtomsWherePossible) {
  EXPECT_EQ(Out([](std::string& out) { AppendAString("INBOX", out); }), "INBOX");
  EXPECT_EQ(Out([](std::string& out) { AppendAString("nil", out); }), "\"nil\"");
  EXPECT_EQ(Out([](std::string& out) { AppendAString("a b", out); }), "\"a b\"");
  EXPECT_EQ(Out([](std::string& out) { AppendAString("", out); }), "\"\"");
  EXPECT_EQ(Out([](std::string& out) { AppendMailbox("\xc3\xbc", false, out); }), "&APw-");
  EXPECT_EQ(Out([](std::string& out) { AppendMailbox("\xc3\xbc \"", true, out); }),
            "\"\xc3\xbc \\\"\"");
  EXPECT_EQ(Out([](std::string& out) { AppendMailbox("a&b", true, out); }), "a&b");
}

TEST(FormatTest, FailuresBecomeBadOrNoWithTheirCode) {
  const auto failure = [](Failure f) {
    return Out([&](std::string& out) { AppendFailure("t", MakeFailure(f), out); });
  };
  EXPECT_EQ(failure(Failure::kUnknownCommand), "t BAD Unknown command\r\n");
  EXPECT_EQ(failure(Failure::kNoSuchMailbox), "t NO [NONEXISTENT] No such mailbox\r\n");
  EXPECT_EQ(failure(Failure::kBadCharset),
            "t NO [BADCHARSET (US-ASCII UTF-8)] Unknown charset\r\n");
  EXPECT_EQ(Out([](std::string& out) { AppendFailure("", absl::InternalError("secret"), out); }),
            "* NO [SERVERBUG] Temporary failure, try again later\r\n");
}

TEST(FormatTest, ListWithChildInfo) {
  ListEntry entry;
  entry.name = "a b";
  entry.attributes = {"\\NonExistent"};
  entry.child_info = {"SUBSCRIBED", "SPECIAL-USE"};
  EXPECT_EQ(Out([&](std::string& out) { AppendList("LIST", entry, false, out); }),
            "* LIST (\\NonExistent) \"/\" \"a b\" (\"CHILDINFO\" (\"SUBSCRIBED\" "
            "\"SPECIAL-USE\"))\r\n");
}

TEST(FormatTest, ResponsesAreOneLine) {
  EXPECT_EQ(Out([](std::string& out) {
              AppendStatusResponse("a", Condition::kOk, "X", "one\r\ntwo", out);
            }),
            "a OK [X] one  two\r\n");
}

TEST(FormatTest, PartsWithoutContentStillFollowTheGrammar) {
  mime::Part part;
  part.kind = mime::Part::Kind::kMultipart;
  part.type = "multipart";
  part.subtype = "mixed";
  EXPECT_EQ(Out([&](std::string& out) { AppendBodyStructure(part, false, out); }),
            "((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0) \"mixed\")");
  EXPECT_EQ(Out([&](std::string& out) { AppendBodyStructure(part, true, out); }),
            "((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0 NIL NIL NIL NIL) "
            "\"mixed\" NIL NIL NIL NIL)");
  part.kind = mime::Part::Kind::kLeaf;
  part.type = "message";
  part.subtype = "rfc822";
  part.encoding = "7bit";
  EXPECT_EQ(Out([&](std::string& out) { AppendBodyStructure(part, false, out); }),
            "(\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 0 "
            "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL) "
            "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0) 0)");
}

TEST(FormatTest, ExtensionDataOfAPart) {
  mime::Part part;
  part.type = "text";
  part.subtype = "html";
  part.encoding = "base64";
  part.body_size = 7;
  part.body_lines = 1;
  part.disposition = "attachment";
  part.disposition_params = {{"filename", "a\"b"}};
  part.language = {"en", "de"};
  EXPECT_EQ(Out([&](std::string& out) { AppendBodyStructure(part, true, out); }),
            "(\"text\" \"html\" NIL NIL NIL \"base64\" 7 1 NIL "
            "(\"attachment\" (\"filename\" \"a\\\"b\")) (\"en\" \"de\") NIL)");
}

}  // namespace
}  // namespace posthorn::imap
