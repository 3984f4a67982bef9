#include "lib/smtp/international.h"

#include "gtest/gtest.h"

namespace posthorn::smtp {
namespace {

TEST(InternationalTest, KnowsUtf8) {
  for (const char* good : {"", "a", "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xed\x9f\xbf",
                           "\xf4\x8f\xbf\xbf"}) {
    EXPECT_TRUE(IsUtf8(good)) << good;
  }
  for (const char* bad : {"\x80", "\xc3", "\xc0\x80", "\xc1\xbf", "\xe0\x80\x80", "\xe2\x82",
                          "\xed\xa0\x80", "\xf0\x80\x80\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80",
                          "\xff", "a\xc3z"}) {
    EXPECT_FALSE(IsUtf8(bad)) << bad;
  }
  EXPECT_TRUE(IsAscii("abc\x7f"));
  EXPECT_FALSE(IsAscii("abc\x80"));
}

TEST(InternationalTest, BothSpellingsOfADomainAreOne) {
  EXPECT_EQ(DomainToAscii("b\xc3\xbc" "cher.example").value(), "xn--bcher-kva.example");
  EXPECT_EQ(DomainToAscii("B\xc3\x9c" "CHER.Example").value(), "xn--bcher-kva.example");
  // u and a combining diaeresis: the same letter, decomposed.
  EXPECT_EQ(DomainToAscii("bu\xcc\x88" "cher.example").value(), "xn--bcher-kva.example");
  EXPECT_EQ(DomainToAscii("XN--BCHER-KVA.example").value(), "xn--bcher-kva.example");
  EXPECT_EQ(DomainToUnicode("xn--bcher-kva.Example"), "b\xc3\xbc" "cher.example");
}

TEST(InternationalTest, KeepsPlainNames) {
  EXPECT_EQ(DomainToAscii("A_b.Example").value(), "a_b.example");
  EXPECT_EQ(DomainToAscii("").value(), "");
  EXPECT_EQ(DomainToUnicode("A.Example"), "a.example");
  EXPECT_EQ(DomainToUnicode("xn--\xff"), "xn--\xff");
}

TEST(InternationalTest, RefusesWhatIsNoName) {
  for (const char* bad : {"\xc3", "\xe2\x80\x8b.example", "a\xe2\x80\xaa.example",
                          "\xc3\xa4\xff.example"}) {
    EXPECT_FALSE(DomainToAscii(bad).ok()) << bad;
  }
  EXPECT_FALSE(DomainToAscii(std::string(300, 'x') + "\xc3\xa4.example").ok());
}

}  // namespace
}  // namespace posthorn::smtp
