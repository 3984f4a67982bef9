#include "services/gateway/session/address_counters.h"

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace posthorn::gateway {
namespace {

const absl::Time kStart = absl::FromUnixSeconds(1700000000);

TEST(AddressCountersTest, CountsWithinAWindow) {
  AddressCounters counters(absl::Minutes(1), 100);
  EXPECT_EQ(counters.Add("192.0.2.1", kStart), 1);
  EXPECT_EQ(counters.Add("192.0.2.1", kStart + absl::Seconds(59)), 2);
  EXPECT_EQ(counters.Add("192.0.2.2", kStart), 1);
  EXPECT_EQ(counters.Count("192.0.2.1", kStart + absl::Seconds(59)), 2);
  EXPECT_EQ(counters.Count("192.0.2.1", kStart + absl::Seconds(60)), 0);
  EXPECT_EQ(counters.Add("192.0.2.1", kStart + absl::Seconds(60)), 1);
  EXPECT_EQ(counters.Count("192.0.2.3", kStart), 0);
}

TEST(AddressCountersTest, AnIpv6NetworkIsOneClient) {
  AddressCounters counters(absl::Minutes(1), 100);
  EXPECT_EQ(counters.Add("2001:db8::1", kStart), 1);
  EXPECT_EQ(counters.Add("2001:db8::2", kStart), 2);
  EXPECT_EQ(counters.Add("2001:db8:0:1::2", kStart), 1);
}

TEST(AddressCountersTest, WithoutAnAddressNothingCounts) {
  AddressCounters counters(absl::Minutes(1), 100);
  EXPECT_EQ(counters.Add("", kStart), 0);
  EXPECT_EQ(counters.size(), 0u);
}

TEST(AddressCountersTest, IsBounded) {
  AddressCounters counters(absl::Minutes(1), 10);
  for (int i = 0; i < 250; ++i) {
    counters.Add(absl::StrCat("192.0.2.", i), kStart + absl::Seconds(i / 100));
    EXPECT_LE(counters.size(), 10u);
  }
  // The latest is always there.
  EXPECT_EQ(counters.Count("192.0.2.249", kStart + absl::Seconds(2)), 1);
}

}  // namespace
}  // namespace posthorn::gateway
