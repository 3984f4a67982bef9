#include "lib/mime/date.h"

#include <gtest/gtest.h>

#include <cstdint>

namespace posthorn::mime {
namespace {

TEST(ParseDateTest, ReadsWhatMailHas) {
  constexpr std::int64_t kNoon = 1699963200;  // 2023-11-14 12:00:00 UTC
  struct Row {
    const char* date;
    std::optional<std::int64_t> want;
  };
  const Row rows[] = {
      {"Tue, 14 Nov 2023 12:00:00 +0000", kNoon},
      {"Tue, 14 Nov 2023 13:30:05 +0130", kNoon + 5},
      {"14 Nov 2023 07:00 EST", kNoon},
      {"14 nov 23 12:00:00 GMT (a comment)", kNoon},
      {"Tue (x) 14 November 123 05:00:00 -0700", kNoon},
      {"14-Nov-2023 12:00:00 +0000", kNoon},
      {"14 Nov 2023", kNoon - 43200},
      {"14 Nov 2023 99:00 +0000", kNoon - 43200},
      {"14 Nov 2023 12:00:00 nonsense", kNoon},
      {"14 Nov 2023 12:00:00 +0160", kNoon},
      {"31 Feb 2023 00:00:00 +0000", std::nullopt},
      {"tomorrow", std::nullopt},
      {"14 Nov", std::nullopt},
      {"", std::nullopt},
      {"((((", std::nullopt},
  };
  for (const Row& row : rows) {
    const std::optional<absl::Time> time = ParseDate(row.date);
    ASSERT_EQ(time.has_value(), row.want.has_value()) << row.date;
    if (!time) continue;
    EXPECT_EQ(absl::ToUnixSeconds(*time), *row.want) << row.date;
  }
}

}  // namespace
}  // namespace posthorn::mime
