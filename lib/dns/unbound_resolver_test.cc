#include "lib/dns/unbound_resolver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "lib/base/manual_executor.h"
#include "lib/dns/fake_resolver.h"
#include "lib/dns/nsd_fixture.h"

namespace posthorn::dns {
namespace {

using ::testing::ElementsAre;
using ::testing::UnorderedElementsAre;

// Runs a question whose answer comes from another thread.
template <typename T>
Answer<T> Ask(Task<Answer<T>> task) {
  ManualExecutor executor;
  struct Run {
    static Task<void> Store(Task<Answer<T>> task, std::optional<Answer<T>>& out) {
      out.emplace(co_await std::move(task));
    }
  };
  std::optional<Answer<T>> result;
  Spawn(executor, Run::Store(std::move(task), result));
  for (int i = 0; i < 2000 && !result.has_value(); ++i) {
    executor.RunUntilIdle();
    if (result.has_value()) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    executor.Advance(absl::Milliseconds(5));
  }
  EXPECT_TRUE(result.has_value()) << "no answer";
  return result.value_or(Answer<T>());
}

constexpr char kRecords[] =
    "two MX 20 mx2\n"
    "two MX 10 mx1\n"
    "mx1 A 192.0.2.1\n"
    "mx1 AAAA 2001:db8::1\n"
    "mx2 A 192.0.2.2\n"
    "null MX 0 .\n"
    "onlya A 192.0.2.3\n"
    "alias CNAME two\n"
    "alias2 CNAME onlya\n"
    "txt TXT \"v=spf1 \" \"-all\"\n";

std::unique_ptr<UnboundResolver> Make(int port, bool cache) {
  UnboundOptions options;
  options.address = "127.0.0.1";
  options.port = port;
  options.cache = cache;
  absl::StatusOr<std::unique_ptr<UnboundResolver>> resolver = UnboundResolver::Create(options);
  EXPECT_TRUE(resolver.ok()) << resolver.status();
  return *std::move(resolver);
}

// The contract both resolvers keep.
void ExpectContract(Resolver& resolver) {
  Answer<MxRecord> mx = Ask(resolver.QueryMx("two.example.test"));
  EXPECT_EQ(mx.outcome, Outcome::kAnswer) << mx.error;
  EXPECT_THAT(mx.records, UnorderedElementsAre(MxRecord{20, "mx2.example.test"},
                                               MxRecord{10, "mx1.example.test"}));
  EXPECT_GT(mx.ttl, absl::ZeroDuration());

  mx = Ask(resolver.QueryMx("null.example.test"));
  EXPECT_THAT(mx.records, ElementsAre(MxRecord{0, ""}));

  mx = Ask(resolver.QueryMx("onlya.example.test"));
  EXPECT_EQ(mx.outcome, Outcome::kNoData);
  mx = Ask(resolver.QueryMx("nowhere.example.test"));
  EXPECT_EQ(mx.outcome, Outcome::kNoSuchName);

  mx = Ask(resolver.QueryMx("alias.example.test"));
  EXPECT_EQ(mx.records.size(), 2u);
  EXPECT_EQ(mx.canonical_name, "two.example.test");
  mx = Ask(resolver.QueryMx("alias2.example.test"));
  EXPECT_EQ(mx.outcome, Outcome::kNoData);

  EXPECT_THAT(Ask(resolver.QueryA("mx1.example.test")).records, ElementsAre("192.0.2.1"));
  EXPECT_THAT(Ask(resolver.QueryA("alias2.example.test")).records, ElementsAre("192.0.2.3"));
  EXPECT_THAT(Ask(resolver.QueryAaaa("mx1.example.test")).records, ElementsAre("2001:db8::1"));
  EXPECT_EQ(Ask(resolver.QueryAaaa("mx2.example.test")).outcome, Outcome::kNoData);
  EXPECT_THAT(Ask(resolver.QueryTxt("txt.example.test")).records, ElementsAre("v=spf1 -all"));
}

TEST(UnboundResolverTest, KeepsTheContractWithACache) {
  NsdFixture nsd("example.test", kRecords);
  const auto resolver = Make(nsd.port(), true);
  ExpectContract(*resolver);
  ExpectContract(*resolver);
}

TEST(UnboundResolverTest, KeepsTheContractWithoutACache) {
  NsdFixture nsd("example.test", kRecords);
  const auto resolver = Make(nsd.port(), false);
  ExpectContract(*resolver);
}

TEST(FakeResolverTest, KeepsTheContract) {
  FakeResolver fake;
  fake.AddMx("two.example.test", 20, "mx2.example.test");
  fake.AddMx("two.example.test", 10, "mx1.example.test");
  fake.AddA("mx1.example.test", "192.0.2.1");
  fake.AddAaaa("mx1.example.test", "2001:db8::1");
  fake.AddA("mx2.example.test", "192.0.2.2");
  fake.AddMx("null.example.test", 0, "");
  fake.AddA("onlya.example.test", "192.0.2.3");
  fake.AddCname("alias.example.test", "two.example.test");
  fake.AddCname("alias2.example.test", "onlya.example.test");
  fake.AddTxt("txt.example.test", "v=spf1 -all");
  ExpectContract(fake);
}

TEST(UnboundResolverTest, WithoutACacheAChangeIsSeenAtOnce) {
  NsdFixture nsd("example.test", "host A 192.0.2.1\n");
  const auto resolver = Make(nsd.port(), false);
  EXPECT_THAT(Ask(resolver->QueryA("host.example.test")).records, ElementsAre("192.0.2.1"));
  nsd.SetRecords("host A 192.0.2.9\n");
  EXPECT_THAT(Ask(resolver->QueryA("host.example.test")).records, ElementsAre("192.0.2.9"));
}

TEST(UnboundResolverTest, WithACacheAnAnswerOutlivesTheServer) {
  NsdFixture nsd("example.test", "host A 192.0.2.1\n");
  const auto resolver = Make(nsd.port(), true);
  EXPECT_THAT(Ask(resolver->QueryA("host.example.test")).records, ElementsAre("192.0.2.1"));
  nsd.Stop();
  EXPECT_THAT(Ask(resolver->QueryA("host.example.test")).records, ElementsAre("192.0.2.1"));
}

TEST(UnboundResolverTest, ARefusalIsTemporary) {
  NsdFixture nsd("example.test", kRecords);
  const auto resolver = Make(nsd.port(), true);
  const Answer<MxRecord> answer = Ask(resolver->QueryMx("other.example"));
  EXPECT_EQ(answer.outcome, Outcome::kTemporary);
  EXPECT_FALSE(answer.error.empty());
}

TEST(UnboundResolverTest, AServerThatIsDownIsTemporaryAndComesBack) {
  NsdFixture nsd("example.test", kRecords);
  nsd.Stop();
  UnboundOptions options;
  options.address = "127.0.0.1";
  options.port = nsd.port();
  options.timeout = absl::Seconds(1);
  const auto resolver = UnboundResolver::Create(options);
  ASSERT_TRUE(resolver.ok());
  EXPECT_EQ(Ask((*resolver)->QueryA("mx1.example.test")).outcome, Outcome::kTemporary);
  nsd.Start();
  Outcome outcome = Outcome::kTemporary;
  for (int i = 0; i < 100 && outcome != Outcome::kAnswer; ++i) {
    outcome = Ask((*resolver)->QueryA("mx1.example.test")).outcome;
    if (outcome != Outcome::kAnswer) std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  EXPECT_EQ(outcome, Outcome::kAnswer);
}

TEST(UnboundResolverTest, RefusesANameForTheServersAddress) {
  UnboundOptions options;
  options.address = "dns.example.net";
  EXPECT_FALSE(UnboundResolver::Create(options).ok());
}

TEST(UnboundResolverTest, ANameThatFitsNoQuestionDoesNotExist) {
  const auto resolver = Make(1, true);
  const std::string names[] = {std::string(64, 'a') + ".example.test", "", ".a", "a..b",
                               std::string(127, '.')};
  for (const std::string& name : names) {
    EXPECT_EQ(Ask(resolver->QueryA(name)).outcome, Outcome::kNoSuchName) << name;
  }
}

}  // namespace
}  // namespace posthorn::dns
