#include <gtest/gtest.h>

#include <string>

#include "lib/mime/envelope.h"

namespace posthorn::mime {
namespace {

std::string Quoted(const std::optional<std::string>& text) { return text ? "'" + *text + "'" : "-"; }

std::string Describe(const AddressList& list) {
  std::string out;
  for (const Address& address : list) {
    out += "(" + Quoted(address.name) + " " + Quoted(address.route) + " " +
           Quoted(address.mailbox) + " " + Quoted(address.host) + ")";
  }
  return out;
}

struct Row {
  const char* input;
  const char* list;
};

// What Dovecot 2.3.19 answers in ENVELOPE.
constexpr Row kRows[] = {
    {"", ""},
    {" ", ""},
    {"(x", ""},
    {"a@b", "(- - 'a' 'b')"},
    {"<a@b>", "(- - 'a' 'b')"},
    {"Joe <a@b>", "('Joe' - 'a' 'b')"},
    {"Joe<a@b>", "('Joe' - 'a' 'b')"},
    {"\"J. D\" <a@b>", "('J. D' - 'a' 'b')"},
    {"\"a\\\"b\" <x@y>", "('a\"b' - 'x' 'y')"},
    {"Joe Q. Public <a@b>", "('Joe Q. Public' - 'a' 'b')"},
    {"Joe  Two   <a@b>", "('Joe Two' - 'a' 'b')"},
    {"\"Joe\" Doe <a@b>", "('Joe Doe' - 'a' 'b')"},
    {"Joe (com) Doe <a@b>", "('Joe Doe' - 'a' 'b')"},
    {"=?utf-8?q?J=C3=B6?= <a@b>", "('=?utf-8?q?J=C3=B6?=' - 'a' 'b')"},
    {"J\xc3\xb6 <a@b>", "('J\xc3\xb6' - 'a' 'b')"},
    {"a@b (Comment (nested) x)", "('Comment (nested) x' - 'a' 'b')"},
    {"(c) a@b", "(- - 'a' 'b')"},
    {"a@b (c1) (c2)", "('c2' - 'a' 'b')"},
    {"X <a@b> (c1)", "('X' - 'a' 'b')"},
    {"a @ b . c", "(- - 'a' 'b.c')"},
    {"\"a b\"@c", "(- - 'a b' 'c')"},
    {"a..b@c", "(- - 'a..b' 'c')"},
    {"a@[1.2.3.4]", "(- - 'a' '[1.2.3.4]')"},
    {"a@b, c@d", "(- - 'a' 'b')(- - 'c' 'd')"},
    {"a@b,,c@d", "(- - 'a' 'b')(- - 'MISSING_MAILBOX' 'MISSING_DOMAIN')(- - 'c' 'd')"},
    {"a@b,", "(- - 'a' 'b')"},
    {"a@b c@d", "(- - 'a' 'b')"},
    {"Group: a@b, c@d;", "(- - 'Group' -)(- - 'a' 'b')(- - 'c' 'd')(- - - -)"},
    {"Group: a@b", "(- - 'Group' -)(- - 'a' 'b')(- - - -)"},
    {"undisclosed-recipients:;", "(- - 'undisclosed-recipients' -)(- - - -)"},
    {"g: a@b; , z@w", "(- - 'g' -)(- - 'a' 'b')(- - - -)(- - 'z' 'w')"},
    {"G:a@b,;",
     "(- - 'G' -)(- - 'a' 'b')(- - 'MISSING_MAILBOX' 'MISSING_DOMAIN')(- - - -)"},
    {": a@b", "(- - '' -)(- - 'a' 'b')(- - - -)"},
    {"A: B: c@d;, e@f", "(- - 'A' -)(- - 'B' 'MISSING_DOMAIN')(- - - -)"},
    {"<@r1,@r2:a@b>", "(- '@r1,@r2' 'a' 'b')"},
    {"<@a , @b : c@d>", "(- '@a,@b' 'c' 'd')"},
    {"<@a c@d>", "(- 'INVALID_ROUTE' 'c' 'd')"},
    {"<@b>", "(- 'INVALID_ROUTE' 'MISSING_MAILBOX' 'MISSING_DOMAIN')"},
    {"foo", "(- - 'foo' 'MISSING_DOMAIN')"},
    {"foo bar", "('foo bar' - 'MISSING_MAILBOX' 'MISSING_DOMAIN')"},
    {"\"foo\"", "('foo' - 'MISSING_MAILBOX' 'MISSING_DOMAIN')"},
    {"foo (c)", "('c' - 'foo' 'MISSING_DOMAIN')"},
    {"foo bar, x@y", "('foo bar' - 'MISSING_MAILBOX' 'MISSING_DOMAIN')(- - 'x' 'y')"},
    {"<>", "(- - 'MISSING_MAILBOX' 'MISSING_DOMAIN')"},
    {"Joe <>", "('Joe' - 'MISSING_MAILBOX' 'MISSING_DOMAIN')"},
    {"Joe <a>", "('Joe' - 'a' 'MISSING_DOMAIN')"},
    {"<a@>", "(- - 'a' 'SYNTAX_ERROR')"},
    {"Joe <a@b", "('Joe' - 'a' 'SYNTAX_ERROR')"},
    {"<a b@c>", "(- - 'a' 'SYNTAX_ERROR')"},
    {"<a,b@c>", "(- - 'a' 'SYNTAX_ERROR')(- - 'b' 'c')"},
    {"<<a@b>>", "(- - 'MISSING_MAILBOX' 'SYNTAX_ERROR')"},
    {"\"Joe <a@b>", "(- - 'MISSING_MAILBOX' 'MISSING_DOMAIN')"},
    {"@host", "(- - 'MISSING_MAILBOX' 'host')"},
    {"a@b., c@d", "(- - 'a' 'MISSING_DOMAIN')(- - 'c' 'd')"},
    {"Joe <@a,@b>", "('Joe' 'INVALID_ROUTE' 'MISSING_MAILBOX' 'MISSING_DOMAIN')"},
    {"=?x?q?a,b?= <a@b>", "(- - '=?x?q?a' 'MISSING_DOMAIN')('b?=' - 'a' 'b')"},
};

TEST(AddressListTest, AnswersAsDovecot) {
  for (const Row& row : kRows) {
    EXPECT_EQ(Describe(ParseAddressList(row.input)), row.list) << row.input;
  }
}

TEST(AddressListTest, StopsAtTheLimit) {
  std::string many = "a@b";
  for (int i = 0; i < 100; ++i) many += ", a@b";
  EXPECT_EQ(ParseAddressList(many, 7).size(), 7u);
}

TEST(AddressListTest, TakesDeepAndUnfinishedInput) {
  ParseAddressList(std::string(100000, '('));
  ParseAddressList(std::string(100000, '<'));
  ParseAddressList(std::string(100000, '"'));
  EXPECT_LE(ParseAddressList(std::string(100000, ',')).size(), 10000u);
}

}  // namespace
}  // namespace posthorn::mime
