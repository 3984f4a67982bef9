#include "services/mailbox/message_date.h"

#include <gtest/gtest.h>

namespace posthorn::mailbox {
namespace {

TEST(SentDayTest, ReadsTheDayWhateverTheTimeAndZone) {
  constexpr std::int64_t kDay = 19675;  // 2023-11-14
  struct Row {
    const char* date;
    std::optional<std::int64_t> want;
  };
  const Row rows[] = {
      {"Tue, 14 Nov 2023 22:13:20 +0000", kDay},
      {"Tue, 14 Nov 2023 00:13:20 -1100", kDay},
      {"14 Nov 2023 22:13:20 GMT", kDay},
      {"Tue,14 NOV 2023 22:13:20 +0000 (a comment)", kDay},
      {"Tue (x) 14 November 23 1:2", kDay},
      {"14-Nov-2023 10:00", kDay},
      {"1 Jan 70 00:00:00 +0000", 0},
      {"31 Dec 1969 00:00:00 +0000", -1},
      {"31 Feb 2023 00:00:00 +0000", std::nullopt},
      {"tomorrow", std::nullopt},
      {"", std::nullopt},
      {"Tue, 14 Xyz 2023", std::nullopt},
  };
  for (const Row& row : rows) EXPECT_EQ(SentDay(row.date), row.want) << row.date;
}

}  // namespace
}  // namespace posthorn::mailbox
