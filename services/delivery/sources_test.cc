#include "services/delivery/sources.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>

namespace posthorn::delivery {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Source At(std::string ipv4, int weight = 1, std::string ipv6 = "") {
  Source source;
  source.ipv4 = std::move(ipv4);
  source.ipv6 = std::move(ipv6);
  source.weight = weight;
  return source;
}

SourcePool Pool(std::string name, std::vector<Source> sources, std::string overflow = "") {
  SourcePool pool;
  pool.name = std::move(name);
  pool.sources = std::move(sources);
  pool.overflow = std::move(overflow);
  return pool;
}

SourceRule Rule(std::int64_t tenant, std::string domain, std::optional<MessageClass> message_class,
                std::string pool) {
  SourceRule rule;
  rule.tenant = TenantId(tenant);
  rule.sender_domain = std::move(domain);
  rule.message_class = message_class;
  rule.pool = std::move(pool);
  return rule;
}

const absl::Time kNow = absl::FromCivil(absl::CivilSecond(2026, 3, 10, 23, 30, 0),
                                        absl::UTCTimeZone());

std::vector<std::string> Names(const std::vector<const Source*>& sources) {
  std::vector<std::string> names;
  for (const Source* source : sources) names.push_back(source->name());
  return names;
}

std::size_t First(std::size_t) { return 0; }

TEST(SourcesTest, ThePoolIsChosenByTenantDomainAndClass) {
  const auto sources = Sources::Create(
      {Pool("shared", {At("192.0.2.1")}), Pool("seven", {At("192.0.2.2")}),
       Pool("bulk", {At("192.0.2.3")}), Pool("google", {At("192.0.2.4")})},
      {Rule(7, "*", std::nullopt, "seven"), Rule(0, "*.News.example", std::nullopt, "bulk"),
       Rule(0, "*", MessageClass::kBulk, "bulk")});
  ASSERT_TRUE(sources.ok()) << sources.status();
  const auto pool = [&sources](std::int64_t tenant, const char* domain, MessageClass message_class,
                               const char* fallback = "") {
    return sources->PoolFor(TenantId(tenant), domain, message_class, fallback).name;
  };
  EXPECT_EQ(pool(7, "a.example", MessageClass::kBulk), "seven");
  EXPECT_EQ(pool(1, "x.news.example", MessageClass::kNormal), "bulk");
  EXPECT_EQ(pool(1, "a.example", MessageClass::kBulk), "bulk");
  EXPECT_EQ(pool(1, "a.example", MessageClass::kNormal), "shared");
  EXPECT_EQ(pool(1, "a.example", MessageClass::kNormal, "google"), "google");
  EXPECT_EQ(pool(7, "a.example", MessageClass::kNormal, "google"), "seven");
}

TEST(SourcesTest, WeightsShareTheMail) {
  const auto sources =
      Sources::Create({Pool("p", {At("192.0.2.1", 1), At("192.0.2.2", 3)})}, {});
  ASSERT_TRUE(sources.ok());
  std::mt19937 generator(7);
  std::map<std::string, int> first;
  for (int i = 0; i < 4000; ++i) {
    const auto order = sources->Candidates(sources->pools()[0], true, false, kNow,
                                           [&generator](std::size_t n) { return generator() % n; });
    ASSERT_EQ(order.size(), 2u);
    ++first[order[0]->name()];
  }
  EXPECT_NEAR(first["192.0.2.1"], 1000, 120);
}

TEST(SourcesTest, OnlyWhatReachesTheServersIsOffered) {
  const auto sources = Sources::Create(
      {Pool("p", {At("192.0.2.1"), At("", 1, "2001:db8::1"), At("192.0.2.2", 1, "2001:db8::2")})},
      {});
  ASSERT_TRUE(sources.ok());
  const SourcePool& pool = sources->pools()[0];
  EXPECT_THAT(Names(sources->Candidates(pool, true, false, kNow, First)),
              ElementsAre("192.0.2.1", "192.0.2.2"));
  EXPECT_THAT(Names(sources->Candidates(pool, false, true, kNow, First)),
              ElementsAre("2001:db8::1", "192.0.2.2"));
  EXPECT_EQ(pool.sources[2].AddressFor("192.0.2.99"), "192.0.2.2");
  EXPECT_EQ(pool.sources[2].AddressFor("2001:db8::99"), "2001:db8::2");
  EXPECT_EQ(pool.sources[0].AddressFor("2001:db8::99"), "");
}

TEST(SourcesTest, AWarmUpGrowsByTheDayAndEnds) {
  Source source = At("192.0.2.1");
  EXPECT_EQ(source.Allowed(kNow), 0);
  source.warm_up = {50, 100, 200};
  source.warm_up_start = absl::CivilDay(2026, 3, 9);
  EXPECT_EQ(source.Allowed(kNow), 100);
  EXPECT_EQ(source.Allowed(kNow + absl::Minutes(30)), 200);  // midnight, UTC
  EXPECT_EQ(source.Allowed(kNow + absl::Hours(25)), 0);
  EXPECT_EQ(source.Allowed(kNow - absl::Hours(48)), std::nullopt);
}

TEST(SourcesTest, AfterAPoolComesWhatItOverflowsInto) {
  Source later = At("192.0.2.9");
  later.warm_up_start = absl::CivilDay(2027, 1, 1);
  const auto sources = Sources::Create({Pool("new", {later, At("192.0.2.1")}, "warm"),
                                        Pool("warm", {At("192.0.2.2")}, "new")},
                                       {});
  ASSERT_TRUE(sources.ok());
  EXPECT_THAT(Names(sources->Candidates(sources->pools()[0], true, true, kNow, First)),
              ElementsAre("192.0.2.1", "192.0.2.2"));
}

TEST(SourcesTest, MistakesAreNamed) {
  const auto message = [](std::vector<SourcePool> pools, std::vector<SourceRule> rules) {
    return std::string(Sources::Create(std::move(pools), std::move(rules)).status().message());
  };
  EXPECT_THAT(message({Pool("p", {At("192.0.2")})}, {}), HasSubstr("192.0.2"));
  EXPECT_THAT(message({Pool("p", {At("")})}, {}), HasSubstr("needs an address"));
  EXPECT_THAT(message({Pool("p", {}), Pool("p", {})}, {}), HasSubstr("two source pools"));
  EXPECT_THAT(message({Pool("p", {}, "q")}, {}), HasSubstr("no pool \"q\""));
  EXPECT_THAT(message({Pool("p", {})}, {Rule(0, "*", std::nullopt, "q")}), HasSubstr("\"q\""));
}

}  // namespace
}  // namespace posthorn::delivery
