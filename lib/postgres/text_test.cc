#include "lib/postgres/text.h"

#include <gtest/gtest.h>

#include "lib/postgres/status.h"
#include "lib/base/failure.h"

namespace posthorn::postgres {
namespace {

TEST(SanitizeTextTest, KeepsValidUtf8AndReplacesTheRest) {
  struct Row {
    const char* name;
    std::string input;
    std::string want;
  };
  const std::string r = "\xef\xbf\xbd";
  const Row rows[] = {
      {"empty", "", ""},
      {"ascii", "plain", "plain"},
      {"multibyte", "Gr\xc3\xbc\xc3\x9f" "e \xe2\x82\xac \xf0\x9f\x98\x80",
       "Gr\xc3\xbc\xc3\x9f" "e \xe2\x82\xac \xf0\x9f\x98\x80"},
      {"nul", std::string("a\0b", 3), "a" + r + "b"},
      {"latin1", "caf\xe9", "caf" + r},
      {"cut off", "x\xe2\x82", "x" + r + r},
      {"overlong", "\xc0\xaf", r + r},
      {"surrogate", "\xed\xa0\x80", r + r + r},
      {"beyond unicode", "\xf4\x90\x80\x80", r + r + r + r},
  };
  for (const Row& row : rows) {
    EXPECT_EQ(SanitizeText(row.input), row.want) << row.name;
    EXPECT_EQ(IsStorableText(row.input), row.input == row.want) << row.name;
    EXPECT_TRUE(IsStorableText(SanitizeText(row.input))) << row.name;
  }
}

TEST(SqlStateTest, MapsErrorsToFailures) {
  EXPECT_EQ(FailureOf(FromSqlState("40P01", "deadlock")), Failure::kConflict);
  EXPECT_EQ(FailureOf(FromSqlState("57P01", "shutdown")), Failure::kStorageDown);
  EXPECT_EQ(FailureOf(FromSqlState("53100", "disk full")), Failure::kInsufficientStorage);
  EXPECT_EQ(FailureOf(FromSqlState("57014", "timeout")), Failure::kDeadlineExceeded);
  EXPECT_EQ(FailureOf(FromSqlState("23505", "unique")), Failure::kUnknown);
  EXPECT_EQ(SqlState(FromSqlState("23505", "unique")), kUniqueViolation);
  EXPECT_TRUE(IsInDoubt(CommitInDoubt("lost")));
  EXPECT_FALSE(IsInDoubt(ConnectionLost("lost")));
}

}  // namespace
}  // namespace posthorn::postgres
