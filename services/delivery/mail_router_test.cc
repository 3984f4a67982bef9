#include "services/delivery/mail_router.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <set>

#include "lib/base/failure.h"
#include "lib/base/manual_executor.h"
#include "lib/dns/fake_resolver.h"

namespace posthorn::delivery {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class MailRouterTest : public ::testing::Test {
 protected:
  absl::StatusOr<std::vector<Host>> Ask(const std::string& domain) {
    if (router_ == nullptr) {
      MailRouterOptions options;
      options.hostname = "us.example.org";
      options.smtp_port = 25;
      options.cache = cache_;
      options.max_hosts = max_hosts_;
      options.random = [this](std::size_t below) { return random_() % below; };
      router_ = std::make_unique<MailRouter>(options, routes_, dns_, clock_);
    }
    const auto hosts = executor_.Run(router_->HostsFor(domain));
    return hosts.value();
  }
  std::vector<std::string> Names(const std::string& domain) {
    const auto hosts = Ask(domain);
    EXPECT_TRUE(hosts.ok()) << hosts.status();
    std::vector<std::string> names;
    if (hosts.ok()) {
      for (const Host& host : *hosts) names.push_back(host.ToString());
    }
    return names;
  }
  Failure Fails(const std::string& domain) {
    const auto hosts = Ask(domain);
    EXPECT_FALSE(hosts.ok());
    return hosts.ok() ? Failure::kUnknown : FailureOf(hosts.status());
  }

  ManualExecutor executor_;
  dns::FakeResolver dns_;
  FakeClock clock_{absl::FromUnixSeconds(1000)};
  RouteTable routes_;
  bool cache_ = false;
  std::size_t max_hosts_ = 10;
  std::mt19937 random_{1};
  std::unique_ptr<MailRouter> router_;
};

TEST_F(MailRouterTest, OrdersByPreference) {
  dns_.AddMx("example.net", 20, "b.example.net");
  dns_.AddMx("example.net", 10, "a.example.net");
  dns_.AddA("a.example.net", "192.0.2.1");
  dns_.AddAaaa("a.example.net", "2001:db8::1");
  dns_.AddA("b.example.net", "192.0.2.2");
  EXPECT_THAT(Names("example.net"),
              ElementsAre("a.example.net[192.0.2.1]:25", "a.example.net[2001:db8::1]:25",
                          "b.example.net[192.0.2.2]:25"));
}

TEST_F(MailRouterTest, ShufflesAmongEquals) {
  for (const char* name : {"a", "b", "c"}) {
    dns_.AddMx("example.net", 10, std::string(name) + ".example.net");
    dns_.AddA(std::string(name) + ".example.net", "192.0.2.1");
  }
  std::set<std::string> first;
  for (int i = 0; i < 20; ++i) first.insert(Names("example.net").front());
  EXPECT_EQ(first.size(), 3u);
}

TEST_F(MailRouterTest, UsesTheDomainItselfWithoutMx) {
  dns_.AddA("example.net", "192.0.2.1");
  EXPECT_THAT(Names("example.net"), ElementsAre("example.net[192.0.2.1]:25"));
}

TEST_F(MailRouterTest, AnMxThatLeadsNowhereIsNotReplacedByTheDomain) {
  dns_.AddMx("example.net", 10, "gone.example.net");
  dns_.AddA("example.net", "192.0.2.1");
  EXPECT_EQ(Fails("example.net"), Failure::kDnsNoSuchDomain);
}

TEST_F(MailRouterTest, FollowsAnAlias) {
  dns_.AddCname("alias.example.net", "example.net");
  dns_.AddMx("example.net", 10, "a.example.net");
  dns_.AddA("a.example.net", "192.0.2.1");
  EXPECT_THAT(Names("alias.example.net"), ElementsAre("a.example.net[192.0.2.1]:25"));
}

TEST_F(MailRouterTest, TellsTheFailuresApart) {
  dns_.AddMx("null.example", 0, "");
  dns_.AddTxt("nothing.example", "x");
  dns_.Break("broken.example");
  dns_.AddMx("half.example", 10, "broken.example");
  EXPECT_EQ(Fails("null.example"), Failure::kNullMx);
  EXPECT_EQ(Fails("nothing.example"), Failure::kDnsNoSuchDomain);
  EXPECT_EQ(Fails("unknown.example"), Failure::kDnsNoSuchDomain);
  EXPECT_EQ(Fails("broken.example"), Failure::kDnsTemporary);
  EXPECT_EQ(Fails("half.example"), Failure::kDnsTemporary);
}

TEST_F(MailRouterTest, OnlyBetterServersThanOurselvesCount) {
  dns_.AddMx("example.net", 10, "a.example.net");
  dns_.AddMx("example.net", 20, "us.example.org");
  dns_.AddMx("example.net", 20, "b.example.net");
  dns_.AddMx("example.net", 30, "c.example.net");
  for (const char* name : {"a", "b", "c"}) {
    dns_.AddA(std::string(name) + ".example.net", "192.0.2.1");
  }
  EXPECT_THAT(Names("example.net"), ElementsAre("a.example.net[192.0.2.1]:25"));
}

TEST_F(MailRouterTest, AMessageForOurselvesIsALoop) {
  dns_.AddMx("example.net", 10, "US.example.org");
  EXPECT_EQ(Fails("example.net"), Failure::kMailLoop);
}

TEST_F(MailRouterTest, RoutesComeFirst) {
  ASSERT_TRUE(routes_.Add("*.example.net", {"127.0.0.1:2600", "smart.example"}, 25).ok());
  dns_.AddA("smart.example", "192.0.2.9");
  dns_.AddMx("example.net", 10, "a.example.net");
  dns_.AddA("a.example.net", "192.0.2.1");
  EXPECT_THAT(Names("sub.example.net"),
              ElementsAre("127.0.0.1[127.0.0.1]:2600", "smart.example[192.0.2.9]:25"));
  EXPECT_THAT(Names("example.net"), ElementsAre("a.example.net[192.0.2.1]:25"));
}

TEST_F(MailRouterTest, ASmartHostThatCannotBeFoundNeverBounces) {
  ASSERT_TRUE(routes_.Add("*", {"unknown.example"}, 25).ok());
  EXPECT_EQ(Fails("example.net"), Failure::kDnsTemporary);
}

TEST_F(MailRouterTest, TakesAddressLiterals) {
  EXPECT_THAT(Names("[192.0.2.7]"), ElementsAre("192.0.2.7[192.0.2.7]:25"));
  EXPECT_THAT(Names("[ipv6:2001:db8::7]"), ElementsAre("2001:db8::7[2001:db8::7]:25"));
  EXPECT_EQ(Fails("[nonsense]"), Failure::kDnsNoSuchDomain);
}

TEST_F(MailRouterTest, KeepsTheLimitOfHosts) {
  max_hosts_ = 3;
  for (int i = 0; i < 5; ++i) {
    const std::string name = "m" + std::to_string(i) + ".example.net";
    dns_.AddMx("example.net", i, name);
    dns_.AddA(name, "192.0.2.1");
    dns_.AddA(name, "192.0.2.2");
  }
  EXPECT_EQ(Names("example.net").size(), 3u);
}

TEST_F(MailRouterTest, RemembersForTheTtlOnly) {
  cache_ = true;
  dns_.set_ttl(absl::Seconds(30));
  dns_.AddA("example.net", "192.0.2.1");
  Names("example.net");
  const int asked = dns_.queries();
  Names("example.net");
  EXPECT_EQ(dns_.queries(), asked);
  clock_.Advance(absl::Seconds(30));
  Names("example.net");
  EXPECT_GT(dns_.queries(), asked);
}

TEST_F(MailRouterTest, WithoutACacheAsksEachTime) {
  dns_.AddA("example.net", "192.0.2.1");
  Names("example.net");
  const int asked = dns_.queries();
  Names("example.net");
  EXPECT_EQ(dns_.queries(), 2 * asked);
}

TEST(RouteTableTest, FirstMatchCounts) {
  RouteTable routes;
  ASSERT_TRUE(routes.Add("example.net", {"a"}, 25).ok());
  ASSERT_TRUE(routes.Add("*.Example.NET", {"b:26"}, 25).ok());
  ASSERT_TRUE(routes.Add("*", {"[2001:db8::1]:27", "[2001:db8::2]"}, 25).ok());
  EXPECT_EQ(routes.Find("example.net", TenantId())->front(), (HostPort{"a", 25}));
  EXPECT_EQ(routes.Find("x.example.net", TenantId())->front(), (HostPort{"b", 26}));
  EXPECT_EQ(routes.Find("badexample.net", TenantId())->front(), (HostPort{"2001:db8::1", 27}));
  EXPECT_EQ(routes.Find("badexample.net", TenantId())->back(), (HostPort{"2001:db8::2", 25}));
}

TEST(RouteTableTest, RefusesNonsenseNamingIt) {
  RouteTable routes;
  for (const char* pattern : {"", "a.*", "*a", "*.a.*"}) {
    EXPECT_FALSE(routes.Add(pattern, {"a"}, 25).ok()) << pattern;
  }
  for (const char* host : {"", ":25", "a:", "a:0", "a:65536", "a:x", "[::1", "[::1]25", "[]:25"}) {
    const absl::Status status = routes.Add("*", {host}, 25);
    EXPECT_FALSE(status.ok()) << host;
    EXPECT_THAT(std::string(status.message()), HasSubstr("\"*\""));
  }
  EXPECT_FALSE(routes.Add("*", {}, 25).ok());
  EXPECT_EQ(routes.Find("example.net", TenantId()), nullptr);
}

TEST(RouteTableTest, ReadsHowServersWantToBeTalkedTo) {
  const auto port = [](const char* text) { return ParseHostPort(text, 2525).value(); };
  EXPECT_EQ(port("smtps://relay.example").protocol, Protocol::kSmtps);
  EXPECT_EQ(port("smtps://relay.example").port, 465);
  EXPECT_EQ(port("smtp://relay.example").port, 2525);
  EXPECT_EQ(port("lmtp://[2001:db8::1]").host, "2001:db8::1");
  EXPECT_EQ(port("lmtp://[2001:db8::1]").port, 24);
  EXPECT_EQ(port("lmtp:///run/lmtp").host, "/run/lmtp");
  EXPECT_EQ(port("lmtp:///run/lmtp").port, 0);
  for (const char* bad : {"http://a", "smtps://", "smtp:///run/x", "a/b", "lmtp://"}) {
    EXPECT_FALSE(ParseHostPort(bad, 25).ok()) << bad;
  }
}

TEST(RouteTableTest, ARouteMayBeOneTenants) {
  RouteTable routes;
  ASSERT_TRUE(routes.Add("*", {"theirs"}, 25, nullptr, TenantId(7)).ok());
  ASSERT_TRUE(routes.Add("*", {"everybodys"}, 25).ok());
  EXPECT_EQ(routes.Find("example.net", TenantId(7))->front().host, "theirs");
  EXPECT_EQ(routes.Find("example.net", TenantId(8))->front().host, "everybodys");
  EXPECT_EQ(routes.FindSpecific("example.net", TenantId(7)), nullptr);
}

}  // namespace
}  // namespace posthorn::delivery
