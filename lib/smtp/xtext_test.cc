#include "lib/smtp/xtext.h"

#include "gtest/gtest.h"

namespace posthorn::smtp {
namespace {

TEST(XtextTest, EveryOctetSurvives) {
  std::string all;
  for (int c = 0; c < 256; ++c) all += static_cast<char>(c);
  const std::string encoded = EncodeXtext(all);
  for (const char c : encoded) {
    EXPECT_TRUE(c >= 33 && c <= 126 && c != '=') << static_cast<int>(c);
  }
  EXPECT_EQ(DecodeXtext(encoded), all);
}

TEST(XtextTest, Decodes) {
  EXPECT_EQ(DecodeXtext("a+2Bb+3Dc+20d"), "a+b=c d");
  EXPECT_EQ(DecodeXtext("a+2b"), "a+");
  EXPECT_EQ(DecodeXtext(""), "");
  for (const char* bad : {"+", "+2", "a+", "+2G", "+GG", "a b", "a=b", "\xc3\xa4", "a\x01"}) {
    EXPECT_EQ(DecodeXtext(bad), std::nullopt) << bad;
  }
}

TEST(XtextTest, DecodesUtf8Addresses) {
  EXPECT_EQ(DecodeUtf8Xtext("d\\x{F6}mi@ex\\x{2B}x.example"), "d\xc3\xb6mi@ex+x.example");
  EXPECT_EQ(DecodeUtf8Xtext("d\xc3\xb6mi@x.example"), "d\xc3\xb6mi@x.example");
  EXPECT_EQ(DecodeUtf8Xtext("\\x{20AC}\\x{1F600}\\x{10FFFF}"),
            "\xe2\x82\xac\xf0\x9f\x98\x80\xf4\x8f\xbf\xbf");
  for (const char* bad : {"\\", "\\x", "\\x{", "\\x{}", "\\x{4}", "\\x{110000}", "\\x{D800}",
                          "\\x{0000041}", "\\x{4G}", "a+b", "a=b", "\xc3", "a b"}) {
    EXPECT_EQ(DecodeUtf8Xtext(bad), std::nullopt) << bad;
  }
}

}  // namespace
}  // namespace posthorn::smtp
