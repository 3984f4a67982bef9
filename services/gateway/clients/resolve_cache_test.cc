#include "services/gateway/clients/resolve_cache.h"

#include "gtest/gtest.h"

namespace posthorn::gateway {
namespace {

Resolution Local(std::int64_t account) {
  std::vector<Target> targets;
  targets.emplace_back(AccountId(account), "a@b.example");
  return Resolution(AddressKind::kLocal, TenantId(1), std::move(targets));
}

TEST(ResolveCacheTest, KeepsForItsTimeOnly) {
  FakeClock clock(absl::FromUnixSeconds(1000));
  ResolveCache cache(clock, absl::Seconds(5), 10);
  EXPECT_FALSE(cache.Find("a@b.example").has_value());
  cache.Store("a@b.example", Local(7), 0);
  clock.Advance(absl::Milliseconds(4999));
  ASSERT_TRUE(cache.Find("a@b.example").has_value());
  EXPECT_EQ(cache.Find("a@b.example")->targets[0].account, AccountId(7));
  clock.Advance(absl::Milliseconds(1));
  EXPECT_FALSE(cache.Find("a@b.example").has_value());
}

TEST(ResolveCacheTest, KeepsForASecondThatADomainIsNotOurs) {
  FakeClock clock(absl::FromUnixSeconds(1000));
  ResolveCache cache(clock, absl::Seconds(5), 10);
  cache.Store("a@Far.example", Resolution(AddressKind::kRemote, TenantId(), {}), 0);
  clock.Advance(absl::Milliseconds(999));
  for (const char* address : {"a@far.example", "other@FAR.example", "\"x@y\"@far.example"}) {
    ASSERT_TRUE(cache.Find(address).has_value()) << address;
    EXPECT_EQ(cache.Find(address)->kind, AddressKind::kRemote);
  }
  for (const char* address : {"a@sub.far.example", "far.example", "@near.example", ""}) {
    EXPECT_FALSE(cache.Find(address).has_value()) << address;
  }
  clock.Advance(absl::Milliseconds(1));
  EXPECT_FALSE(cache.Find("a@far.example").has_value());
}

TEST(ResolveCacheTest, KeepsNothingOfAddressesThatDoNotExist) {
  FakeClock clock(absl::FromUnixSeconds(1000));
  ResolveCache cache(clock, absl::Seconds(5), 10);
  for (const AddressKind kind : {AddressKind::kNoSuchRecipient, AddressKind::kDisabled,
                                 AddressKind::kDomainSuspended}) {
    cache.Store("a@b.example", Resolution(kind, TenantId(1), {}), 0);
    EXPECT_FALSE(cache.Find("a@b.example").has_value());
  }
}

TEST(ResolveCacheTest, ForgetsWhatWasAskedBeforeTheDirectoryChanged) {
  FakeClock clock(absl::FromUnixSeconds(1000));
  ResolveCache cache(clock, absl::Seconds(5), 10);
  cache.Store("a@b.example", Local(7), cache.Generation());
  const std::uint64_t asked = cache.Generation();
  cache.Clear();
  EXPECT_FALSE(cache.Find("a@b.example").has_value());
  cache.Store("a@b.example", Local(7), asked);
  EXPECT_FALSE(cache.Find("a@b.example").has_value());
  cache.Store("a@b.example", Local(8), cache.Generation());
  EXPECT_TRUE(cache.Find("a@b.example").has_value());
}

TEST(ResolveCacheTest, StaysSmall) {
  FakeClock clock(absl::FromUnixSeconds(1000));
  ResolveCache cache(clock, absl::Seconds(5), 3);
  for (int i = 0; i < 100; ++i) cache.Store(std::to_string(i), Local(i), 0);
  int kept = 0;
  for (int i = 0; i < 100; ++i) kept += cache.Find(std::to_string(i)).has_value();
  EXPECT_LE(kept, 3);
  EXPECT_TRUE(cache.Find("99").has_value());
}

}  // namespace
}  // namespace posthorn::gateway
