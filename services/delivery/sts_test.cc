#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "lib/base/failure.h"
#include "lib/base/manual_executor.h"
#include "lib/dns/fake_resolver.h"
#include "services/delivery/sts_policies.h"
#include "services/delivery/sts_policy.h"
#include "services/delivery/tls_rule.h"

namespace posthorn::delivery {
namespace {

constexpr char kEnforce[] =
    "version: STSv1\r\nmode: enforce\r\nmx: Mail.example.net\r\nmx: *.example.org\r\n"
    "max_age: 1000\r\n";

TEST(StsRecordTest, HasOneIdOrNone) {
  EXPECT_EQ(ParseStsRecord({"v=STSv1; id=20160831085700Z;"}), "20160831085700Z");
  EXPECT_EQ(ParseStsRecord({"v=spf1 -all", "v=STSv1;id=a; later=field"}), "a");
  for (const char* bad : {"", "v=STSv1", "v=STSv1; id=", "v=STSv1; id=a-b", "id=a; v=STSv1",
                          "v=STSv2; id=a", "v=STSv1; id=123456789012345678901234567890123"}) {
    EXPECT_EQ(ParseStsRecord({bad}), std::nullopt) << bad;
  }
  EXPECT_EQ(ParseStsRecord({"v=STSv1; id=a", "v=STSv1; id=b"}), std::nullopt) << "two are none";
}

TEST(StsPolicyTest, ReadsWhatDomainsPublish) {
  const auto policy = ParseStsPolicy(kEnforce);
  ASSERT_TRUE(policy.ok());
  EXPECT_EQ(policy->mode, StsPolicy::Mode::kEnforce);
  EXPECT_EQ(policy->mx, (std::vector<std::string>{"mail.example.net", "*.example.org"}));
  EXPECT_EQ(policy->max_age, absl::Seconds(1000));
  EXPECT_TRUE(ParseStsPolicy("version: STSv1\nmode: none\nmax_age: 1\nnew: field\n").ok());
  EXPECT_EQ(ParseStsPolicy("version: STSv1\nmode: none\nmax_age: 99999999999\n")->max_age,
            absl::Seconds(31557600));
  for (const char* bad :
       {"", "mode: none\nversion: STSv1\nmax_age: 1\n", "version: STSv2\nmode: none\nmax_age: 1\n",
        "version: STSv1\nmax_age: 1\nmx: a\n", "version: STSv1\nmode: strict\nmax_age: 1\nmx: a\n",
        "version: STSv1\nmode: enforce\nmx: a\n", "version: STSv1\nmode: enforce\nmax_age: 1\n",
        "version: STSv1\nmode: enforce\nmax_age: x\nmx: a\n", "<html>\n",
        "version: STSv1\nmode: enforce\nmax_age: 1\nmx: a b\n"}) {
    EXPECT_FALSE(ParseStsPolicy(bad).ok()) << bad;
  }
}

TEST(StsPolicyTest, AWildcardIsOneLabel) {
  const StsPolicy policy = *ParseStsPolicy(kEnforce);
  EXPECT_TRUE(StsAllows(policy, "mail.EXAMPLE.net"));
  EXPECT_TRUE(StsAllows(policy, "mx1.example.org"));
  for (const char* other : {"example.org", "a.b.example.org", "mx.mail.example.net", "evil.test"}) {
    EXPECT_FALSE(StsAllows(policy, other)) << other;
  }
}

class FakeStore final : public StsStore {
 public:
  Task<absl::StatusOr<std::optional<StoredStsPolicy>>> FindStsPolicy(std::string domain) override {
    if (!failure.ok()) co_return failure;
    const auto it = policies.find(domain);
    if (it == policies.end()) co_return std::nullopt;
    co_return it->second;
  }
  Task<absl::Status> StoreStsPolicy(std::string domain, StoredStsPolicy policy) override {
    if (failure.ok()) policies[domain] = std::move(policy);
    co_return failure;
  }
  std::map<std::string, StoredStsPolicy> policies;
  absl::Status failure = absl::OkStatus();
};

class FakeFetcher final : public StsFetcher {
 public:
  Task<absl::StatusOr<std::string>> FetchStsPolicy(std::string domain) override {
    ++fetches;
    EXPECT_EQ(domain, "example.net");
    co_return text;
  }
  absl::StatusOr<std::string> text = std::string(kEnforce);
  int fetches = 0;
};

class StsPoliciesTest : public ::testing::Test {
 protected:
  StsPoliciesTest() { Publish("one"); }
  void Publish(const std::string& id) {
    dns_ = std::make_unique<dns::FakeResolver>();
    dns_->AddTxt("_mta-sts.example.net", "v=STSv1; id=" + id);
    Restart();
  }
  void Restart() {
    policies_ = std::make_unique<StsPolicies>(*dns_, store_, fetcher_, clock_);
  }
  StsFinding Ask() { return executor_.Run(policies_->For("example.net")).value(); }
  bool Enforces() {
    const StsFinding found = Ask();
    return found.policy.has_value() && found.policy->mode == StsPolicy::Mode::kEnforce;
  }

  ManualExecutor executor_;
  FakeClock clock_{absl::FromUnixSeconds(1000)};
  std::unique_ptr<dns::FakeResolver> dns_;
  FakeStore store_;
  FakeFetcher fetcher_;
  std::unique_ptr<StsPolicies> policies_;
};

TEST_F(StsPoliciesTest, FetchesOnceForAllWorkersUntilTheIdChanges) {
  EXPECT_TRUE(Enforces());
  EXPECT_TRUE(Enforces());
  Restart();
  EXPECT_TRUE(Enforces());
  EXPECT_EQ(fetcher_.fetches, 1);
  Publish("two");
  fetcher_.text = "version: STSv1\nmode: testing\nmx: a.test\nmax_age: 1000\n";
  EXPECT_EQ(Ask().policy->mode, StsPolicy::Mode::kTesting);
  EXPECT_EQ(fetcher_.fetches, 2);
  EXPECT_EQ(store_.policies["example.net"].id, "two");
}

TEST_F(StsPoliciesTest, WhatIsKnownCountsUntilItIsTooOld) {
  EXPECT_TRUE(Enforces());
  // Neither a lost record nor a failing fetch takes it away (RFC 8461 section 5.1).
  dns_ = std::make_unique<dns::FakeResolver>();
  Restart();
  EXPECT_TRUE(Enforces());
  Publish("two");
  fetcher_.text = MakeFailure(Failure::kUnavailable, "no");
  EXPECT_TRUE(Enforces());
  clock_.Advance(absl::Seconds(1001));
  const StsFinding found = Ask();
  EXPECT_FALSE(found.policy.has_value());
  EXPECT_EQ(found.problem, "sts-policy-fetch-error");
}

// RFC 8461 section 3.3: while mail flows a policy does not run out, although its id stays.
TEST_F(StsPoliciesTest, APolicyIsFetchedAgainAfterADay) {
  fetcher_.text = "version: STSv1\nmode: enforce\nmx: a.test\nmax_age: 172800\n";
  EXPECT_TRUE(Enforces());
  clock_.Advance(absl::Hours(23));
  EXPECT_TRUE(Enforces());
  EXPECT_EQ(fetcher_.fetches, 1);
  clock_.Advance(absl::Hours(2));
  const absl::StatusOr<std::string> text = fetcher_.text;
  fetcher_.text = MakeFailure(Failure::kUnavailable, "no");
  EXPECT_TRUE(Enforces());
  EXPECT_TRUE(Enforces());
  EXPECT_EQ(fetcher_.fetches, 2);
  clock_.Advance(absl::Minutes(6));
  fetcher_.text = text;
  EXPECT_TRUE(Enforces());
  EXPECT_EQ(fetcher_.fetches, 3);
  clock_.Advance(absl::Hours(23) + absl::Minutes(30));  // past the end of the first one
  Restart();
  EXPECT_TRUE(Enforces());
  EXPECT_EQ(fetcher_.fetches, 3);
}

TEST_F(StsPoliciesTest, AFailureIsNotTriedAgainAtOnce) {
  fetcher_.text = WithTlsResult(MakeFailure(Failure::kUnavailable, "no"), "sts-webpki-invalid");
  EXPECT_EQ(Ask().problem, "sts-webpki-invalid");
  EXPECT_EQ(Ask().problem, "sts-webpki-invalid");
  EXPECT_EQ(fetcher_.fetches, 1);
  clock_.Advance(absl::Minutes(5));
  fetcher_.text = std::string(kEnforce);
  EXPECT_TRUE(Enforces());
  fetcher_.text = std::string("<html>");
  Publish("two");
  clock_.Advance(absl::Seconds(2000));
  EXPECT_EQ(Ask().problem, "sts-policy-invalid");
}

TEST_F(StsPoliciesTest, WorksWithoutTheStore) {
  store_.failure = MakeFailure(Failure::kStorageDown);
  EXPECT_TRUE(Enforces());
  EXPECT_TRUE(Enforces());
  EXPECT_EQ(fetcher_.fetches, 1);
}

TEST_F(StsPoliciesTest, ADomainWithoutARecordIsNotAsked) {
  dns_ = std::make_unique<dns::FakeResolver>();
  Restart();
  const StsFinding found = Ask();
  EXPECT_FALSE(found.policy.has_value());
  EXPECT_EQ(found.problem, "");
  EXPECT_EQ(fetcher_.fetches, 0);
}

}  // namespace
}  // namespace posthorn::delivery
