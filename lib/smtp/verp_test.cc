#include "lib/smtp/verp.h"

#include "gtest/gtest.h"

namespace posthorn::smtp {
namespace {

TEST(VerpTest, NamesTheRecipientInTheSender) {
  struct Row {
    const char* from;
    const char* to;
    const char* delimiters;
    const char* expected;
  };
  constexpr Row kRows[] = {
      {"owner-list@origin.test", "user@domain.test", "+=", "owner-list+user=domain.test@origin.test"},
      {"owner-list@origin.test", "user@domain.test", "-+", "owner-list-user+domain.test@origin.test"},
      {"owner@origin.test", "user+tag@domain.test", "+=", "owner+user+tag=domain.test@origin.test"},
      {"owner@origin.test", "\"a b\"@domain.test", "+=", "\"owner+a b=domain.test\"@origin.test"},
      {"owner@origin.test", "u@[192.0.2.1]", "+=", "\"owner+u=[192.0.2.1]\"@origin.test"},
      // Nothing to be made of these.
      {"", "user@domain.test", "+=", ""},
      {"owner@origin.test", "postmaster", "+=", "owner@origin.test"},
      {"owner@origin.test", "user@domain.test", "", "owner@origin.test"},
  };
  for (const Row& row : kRows) {
    EXPECT_EQ(VerpSender(row.from, row.to, row.delimiters), row.expected) << row.to;
  }
}

TEST(VerpTest, DelimitersAreTwoOfThree) {
  for (const char* good : {"+=", "-=", "==", "+-"}) EXPECT_TRUE(IsVerpDelimiters(good)) << good;
  for (const char* bad : {"", "+", "+=+", "+a", "/=", "+ "}) {
    EXPECT_FALSE(IsVerpDelimiters(bad)) << bad;
  }
}

}  // namespace
}  // namespace posthorn::smtp
