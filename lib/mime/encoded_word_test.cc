#include "lib/mime/encoded_word.h"

#include <gtest/gtest.h>

#include "lib/mime/charset.h"

namespace posthorn::mime {
namespace {

struct Row {
  const char* input;
  const char* output;
};

constexpr Row kRows[] = {
    {"plain text", "plain text"},
    {"=?utf-8?q?J=C3=B6rg?=", "J\xc3\xb6rg"},
    {"=?ISO-8859-1?Q?J=F6rg?= <a@b>", "J\xc3\xb6rg <a@b>"},
    {"=?utf-8?B?SsO2cmc=?=", "J\xc3\xb6rg"},
    {"=?utf-8?q?a?= =?utf-8?q?b?=", "ab"},
    {"=?utf-8?q?a?=  =?iso-8859-1?q?=E4?= c", "a\xc3\xa4 c"},
    {"=?utf-8?q?=C3?= =?utf-8?q?=B6?=", "\xc3\xb6"},  // one character in two words
    {"=?utf-8?q?a_b=5F?=", "a b_"},
    {"=?utf-8*de?q?x?=", "x"},
    {"=?nonsense?q?x?=", "=?nonsense?q?x?="},
    {"=?utf-8?x?y?=", "=?utf-8?x?y?="},
    {"=?utf-8?q?unfinished", "=?utf-8?q?unfinished"},
    {"a =?utf-8?q?b?= c", "a b c"},
    {"raw \xc3\xb6 and \xff", "raw \xc3\xb6 and \xef\xbf\xbd"},
    {"=?iso-2022-jp?B?GyRCRnxLXBsoQg==?=", "\xe6\x97\xa5\xe6\x9c\xac"},
};

TEST(EncodedWordTest, Decodes) {
  for (const Row& row : kRows) EXPECT_EQ(DecodeHeaderText(row.input), row.output) << row.input;
}

TEST(CharsetTest, ConvertsInPieces) {
  const std::string utf16 = std::string("\xfe\xff\x00\x61\xd8\x3d\xde\x00\x00\x62", 10);
  for (std::size_t size = 1; size <= utf16.size(); ++size) {
    CharsetDecoder decoder("utf-16");
    std::string out;
    for (std::size_t i = 0; i < utf16.size(); i += size) {
      decoder.Decode(std::string_view(utf16).substr(i, size), i + size >= utf16.size(), &out);
    }
    EXPECT_EQ(out, "a\xf0\x9f\x98\x80" "b") << size;
  }
}

TEST(CharsetTest, KnowsNames) {
  for (const char* name : {"utf-8", "US-ASCII", "iso-8859-15", "windows-1252", "koi8-r", "gb2312",
                           "Shift_JIS", "EUC-KR", "utf-7", "big5"}) {
    EXPECT_TRUE(IsKnownCharset(name)) << name;
  }
  for (const char* name : {"", "nonsense", "utf-8,version=1", "x y"}) {
    EXPECT_FALSE(IsKnownCharset(name)) << name;
  }
  EXPECT_EQ(ToUtf8("nonsense", "x"), std::nullopt);
  EXPECT_EQ(ToUtf8("utf-8", "a\xc3"), "a\xef\xbf\xbd");
}

}  // namespace
}  // namespace posthorn::mime
