#include "lib/dsn/text.h"

#include <gtest/gtest.h>

#include <string>

namespace posthorn::dsn {
namespace {

TEST(DsnTextTest, OneLineHasOnlyPrintableAscii) {
  EXPECT_EQ(OneLine("a\r\nb\tc\x7f\xc3\xbc", 100), "a??b c??");
  EXPECT_EQ(OneLine("abcdef", 3), "abc");
  EXPECT_EQ(OneLineUtf8("\xc3\xbc\xff\xc3", 100), "\xc3\xbc??");
  EXPECT_EQ(OneLineUtf8("a\xc3\xbc", 2), "a");
  EXPECT_EQ(OneLineUtf8("\xed\xa0\x80", 100), "???");  // a surrogate
  EXPECT_EQ(OneLineUtf8("\xc2\x85", 100), "?");        // NEL, a C1 control
}

TEST(DsnTextTest, AddressFieldsAreAscii) {
  EXPECT_EQ(AddressField("a@example.net"), "rfc822; a@example.net");
  EXPECT_EQ(AddressField("a\r\nb@example.net"), "rfc822; a??b@example.net");
  EXPECT_EQ(AddressField("\xe2\x82\xac@example.net"), "utf-8; \\x{20AC}@example.net");
}

TEST(DsnTextTest, WrapsAtSpaces) {
  EXPECT_EQ(Wrap("A: ", "  ", "one  two"), "A: one two\r\n");
  EXPECT_EQ(Wrap("A: ", "  ", ""), "A: \r\n");
  const std::string long_word(100, 'x');
  EXPECT_EQ(Wrap("A: ", "  ", "one " + long_word + " two"),
            "A: one\r\n  " + long_word + "\r\n  two\r\n");
}

TEST(DsnTextTest, CutsTheHeaderSection) {
  struct Row {
    const char* name;
    std::string in;
    std::size_t limit;
    std::string out;
  };
  const Row rows[] = {
      {"whole", "A: 1\r\n b\r\nC: 2\r\n\r\nbody\r\n", 100, "A: 1\r\n b\r\nC: 2\r\n"},
      {"no blank line", "A: 1\r\nB: 2", 100, "A: 1\r\nB: 2\r\n"},
      {"only a body", "\r\nbody", 100, ""},
      {"empty", "", 100, ""},
      {"whole fields only", "A: 1\r\nB: 2\r\n 3\r\nC: 4\r\n", 14, "A: 1\r\n"},
      {"bare line ends", "A: 1\nB: 2\rC: 3\n\nbody", 100, "A: 1\r\nB: 2\r\nC: 3\r\n"},
      {"NUL", std::string("A: \0\r\n", 6), 100, "A: ?\r\n"},
      {"8 bit stays", "A: \xff\r\n", 100, "A: \xff\r\n"},
      {"long line", "A: " + std::string(2000, 'x') + "\r\n", 3000,
       "A: " + std::string(995, 'x') + "\r\n"},
  };
  for (const Row& row : rows) EXPECT_EQ(HeaderSection(row.in, row.limit), row.out) << row.name;
}

}  // namespace
}  // namespace posthorn::dsn
