#include "services/delivery/tls_policies.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/base/failure.h"
#include "lib/base/manual_executor.h"
#include "lib/dns/fake_resolver.h"

namespace posthorn::delivery {
namespace {

using ::testing::ElementsAre;
using Level = TlsPolicyRule::Level;

class NoStore final : public StsStore {
 public:
  Task<absl::StatusOr<std::optional<StoredStsPolicy>>> FindStsPolicy(std::string) override {
    co_return std::nullopt;
  }
  Task<absl::Status> StoreStsPolicy(std::string, StoredStsPolicy) override {
    co_return absl::OkStatus();
  }
};

class TextFetcher final : public StsFetcher {
 public:
  Task<absl::StatusOr<std::string>> FetchStsPolicy(std::string) override { co_return text; }
  std::string text;
};

class TlsPoliciesTest : public ::testing::Test {
 protected:
  TlsPoliciesTest() {
    options_.sts = &sts_;
    host_.name = host_.canonical_name = "mx.example.net";
    host_.ip = "192.0.2.1";
    host_.by_mx = true;
    dns_.Secure();
    host_.secure = true;
  }
  static dns::TlsaRecord Tlsa(int usage, int selector, int type, std::size_t octets) {
    dns::TlsaRecord record;
    record.usage = usage;
    record.selector = selector;
    record.matching_type = type;
    record.data = std::string(octets, 'x');
    return record;
  }
  void Sts(const std::string& mode, const std::string& mx) {
    dns_.AddTxt("_mta-sts.example.net", "v=STSv1; id=1");
    fetcher_.text = "version: STSv1\nmode: " + mode + "\nmx: " + mx + "\nmax_age: 1000\n";
  }
  void AddRule(std::string pattern, Level level) {
    TlsPolicyRule rule;
    rule.pattern = std::move(pattern);
    rule.level = level;
    options_.rules.push_back(rule);
  }
  absl::StatusOr<TlsRule> Ask(bool require_tls = false) {
    TlsPolicies policies(options_, dns_);
    return executor_.Run(policies.RuleFor(host_, "example.net", require_tls)).value();
  }

  ManualExecutor executor_;
  FakeClock clock_{absl::FromUnixSeconds(1000)};
  dns::FakeResolver dns_;
  NoStore store_;
  TextFetcher fetcher_;
  StsPolicies sts_{dns_, store_, fetcher_, clock_};
  TlsPolicyOptions options_;
  Host host_;
};

TEST_F(TlsPoliciesTest, WithoutAnyPolicyTlsIsOpportunistic) {
  const auto rule = Ask();
  ASSERT_TRUE(rule.ok());
  EXPECT_EQ(rule->level, TlsLevel::kOpportunistic);
  EXPECT_FALSE(rule->must_encrypt);
  EXPECT_EQ(Ask(true)->level, TlsLevel::kVerified) << "REQUIRETLS";
  options_.enabled = false;
  EXPECT_EQ(Ask()->level, TlsLevel::kOff);
}

TEST_F(TlsPoliciesTest, TheFirstRuleThatFitsCounts) {
  dns_.AddTlsa("_25._tcp.mx.example.net", Tlsa(3, 1, 1, 32));
  AddRule("*.example.net", Level::kVerified);
  AddRule("example.net", Level::kEncrypted);
  AddRule("*", Level::kOff);
  const auto rule = Ask();
  EXPECT_EQ(rule->level, TlsLevel::kEncrypted);
  EXPECT_TRUE(rule->must_encrypt);
  options_.rules[1].level = Level::kAutomatic;
  EXPECT_EQ(Ask()->level, TlsLevel::kDane);
}

TEST_F(TlsPoliciesTest, DaneNeedsUsableRecordsAndASecureWay) {
  dns_.AddTlsa("_25._tcp.mx.example.net", Tlsa(1, 0, 1, 32));  // PKIX: of no use to SMTP
  auto rule = Ask();
  EXPECT_EQ(rule->level, TlsLevel::kEncrypted) << "unusable records promise TLS all the same";
  EXPECT_TRUE(rule->must_encrypt);
  dns_.AddTlsa("_25._tcp.mx.example.net", Tlsa(2, 1, 2, 64));
  dns_.AddTlsa("_25._tcp.mx.example.net", Tlsa(3, 1, 1, 31));
  dns_.AddTlsa("_25._tcp.mx.example.net", Tlsa(3, 2, 1, 32));
  rule = Ask();
  EXPECT_EQ(rule->level, TlsLevel::kDane);
  ASSERT_EQ(rule->dane.size(), 1u);
  EXPECT_EQ(rule->dane[0].usage, 2);
  EXPECT_THAT(rule->names, ElementsAre("mx.example.net", "mx.example.net", "example.net"));
  host_.secure = false;
  EXPECT_EQ(Ask()->level, TlsLevel::kOpportunistic);
  host_.secure = true;
  dns_.Unsign("mx.example.net");
  EXPECT_EQ(Ask()->level, TlsLevel::kOpportunistic);
  options_.dane = false;
  EXPECT_EQ(Ask()->level, TlsLevel::kOpportunistic);
}

TEST_F(TlsPoliciesTest, BogusTlsaRecordsKeepMailFromTheServer) {
  dns_.Break("_25._tcp.mx.example.net");
  const auto rule = Ask();
  EXPECT_EQ(FailureOf(rule.status()), Failure::kTlsFailed);
  EXPECT_FALSE(IsPermanent(rule.status()));
  EXPECT_EQ(TlsResultOf(rule.status()), "dnssec-invalid");
  host_.secure = false;
  EXPECT_TRUE(Ask().ok()) << "a server in an unsigned zone is not asked";
}

TEST_F(TlsPoliciesTest, TheEndOfTheAliasesIsAskedFirst) {
  host_.canonical_name = "real.example.org";
  dns_.AddTlsa("_25._tcp.mx.example.net", Tlsa(3, 1, 1, 32));
  EXPECT_EQ(Ask()->level, TlsLevel::kDane);
  dns_.AddTlsa("_25._tcp.real.example.org", Tlsa(2, 0, 1, 32));
  EXPECT_EQ(Ask()->dane[0].usage, 2);
  EXPECT_THAT(Ask()->names, ElementsAre("real.example.org", "mx.example.net", "example.net"));
}

TEST_F(TlsPoliciesTest, RequiredDaneIsNotReplaced) {
  AddRule("*", Level::kDane);
  Sts("enforce", "mx.example.net");
  EXPECT_EQ(TlsResultOf(Ask().status()), "dane-required");
  dns_.AddTlsa("_25._tcp.mx.example.net", Tlsa(3, 1, 1, 32));
  EXPECT_EQ(Ask()->level, TlsLevel::kDane);
}

TEST_F(TlsPoliciesTest, AnEnforcedPolicyNamesItsServers) {
  Sts("enforce", "*.example.net");
  auto rule = Ask();
  EXPECT_EQ(rule->level, TlsLevel::kVerified);
  EXPECT_TRUE(rule->must_encrypt);
  host_.name = host_.canonical_name = "evil.example.org";
  rule = Ask();
  EXPECT_EQ(FailureOf(rule.status()), Failure::kTlsFailed);
  host_.by_mx = false;
  EXPECT_TRUE(Ask().ok()) << "a route is the operator's word";
}

TEST_F(TlsPoliciesTest, ATestedPolicyStopsNothing) {
  Sts("testing", "mx.example.net");
  auto rule = Ask();
  EXPECT_EQ(rule->level, TlsLevel::kOpportunistic);
  EXPECT_TRUE(rule->observe);
  host_.name = host_.canonical_name = "evil.example.org";
  rule = Ask();
  ASSERT_TRUE(rule.ok());
  EXPECT_FALSE(rule->observe);
}

TEST_F(TlsPoliciesTest, DaneComesBeforeMtaSts) {
  Sts("enforce", "other.example.org");
  dns_.AddTlsa("_25._tcp.mx.example.net", Tlsa(3, 1, 1, 32));
  EXPECT_EQ(Ask()->level, TlsLevel::kDane);
}

TEST_F(TlsPoliciesTest, ALoginAsksForACertificate) {
  auto access = std::make_shared<HostAccess>();
  access->username = "ann";
  host_.access = access;
  EXPECT_EQ(Ask()->level, TlsLevel::kVerified);
  EXPECT_TRUE(Ask()->must_encrypt);
  access->tls = TlsLevel::kEncrypted;
  EXPECT_EQ(Ask()->level, TlsLevel::kEncrypted);
  Host socket;
  socket.name = "/run/lmtp";
  socket.port = 0;
  host_ = socket;
  EXPECT_EQ(Ask()->level, TlsLevel::kOff);
}

TEST_F(TlsPoliciesTest, MailAboutTroubleWithTlsIsNotKeptBackByIt) {
  Sts("enforce", "mx.elsewhere.example");
  dns_.AddTlsa("_25._tcp.mx.example.net", Tlsa(3, 1, 1, 32));
  TlsPolicies policies(options_, dns_);
  const auto rule = executor_.Run(policies.RuleFor(host_, "example.net", false, true)).value();
  ASSERT_TRUE(rule.ok());
  EXPECT_EQ(rule->level, TlsLevel::kOpportunistic);
  EXPECT_FALSE(rule->must_encrypt);
  EXPECT_EQ(rule->note, nullptr) << "and it is in no report";
  // What an operator has said stays.
  AddRule("example.net", Level::kEncrypted);
  TlsPolicies ruled(options_, dns_);
  EXPECT_TRUE(executor_.Run(ruled.RuleFor(host_, "example.net", false, true)).value()->must_encrypt);
}

TEST_F(TlsPoliciesTest, ReportsNameWhatPublishedThePolicy) {
  dns_.AddTlsa("_25._tcp.mx.example.net", Tlsa(3, 1, 1, 32));
  const auto rule = Ask();
  ASSERT_TRUE(rule.ok());
  EXPECT_EQ(rule->note->domain, "example.net");
  EXPECT_EQ(rule->note->policy_domain, "mx.example.net");
}

TEST(TlsRuleTest, ConnectionsAreSharedOnlyUnderTheSameRule) {
  TlsRule dane(TlsLevel::kDane);
  net::DaneRecord record;
  record.usage = 3;
  dane.dane.push_back(record);
  TlsRule rolled = dane;
  rolled.dane[0].data = "new";
  EXPECT_NE(dane.Key("mx"), rolled.Key("mx"));
  EXPECT_NE(dane.Key("mx"), TlsRule(TlsLevel::kVerified).Key("mx"));
  EXPECT_NE(TlsRule(TlsLevel::kVerified).Key("a"), TlsRule(TlsLevel::kVerified).Key("b"));
  EXPECT_EQ(TlsRule().Key("a"), TlsRule().Key("b")) << "no name was checked";
}

}  // namespace
}  // namespace posthorn::delivery
