#include "lib/smtp/address.h"

#include <string>

#include "gtest/gtest.h"
#include "lib/base/failure.h"

namespace posthorn::smtp {
namespace {

// ok: what ToString gives; "ERR": refused.
struct Row {
  const char* name;
  std::string input;
  std::string lenient;
  std::string strict;
  std::string rest = "";
};

TEST(AddressTest, ReadsForwardPaths) {
  const Row rows[] = {
      {"plain", "<a@b.example>", "a@b.example", "a@b.example"},
      {"no brackets", "a@b.example", "a@b.example", "ERR"},
      {"no brackets, parameter", "a@b.example SIZE=1", "a@b.example", "ERR", " SIZE=1"},
      {"parameter", "<a@b.example> SIZE=1", "a@b.example", "a@b.example", " SIZE=1"},
      {"junk after", "<a@b.example>x", "ERR", "ERR"},
      {"postmaster", "<postmaster>", "postmaster", "postmaster"},
      {"Postmaster bare", "PostMaster", "PostMaster", "ERR"},
      {"null", "<>", "ERR", "ERR"},
      {"no domain", "<alice>", "ERR", "ERR"},
      {"empty domain", "<alice@>", "ERR", "ERR"},
      {"empty local", "<@b.example>", "ERR", "ERR"},
      {"dots", "<a.b.c@b.example>", "a.b.c@b.example", "a.b.c@b.example"},
      {"double dot", "<a..b@b.example>", "\"a..b\"@b.example", "ERR"},
      {"trailing dot", "<a.@b.example>", "\"a.\"@b.example", "ERR"},
      {"atext", "<!#$%&'*+-/=?^_`{|}~@b.example>", "!#$%&'*+-/=?^_`{|}~@b.example",
       "!#$%&'*+-/=?^_`{|}~@b.example"},
      {"quoted", "<\"a b\"@b.example>", "\"a b\"@b.example", "\"a b\"@b.example"},
      {"quoted needlessly", "<\"alice\"@b.example>", "alice@b.example", "alice@b.example"},
      {"quoted pair", R"(<"a\"\\b"@b.example>)", R"("a\"\\b"@b.example)",
       R"("a\"\\b"@b.example)"},
      {"quoted at", "<\"u@remote.example\"@local.example>", "\"u@remote.example\"@local.example",
       "\"u@remote.example\"@local.example"},
      {"quoted bracket", "<\"a>b\"@b.example>", "\"a>b\"@b.example", "\"a>b\"@b.example"},
      {"unterminated quote", "<\"ab@b.example>", "ERR", "ERR"},
      {"quote ends in backslash", "<\"ab\\", "ERR", "ERR"},
      {"empty quotes", "<\"\"@b.example>", "ERR", "ERR"},
      {"percent", "<u%remote@local.example>", "u%remote@local.example", "u%remote@local.example"},
      {"bang", "<remote!u@local.example>", "remote!u@local.example", "remote!u@local.example"},
      {"source route", "<@local.example:u@remote.example>", "u@remote.example",
       "u@remote.example"},
      {"long source route", "<@a.example,@b.example:u@c.example>", "u@c.example", "u@c.example"},
      {"broken source route", "<@a.example u@c.example>", "ERR", "ERR"},
      {"source route without end", "<@a.example,", "ERR", "ERR"},
      {"literal", "<a@[192.0.2.1]>", "a@[192.0.2.1]", "a@[192.0.2.1]"},
      {"literal 6", "<a@[IPv6:2001:db8::1]>", "a@[IPv6:2001:db8::1]", "a@[IPv6:2001:db8::1]"},
      {"bad literal", "<a@[300.0.2.1]>", "ERR", "ERR"},
      {"open literal", "<a@[192.0.2.1>", "ERR", "ERR"},
      {"two ats", "<a@b@c.example>", "ERR", "ERR"},
      {"label too long", "<a@" + std::string(64, 'x') + ".example>", "ERR", "ERR"},
      {"hyphen first", "<a@-b.example>", "ERR", "ERR"},
      {"hyphen last", "<a@b-.example>", "ERR", "ERR"},
      {"empty label", "<a@b..example>", "ERR", "ERR"},
      {"underscore", "<a@_b.example>", "a@_b.example", "a@_b.example"},
      {"long local part", "<" + std::string(65, 'x') + "@b.example>",
       std::string(65, 'x') + "@b.example", "ERR"},
      {"very long", "<" + std::string(600, 'x') + "@b.example>", "ERR", "ERR"},
      {"UTF-8 local part", "<\xc3\xa4@b.example>", "\xc3\xa4@b.example", "\xc3\xa4@b.example"},
      {"UTF-8 quoted", "<\"\xc3\xa4 b\"@b.example>", "\"\xc3\xa4 b\"@b.example",
       "\"\xc3\xa4 b\"@b.example"},
      {"U-label", "<a@b\xc3\xbc" "cher.example>", "a@b\xc3\xbc" "cher.example",
       "a@b\xc3\xbc" "cher.example"},
      {"no UTF-8", "<\xe4@b.example>", "ERR", "ERR"},
      {"no UTF-8 in the domain", "<a@\xe4.example>", "ERR", "ERR"},
      {"no letter in the domain", "<a@\xe2\x80\x8b.example>", "ERR", "ERR"},
      {"comment before", "<(c)a@b.example>", "a@b.example", "ERR"},
      {"comments everywhere", "<(c) a (\\)(x) y) @ (z) b.example (w)>", "a@b.example", "ERR"},
      {"comments without brackets", "(c)a(d)@(e)b.example(f) SIZE=1", "a@b.example", "ERR",
       " SIZE=1"},
      {"spaces without brackets", "a @b.example", "ERR", "ERR"},
      {"open comment", "<(c a@b.example>", "ERR", "ERR"},
      {"comments too deep", "<((((((((((x))))))))))a@b.example>", "ERR", "ERR"},
      {"words", "<a.\"b c\".d@b.example>", "\"a.b c.d\"@b.example", "ERR"},
      {"words, quoted first", "<\"a\".b@b.example>", "a.b@b.example", "ERR"},
      {"quotes side by side", "<\"a\"\"b\"@b.example>", "ERR", "ERR"},
      {"quote within an atom", "<a\"b\"@b.example>", "ERR", "ERR"},
      {"control", std::string("<\"a\0b\"@b.example>", 17), "ERR", "ERR"},
      {"space inside", "<a b@c.example>", "ERR", "ERR"},
      {"unclosed", "<a@b.example", "ERR", "ERR"},
      {"empty", "", "ERR", "ERR"},
  };
  for (const Row& row : rows) {
    for (const PathSyntax syntax : {PathSyntax::kLenient, PathSyntax::kStrict}) {
      const std::string& expected = syntax == PathSyntax::kLenient ? row.lenient : row.strict;
      std::string_view input = row.input;
      const absl::StatusOr<Mailbox> path = ConsumeForwardPath(input, syntax);
      if (expected == "ERR") {
        ASSERT_FALSE(path.ok()) << row.name << ": " << path->ToString();
        EXPECT_EQ(FailureOf(path.status()), Failure::kBadAddress) << row.name;
      } else {
        ASSERT_TRUE(path.ok()) << row.name << ": " << path.status();
        EXPECT_EQ(path->ToString(), expected) << row.name;
        EXPECT_EQ(input, row.rest) << row.name;
      }
    }
  }
}

TEST(AddressTest, ReadsTheNullReversePath) {
  std::string_view input = "<> SIZE=5";
  const absl::StatusOr<Mailbox> path = ConsumeReversePath(input, PathSyntax::kStrict);
  ASSERT_TRUE(path.ok());
  EXPECT_TRUE(path->IsNull());
  EXPECT_EQ(path->ToString(), "");
  EXPECT_EQ(input, " SIZE=5");
}

TEST(AddressTest, SaysWhatNeedsMoreThanAscii) {
  EXPECT_FALSE(Mailbox("a", "b.example").IsInternational());
  EXPECT_TRUE(Mailbox("\xc3\xa4", "b.example").IsInternational());
  EXPECT_TRUE(Mailbox("a", "b\xc3\xbc.example").IsInternational());
  EXPECT_TRUE(Mailbox("a", "[192.0.2.1]").HasLiteral());
  EXPECT_FALSE(Mailbox("[a", "b.example").HasLiteral());
}

TEST(AddressTest, ReversePathNeedsADomain) {
  std::string_view input = "<postmaster>";
  EXPECT_FALSE(ConsumeReversePath(input, PathSyntax::kLenient).ok());
}

TEST(AddressTest, ADomainMayBeGivenToNamesWithoutOne) {
  for (const char* text : {"<bob>", "bob", "<bob@d.example>"}) {
    std::string_view input = text;
    EXPECT_EQ(ConsumeForwardPath(input, PathSyntax::kLenient, "d.example").value(),
              Mailbox("bob", "d.example"))
        << text;
    EXPECT_EQ(input, "");
  }
  std::string_view input = "<\"x y\"> SIZE=1";
  EXPECT_EQ(ConsumeReversePath(input, PathSyntax::kLenient, "d.example").value(),
            Mailbox("x y", "d.example"));
  EXPECT_EQ(input, " SIZE=1");
  input = "<>";
  EXPECT_TRUE(ConsumeReversePath(input, PathSyntax::kLenient, "d.example").value().IsNull());
  for (const char* text : {"<bob x>", "<bob", "<@a>", "<a b@c.example>"}) {
    input = text;
    EXPECT_FALSE(ConsumeForwardPath(input, PathSyntax::kLenient, "d.example").ok()) << text;
  }
}

TEST(AddressTest, ParsesWholeMailboxes) {
  EXPECT_EQ(ParseMailbox("a@b.example").value(), Mailbox("a", "b.example"));
  for (const char* bad : {"", "<a@b.example>", "a@b.example ", "a", "a@b.example,c@d.example"}) {
    EXPECT_FALSE(ParseMailbox(bad).ok()) << bad;
  }
}

// What is written is read back as the same mailbox.
TEST(AddressTest, RoundTrips) {
  for (int c = 32; c < 127; ++c) {
    const Mailbox mailbox(std::string("a") + static_cast<char>(c), "b.example");
    const absl::StatusOr<Mailbox> again = ParseMailbox(mailbox.ToString());
    ASSERT_TRUE(again.ok()) << mailbox.ToString();
    EXPECT_EQ(*again, mailbox);
  }
}

}  // namespace
}  // namespace posthorn::smtp
