// Reports about TLS to other domains: counting, and making what is due.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "absl/time/civil_time.h"
#include "lib/base/failure.h"
#include "lib/base/manual_executor.h"
#include "lib/dns/fake_resolver.h"
#include "services/delivery/testing/fakes.h"
#include "services/delivery/tls_counts.h"
#include "services/delivery/tls_reporter.h"

namespace posthorn::delivery {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr char kFrom[] = "tls@sender.test";

class Observed final : public TlsObserver {
 public:
  void OnTlsSession(const TlsRule&, const TlsOutcome&) override { ++sessions; }
  int sessions = 0;
};

TlsRule RuleOf(const std::string& domain, const std::string& type = "no-policy-found") {
  auto note = std::make_shared<TlsPolicyNote>();
  note->domain = domain;
  note->type = type;
  TlsRule rule;
  rule.note = note;
  return rule;
}

TlsOutcome Failed(const std::string& result, const std::string& text = "") {
  TlsOutcome outcome;
  outcome.host = "mx.example.net";
  outcome.ip = "192.0.2.1";
  outcome.sending_ip = "198.51.100.1";
  outcome.result = result;
  outcome.text = text;
  return outcome;
}

class FakeReports final : public TlsReportPort {
 public:
  Task<absl::Status> Add(std::string batch, const std::vector<TlsCount>& counts) override {
    batches.push_back(std::move(batch));
    if (!add_failure.ok()) co_return add_failure;
    for (const TlsCount& count : counts) added.push_back(count);
    co_return absl::OkStatus();
  }
  Task<absl::StatusOr<std::optional<DueTlsReport>>> Lease() override {
    std::optional<DueTlsReport> next;
    if (!due.empty()) {
      next = due.front();
      due.erase(due.begin());
    }
    co_return next;
  }
  Task<absl::Status> Finish(const DueTlsReport& report, TlsReportResult result,
                            std::string note) override {
    finished.push_back(report.domain);
    results.push_back(result);
    notes.push_back(std::move(note));
    co_return absl::OkStatus();
  }

  absl::Status add_failure = absl::OkStatus();
  std::vector<std::string> batches;
  std::vector<TlsCount> added;
  std::vector<DueTlsReport> due;
  std::vector<std::string> finished;
  std::vector<TlsReportResult> results;
  std::vector<std::string> notes;
};

class FakeHttps final : public HttpsClient {
 public:
  Task<absl::StatusOr<HttpsAnswer>> Ask(HttpsRequest request) override {
    requests.push_back(std::move(request));
    HttpsAnswer answer;
    answer.status = status;
    co_return answer;
  }
  int status = 201;
  std::vector<HttpsRequest> requests;
};

class TlsReportsTest : public ::testing::Test {
 protected:
  TlsReportsTest() {
    options_.from = kFrom;
    options_.organization_name = "Sender";
    options_.contact_info = kFrom;
    directory_.AddAccount(kFrom, TenantId(7), AccountId(1));
  }
  ~TlsReportsTest() override {
    if (reporter_ != nullptr) reporter_->Drain();
    executor_.Advance(absl::Minutes(1));
  }
  void Start() {
    reporter_ = std::make_unique<TlsReporter>(options_, executor_, counts_, port_, dns_, https_,
                                              queue_, directory_, clock_);
    reporter_->Start();
  }
  void AddDue(const std::string& domain) {
    DueTlsReport due;
    due.day = DayOf(clock_.Now()) - 1;
    due.domain = domain;
    due.attempt = 1;
    due.message_id = MessageId::Generate(clock_.Now());
    tlsrpt::PolicyResults& policy = due.policies.emplace_back();
    policy.type = "no-policy-found";
    policy.domain = domain;
    policy.successful = 5;
    port_.due.push_back(due);
  }

  ManualExecutor executor_;
  FakeClock clock_{
      absl::FromCivil(absl::CivilSecond(2026, 11, 27, 1, 2, 3), absl::UTCTimeZone())};
  Observed observed_;
  TlsCounts counts_{observed_, clock_};
  FakeReports port_;
  dns::FakeResolver dns_;
  FakeHttps https_;
  FakeQueue queue_;
  FakeDirectory directory_;
  TlsReporterOptions options_;
  std::unique_ptr<TlsReporter> reporter_;
};

TEST_F(TlsReportsTest, SessionsAreCountedByDayPolicyAndOutcome) {
  const TlsRule rule = RuleOf("example.net");
  counts_.OnTlsSession(rule, TlsOutcome());
  counts_.OnTlsSession(rule, Failed("", "says nothing"));  // a success has no details
  counts_.OnTlsSession(rule, Failed("certificate-expired", "the first"));
  counts_.OnTlsSession(rule, Failed("certificate-expired", "the second\r\n"));
  counts_.OnTlsSession(rule, Failed("starttls-not-supported"));
  counts_.OnTlsSession(RuleOf("example.net", "sts"), TlsOutcome());
  counts_.OnTlsSession(RuleOf("example.org"), TlsOutcome());
  clock_.Advance(absl::Hours(23));
  counts_.OnTlsSession(rule, TlsOutcome());
  // An operator's rule is nobody's policy.
  counts_.OnTlsSession(TlsRule(), Failed("certificate-expired"));
  EXPECT_EQ(observed_.sessions, 9) << "and all of it is passed on";

  std::vector<std::string> lines;
  for (const TlsCount& count : counts_.Take(100)) {
    lines.push_back(absl::StrCat(count.day - 20784, " ", count.domain, " ", count.policy.type, " ",
                                 count.outcome.result, " ", count.outcome.host, " ",
                                 count.sessions));
  }
  EXPECT_THAT(lines, ElementsAre("0 example.net no-policy-found   2",
                                 "0 example.net no-policy-found certificate-expired mx.example.net 2",
                                 "0 example.net no-policy-found starttls-not-supported "
                                 "mx.example.net 1",
                                 "0 example.net sts   1", "0 example.org no-policy-found   1",
                                 "1 example.net no-policy-found   1"));
  EXPECT_THAT(counts_.Take(100), IsEmpty());
}

TEST_F(TlsReportsTest, WhatOthersPublishIsBounded) {
  auto note = std::make_shared<TlsPolicyNote>();
  note->domain = "example.net";
  note->type = "sts";
  note->text.assign(1000, std::string(1000, '\xff'));
  TlsRule rule;
  rule.note = note;
  counts_.OnTlsSession(rule, Failed("validation-failure", std::string(100000, '\n')));
  const std::vector<TlsCount> counts = counts_.Take(1);
  ASSERT_THAT(counts, SizeIs(1));
  EXPECT_LE(counts[0].policy.text.size(), 8u);
  EXPECT_EQ(counts[0].policy.text[0], std::string(500, '?'));
  EXPECT_EQ(counts[0].outcome.text, std::string(500, '?'));
  for (std::size_t i = 0; i < TlsCounts::kMaxOutcomes + 10; ++i) {
    counts_.OnTlsSession(RuleOf(absl::StrCat("d", i, ".example")), TlsOutcome());
  }
  EXPECT_THAT(counts_.Take(100000), SizeIs(TlsCounts::kMaxOutcomes));
}

TEST_F(TlsReportsTest, CountsArePassedOnOnceAlsoWhereTheAnswerIsLost) {
  Start();
  executor_.Advance(absl::Seconds(30));
  EXPECT_THAT(port_.batches, IsEmpty()) << "no call without counts";
  counts_.OnTlsSession(RuleOf("example.net"), TlsOutcome());
  port_.add_failure = MakeFailure(Failure::kUnavailable);
  executor_.Advance(absl::Seconds(12));
  ASSERT_THAT(port_.batches, SizeIs(2));
  counts_.OnTlsSession(RuleOf("example.net"), TlsOutcome());
  port_.add_failure = absl::OkStatus();
  executor_.Advance(absl::Seconds(6));
  // The same batch under the same id; what came meanwhile is another.
  ASSERT_THAT(port_.batches, SizeIs(4));
  EXPECT_EQ(port_.batches[0], port_.batches[1]);
  EXPECT_EQ(port_.batches[0], port_.batches[2]);
  EXPECT_NE(port_.batches[0], port_.batches[3]);
  ASSERT_THAT(port_.added, SizeIs(2));
  EXPECT_EQ(port_.added[0].sessions + port_.added[1].sessions, 2);
}

TEST_F(TlsReportsTest, ADrainPassesOnWhatIsLeft) {
  Start();
  counts_.OnTlsSession(RuleOf("example.net"), TlsOutcome());
  reporter_->Drain();
  executor_.Advance(absl::Seconds(1));
  EXPECT_TRUE(reporter_->idle());
  EXPECT_THAT(port_.added, SizeIs(1));
}

TEST_F(TlsReportsTest, ADomainThatAsksForItGetsItsReportByMail) {
  dns_.AddTxt("_smtp._tls.example.net", "v=TLSRPTv1; rua=mailto:tls@reports.example");
  AddDue("example.net");
  const MessageId id = port_.due[0].message_id;
  Start();
  executor_.Advance(absl::Seconds(15));
  EXPECT_THAT(port_.results, ElementsAre(TlsReportResult::kSent));
  EXPECT_THAT(port_.notes, ElementsAre("tls@reports.example"));
  ASSERT_THAT(queue_.enqueued, SizeIs(1));
  const OutboundMessage& mail = queue_.enqueued[0];
  EXPECT_EQ(mail.tenant, TenantId(7));
  EXPECT_EQ(mail.message_id, id) << "so that the queue takes it once";
  EXPECT_EQ(mail.reverse_path, kFrom);
  ASSERT_THAT(mail.recipients, SizeIs(1));
  EXPECT_EQ(mail.recipients[0].address, "tls@reports.example");
  EXPECT_TRUE(mail.recipients[0].options.never);
  EXPECT_TRUE(mail.options.tls_optional);
  EXPECT_FALSE(mail.options.deliver_by.has_value()) << "servers without DELIVERBY would not take it";
  EXPECT_THAT(mail.inline_body, HasSubstr("TLS-Report-Domain: example.net\r\n"));
  EXPECT_THAT(mail.inline_body, HasSubstr("TLS-Report-Submitter: sender.test\r\n"));
  EXPECT_THAT(mail.inline_body, HasSubstr("!1795651200!1795737599!")) << "the day before";
}

TEST_F(TlsReportsTest, OrByHttps) {
  dns_.AddTxt("_smtp._tls.example.net", "v=TLSRPTv1; rua=https://r.example:8443/tls?a=b");
  AddDue("example.net");
  Start();
  executor_.Advance(absl::Seconds(15));
  EXPECT_THAT(port_.results, ElementsAre(TlsReportResult::kSent));
  EXPECT_THAT(queue_.enqueued, IsEmpty());
  ASSERT_THAT(https_.requests, SizeIs(1));
  EXPECT_EQ(https_.requests[0].host, "r.example");
  EXPECT_EQ(https_.requests[0].port, 8443);
  EXPECT_EQ(https_.requests[0].target, "/tls?a=b");
  EXPECT_EQ(https_.requests[0].content_type, "application/tlsrpt+gzip");
  EXPECT_EQ(https_.requests[0].content.substr(0, 2), "\x1f\x8b");
}

TEST_F(TlsReportsTest, OneThatCannotBeSentComesBack) {
  dns_.AddTxt("_smtp._tls.refused.example", "v=TLSRPTv1; rua=https://r.example/");
  dns_.AddTxt("_smtp._tls.example.net", "v=TLSRPTv1; rua=mailto:tls@reports.example");
  dns_.Break("_smtp._tls.broken.example");
  https_.status = 503;
  queue_.enqueue_failure = MakeFailure(Failure::kStorageDown);
  AddDue("refused.example");
  AddDue("broken.example");
  AddDue("example.net");
  Start();
  executor_.Advance(absl::Seconds(15));
  EXPECT_THAT(port_.results, ElementsAre(TlsReportResult::kFailed, TlsReportResult::kFailed,
                                         TlsReportResult::kFailed));
  EXPECT_THAT(port_.notes[0], HasSubstr("status 503"));
}

TEST_F(TlsReportsTest, ADomainThatAsksForNoneGetsNone) {
  AddDue("example.net");
  dns_.AddTxt("_smtp._tls.other.example", "v=spf1 -all");
  AddDue("other.example");
  Start();
  executor_.Advance(absl::Seconds(15));
  EXPECT_THAT(port_.results,
              ElementsAre(TlsReportResult::kNotWanted, TlsReportResult::kNotWanted));
  EXPECT_THAT(queue_.enqueued, IsEmpty());
}

TEST_F(TlsReportsTest, TheSenderMustBeOneOfOurs) {
  dns_.AddTxt("_smtp._tls.example.net", "v=TLSRPTv1; rua=mailto:tls@reports.example");
  directory_.addresses.clear();
  AddDue("example.net");
  Start();
  executor_.Advance(absl::Seconds(15));
  EXPECT_THAT(port_.results, ElementsAre(TlsReportResult::kFailed));
  EXPECT_THAT(port_.notes[0], HasSubstr("delivery.tls_reports.from"));
}

}  // namespace
}  // namespace posthorn::delivery
