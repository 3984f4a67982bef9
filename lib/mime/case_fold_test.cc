#include "lib/mime/case_fold.h"

#include "gtest/gtest.h"

namespace posthorn::mime {
namespace {

TEST(CaseFoldTest, ComparesNames) {
  EXPECT_EQ(LowerCaseNfc("Alice+Tag"), "alice+tag");
  EXPECT_EQ(LowerCaseNfc(""), "");
  EXPECT_EQ(LowerCaseNfc("D\xc3\x96mi"), "d\xc3\xb6mi");
  EXPECT_EQ(LowerCaseNfc("DO\xcc\x88mi"), "d\xc3\xb6mi");  // decomposed
  EXPECT_EQ(LowerCaseNfc("stra\xc3\x9f" "e"), "stra\xc3\x9f" "e");
  EXPECT_EQ(LowerCaseNfc("\xf0\x9f\x98\x80"), "\xf0\x9f\x98\x80");
  for (const char* bad : {"\xff", "a\xc3", "\xed\xa0\x80"}) {
    EXPECT_EQ(LowerCaseNfc(bad), std::nullopt) << bad;
  }
}

TEST(FoldCompatibleTest, FoldsCaseAndForms) {
  EXPECT_EQ(FoldCompatible("ABC xyz"), "abc xyz");
  EXPECT_EQ(FoldCompatible("Stra\xc3\x9f" "e"), "strasse");
  EXPECT_EQ(FoldCompatible("M\xc3\x9cLLER"), FoldCompatible("mu\xcc\x88ller"));
  EXPECT_EQ(FoldCompatible("\xef\xbc\xa1"), "a");
  EXPECT_EQ(FoldCompatible("\xff"), "\xef\xbf\xbd");
}

}  // namespace
}  // namespace posthorn::mime
