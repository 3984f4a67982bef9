#include "services/delivery/smart_hosts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/base/failure.h"
#include "lib/base/manual_executor.h"
#include "lib/dns/fake_resolver.h"
#include "services/delivery/mail_router.h"
#include "services/delivery/testing/fakes.h"

namespace posthorn::delivery {
namespace {

using ::testing::ElementsAre;

class SmartHostsTest : public ::testing::Test {
 protected:
  SmartHostsTest() {
    directory_.smart_hosts[{TenantId(1), "example.test"}] = {"192.0.2.1:587", "192.0.2.2"};
    MailRouterOptions options;
    options.hostname = "us.example.org";
    options.smart_hosts = &smart_hosts_;
    options.random = [](std::size_t) { return std::size_t{0}; };
    EXPECT_TRUE(routes_.Add("internal.example", {"192.0.2.9"}, 25).ok());
    EXPECT_TRUE(routes_.Add("*", {"192.0.2.8"}, 25).ok());
    router_ = std::make_unique<MailRouter>(options, routes_, dns_, clock_);
  }
  absl::StatusOr<std::vector<Host>> Ask(const std::string& domain, int tenant,
                                        const std::string& sender) {
    return executor_.Run(router_->HostsFor(domain, Sender(TenantId(tenant), sender))).value();
  }
  std::vector<std::string> Names(const std::string& domain, int tenant,
                                 const std::string& sender) {
    const auto hosts = Ask(domain, tenant, sender);
    EXPECT_TRUE(hosts.ok()) << hosts.status();
    std::vector<std::string> names;
    if (hosts.ok()) {
      for (const Host& host : *hosts) names.push_back(host.ToString());
    }
    return names;
  }

  ManualExecutor executor_;
  dns::FakeResolver dns_;
  FakeClock clock_{absl::FromUnixSeconds(1000)};
  FakeDirectory directory_;
  SmartHosts smart_hosts_{directory_, clock_, 2525};
  RouteTable routes_;
  std::unique_ptr<MailRouter> router_;
};

TEST_F(SmartHostsTest, MailOfADomainLeavesThroughItsServersInOrder) {
  EXPECT_THAT(Names("example.net", 1, "ann@Example.test"),
              ElementsAre("192.0.2.1[192.0.2.1]:587", "192.0.2.2[192.0.2.2]:2525"));
  // Neither another domain's, nor another tenant's, nor what is nobody's.
  const auto everybodys = ElementsAre("192.0.2.8[192.0.2.8]:25");
  EXPECT_THAT(Names("example.net", 1, "ann@other.test"), everybodys);
  EXPECT_THAT(Names("example.net", 2, "ann@example.test"), everybodys);
  EXPECT_THAT(Names("example.net", 1, ""), everybodys);
  // The operator's route for a domain comes first.
  EXPECT_THAT(Names("internal.example", 1, "ann@example.test"),
              ElementsAre("192.0.2.9[192.0.2.9]:25"));
}

TEST_F(SmartHostsTest, AnswersAreRememberedForAWhile) {
  Names("example.net", 1, "ann@example.test");
  Names("example.com", 1, "bob@example.test");
  EXPECT_EQ(directory_.smart_host_calls, 1);
  directory_.smart_hosts.clear();
  clock_.Advance(absl::Seconds(30));
  EXPECT_THAT(Names("example.net", 1, "ann@example.test"), ElementsAre("192.0.2.8[192.0.2.8]:25"));
}

TEST_F(SmartHostsTest, WithoutTheDirectoryWhatWasKnownHolds) {
  Names("example.net", 1, "ann@example.test");
  directory_.failure = MakeFailure(Failure::kPermissionDenied);
  clock_.Advance(absl::Minutes(59));
  EXPECT_THAT(Names("example.net", 1, "ann@example.test"),
              ElementsAre("192.0.2.1[192.0.2.1]:587", "192.0.2.2[192.0.2.2]:2525"));
  const auto unknown = Ask("example.net", 1, "ann@new.test");
  ASSERT_FALSE(unknown.ok());
  EXPECT_FALSE(IsPermanent(unknown.status())) << "never a reason to return mail";
  clock_.Advance(absl::Minutes(2));
  EXPECT_FALSE(Ask("example.net", 1, "ann@example.test").ok());
}

TEST_F(SmartHostsTest, WhatCannotBeReadWaits) {
  directory_.smart_hosts[{TenantId(1), "example.test"}] = {"192.0.2.1:x"};
  const auto hosts = Ask("example.net", 1, "ann@example.test");
  ASSERT_FALSE(hosts.ok());
  EXPECT_FALSE(IsPermanent(hosts.status()));
}

}  // namespace
}  // namespace posthorn::delivery
