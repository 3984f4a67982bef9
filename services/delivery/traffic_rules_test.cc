#include "services/delivery/traffic_rules.h"

#include <gtest/gtest.h>

namespace posthorn::delivery {
namespace {

std::vector<Host> Servers(std::vector<std::pair<std::string, int>> servers, int port = 25) {
  std::vector<Host> hosts;
  for (auto& [name, preference] : servers) {
    Host host;
    host.name = name;
    host.preference = preference;
    host.port = port;
    hosts.push_back(std::move(host));
  }
  return hosts;
}

TEST(SiteTest, ManyDomainsAtOneProviderShareASite) {
  // The same records, a name for each customer, several names of one provider.
  EXPECT_EQ(SiteOf(Servers({{"aspmx.l.google.com", 1}, {"alt1.aspmx.l.google.com", 5}})),
            "google.com");
  EXPECT_EQ(SiteOf(Servers({{"one-example.mail.protection.outlook.com", 0}})), "outlook.com");
  EXPECT_EQ(SiteOf(Servers({{"two-example.mail.protection.outlook.com", 0}})), "outlook.com");
  EXPECT_EQ(SiteOf(Servers({{"MX1.Example.NET.", 10}, {"mx2.example.net", 10}})), "example.net");
  EXPECT_EQ(SiteOf(Servers({{"mx.b.example", 10}, {"mx.a.test", 10}})), "a.test+b.example");
}

TEST(SiteTest, NamesAreRegisteredBelowPublicSuffixes) {
  EXPECT_EQ(SiteOf(Servers({{"mx.one.co.uk", 0}})), "one.co.uk");
  EXPECT_EQ(SiteOf(Servers({{"mx.two.co.uk", 0}})), "two.co.uk");
  EXPECT_EQ(SiteOf(Servers({{"mx.three.de", 0}})), "three.de");
  EXPECT_EQ(SiteOf(Servers({{"co.uk", 0}})), "co.uk");
  EXPECT_EQ(SiteOf(Servers({{"mx.one.kawasaki.jp", 0}})), "mx.one.kawasaki.jp");
  EXPECT_EQ(SiteOf(Servers({{"mx.city.kawasaki.jp", 0}})), "city.kawasaki.jp");
  EXPECT_EQ(SiteOf(Servers({{"mx.one.xn--55qx5d.cn", 0}})), "one.xn--55qx5d.cn");
  EXPECT_EQ(SiteOf(Servers({{"mx.one.unlisted", 0}})), "one.unlisted");
}

TEST(SiteTest, NamesThatACompanyGivesItsCustomersAreItsOwn) {
  EXPECT_EQ(SiteOf(Servers({{"inbound.eu-west-1.compute.amazonaws.com", 0}})), "amazonaws.com");
  EXPECT_EQ(SiteOf(Servers({{"mx.customer.github.io", 0}})), "github.io");
}

TEST(SiteTest, ABackupElsewhereDoesNotMakeAnotherSite) {
  EXPECT_EQ(SiteOf(Servers({{"mx.one.example", 10}, {"backup.other.example", 20}})),
            "one.example");
}

TEST(SiteTest, ServersWithoutANameAreTheirAddress) {
  EXPECT_EQ(SiteOf(Servers({{"192.0.2.1", 0}})), "192.0.2.1");
  EXPECT_EQ(SiteOf(Servers({{"2001:db8::1", 0}})), "2001:db8::1");
  EXPECT_EQ(SiteOf(Servers({{"127.0.0.1", 0}}, 2525)), "127.0.0.1:2525");
  EXPECT_EQ(SiteOf(Servers({{"mx.one.example", 0}}, 2525)), "one.example");
  EXPECT_EQ(SiteOf(Servers({{"/run/a.b.c/lmtp", 0}}, 0)), "/run/a.b.c/lmtp");
}

TEST(TrafficRulesTest, TheFirstRuleThatFitsCounts) {
  TrafficRules rules;
  const auto add = [&rules](std::string domain, std::string mx, int per_second) {
    TrafficRule rule;
    rule.domain = std::move(domain);
    rule.mx = std::move(mx);
    rule.limits.per_second = per_second;
    EXPECT_TRUE(rules.Add(std::move(rule)).ok());
  };
  add("special.example", "*", 1);
  add("*", "*.Google.com", 2);
  add("*.below.example", "*", 3);
  const auto google = Servers({{"aspmx.l.google.com", 1}, {"mx.backup.example", 5}});
  const auto other = Servers({{"mx.other.example", 1}, {"alt.google.com", 5}});
  EXPECT_EQ(rules.For("special.example", google).limits.per_second, 1);
  EXPECT_EQ(rules.For("one.example", google).limits.per_second, 2);
  EXPECT_EQ(rules.For("one.example", google).name(), "mx *.google.com");
  EXPECT_EQ(rules.For("one.example", other).limits.per_second, 0);
  EXPECT_EQ(rules.For("a.below.example", other).limits.per_second, 3);
  EXPECT_EQ(rules.For("below.example", other).limits.per_second, 0);
  TrafficRule wrong;
  wrong.mx = "mx.*.example";
  EXPECT_FALSE(rules.Add(wrong).ok());
}

struct ReplyCase {
  const char* name;
  int code;
  const char* status;
  const char* text;
  bool slows;
};

TEST(ReplyRulesTest, WhatIsBuiltIn) {
  const ReplyCase cases[] = {
      {"closing", 421, "4.3.2", "Service not available", true},
      {"policy", 450, "4.7.1", "Too much mail from your network", true},
      {"rate", 452, "", "You have exceeded the Rate Limit", true},
      {"later", 451, "4.3.0", "Try again later", true},
      {"connections", 421, "", "too many connections from your host", true},
      {"greylisting", 450, "4.7.1", "Greylisted, try again later", false},
      {"mailbox full", 452, "4.2.2", "mailbox full, try again later", false},
      {"unknown user for now", 450, "4.1.1", "try again later", false},
      {"disk", 452, "4.3.1", "insufficient system storage", false},
      {"for good", 550, "5.7.1", "rate limit", false},
  };
  const ReplyRules rules;
  for (const ReplyCase& c : cases) {
    const ReplyRule* rule = rules.Find(c.code, c.status, c.text, "mx.example.net");
    EXPECT_EQ(rule != nullptr, c.slows) << c.name;
    if (rule == nullptr) continue;
    EXPECT_EQ(rule->action, ReplyRule::Action::kSlowDown) << c.name;
  }
  EXPECT_EQ(rules.Find(421, "4.7.0", "[TSS04] Messages temporarily deferred", "mx")->action,
            ReplyRule::Action::kPause);
}

TEST(ReplyRulesTest, ThoseOfTheConfigurationComeFirstInTheirOrder) {
  ReplyRules rules;
  const auto add = [&rules](const char* code, const char* text, const char* mx,
                            ReplyRule::Action action) {
    ReplyRule rule;
    rule.code = code;
    rule.text = text;
    rule.mx = mx;
    rule.action = action;
    EXPECT_TRUE(rules.Add(rule).ok());
  };
  add("55", "Block List", "*", ReplyRule::Action::kSwitch);
  add("421", "", "*.quiet.example", ReplyRule::Action::kNone);
  add("421", "", "*", ReplyRule::Action::kPause);
  EXPECT_EQ(rules.Find(554, "5.7.1", "on our block list", "mx.a.example")->action,
            ReplyRule::Action::kSwitch);
  EXPECT_EQ(rules.Find(421, "", "bye", "MX.quiet.example"), nullptr);
  EXPECT_EQ(rules.Find(421, "", "bye", "mx.a.example")->action, ReplyRule::Action::kPause);
  EXPECT_EQ(rules.Find(450, "4.7.1", "x", "mx.a.example")->action, ReplyRule::Action::kSlowDown);
  ReplyRule wrong;
  wrong.code = "4x1";
  EXPECT_FALSE(rules.Add(wrong).ok());
}

}  // namespace
}  // namespace posthorn::delivery
