// Counts for reports about TLS, and whose it is to make one.

#include "services/queue/tls_reports.h"

#include <gmock/gmock.h>

#include "absl/strings/str_cat.h"
#include "absl/time/civil_time.h"
#include "services/queue/queue_test_base.h"

namespace posthorn::queue {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

class TlsReportsTest : public QueueTest {
 protected:
  TlsReports& reports() { return queue_->core().tls_reports(); }
  int Today() const {
    return static_cast<int>(absl::ToCivilDay(clock_.Now(), absl::UTCTimeZone()) -
                            absl::CivilDay(1970, 1, 1));
  }
  TlsResult Result(const std::string& domain, const std::string& result, std::int64_t sessions) {
    TlsResult one;
    one.day = Today();
    one.domain = domain;
    one.type = "sts";
    one.policy_domain = domain;
    one.policy = "version: STSv1\nmode: enforce";
    one.mx = "mx." + domain;
    if (!result.empty()) {
      one.result = result;
      one.mx_host = "mx." + domain;
      one.receiving_ip = "192.0.2.1";
      one.sending_ip = "198.51.100.1";
      one.reason = "why";
    }
    one.sessions = sessions;
    return one;
  }
  void Add(std::vector<TlsResult> results, char batch) {
    const absl::Status added =
        queue_->Run(reports().Add(std::string(16, batch), std::move(results)));
    ASSERT_TRUE(added.ok()) << added;
  }
  std::optional<DueTlsReport> Lease(Replica& replica) {
    auto due = replica.Run(replica.core().tls_reports().Lease());
    EXPECT_TRUE(due.ok()) << due.status();
    return due.ok() ? *std::move(due) : std::nullopt;
  }
  void Finish(const DueTlsReport& due, TlsReportOutcome outcome) {
    const absl::Status finished =
        queue_->Run(reports().Finish(due.day, due.domain, due.attempt, outcome, "note"));
    ASSERT_TRUE(finished.ok()) << finished;
  }
  std::vector<TlsReportRow> List() {
    auto rows = queue_->Run(reports().List("", 100));
    EXPECT_TRUE(rows.ok()) << rows.status();
    return rows.ok() ? *std::move(rows) : std::vector<TlsReportRow>();
  }
};

TEST_F(TlsReportsTest, CountsAddUpAndABatchCountsOnce) {
  Add({Result("one.example", "", 5), Result("one.example", "certificate-expired", 2)}, 'a');
  Add({Result("one.example", "", 5), Result("one.example", "certificate-expired", 2)}, 'a');
  Add({Result("one.example", "", 1), Result("one.example", "certificate-expired", 1),
       Result("one.example", "starttls-not-supported", 7)},
      'b');
  EXPECT_FALSE(Lease(*queue_).has_value()) << "not before the day is over";
  ASSERT_THAT(List(), SizeIs(1));
  EXPECT_EQ(List()[0].successful, 6);
  EXPECT_EQ(List()[0].failed, 10);
  const int day = Today();
  clock_.Advance(absl::Hours(30));
  const std::optional<DueTlsReport> due = Lease(*queue_);
  ASSERT_TRUE(due.has_value());
  EXPECT_EQ(due->domain, "one.example");
  EXPECT_EQ(due->day, day);
  ASSERT_THAT(due->policies, SizeIs(1));
  EXPECT_EQ(due->policies[0].policy.policy, "version: STSv1\nmode: enforce");
  EXPECT_EQ(due->policies[0].successful, 6);
  EXPECT_EQ(due->policies[0].failed, 10);
  std::vector<std::string> failures;
  for (const TlsResult& failure : due->policies[0].failures) {
    failures.push_back(absl::StrCat(failure.result, " ", failure.sessions, " ", failure.reason));
  }
  EXPECT_THAT(failures, ElementsAre("starttls-not-supported 7 why", "certificate-expired 3 why"));
}

TEST_F(TlsReportsTest, OneReplicaHasAReportAndAnotherTakesOverWithTheSameId) {
  Add({Result("one.example", "", 1)}, 'a');
  clock_.Advance(absl::Hours(30));
  const std::unique_ptr<Replica> other = Another();
  const std::optional<DueTlsReport> first = Lease(*queue_);
  ASSERT_TRUE(first.has_value());
  EXPECT_FALSE(Lease(*other).has_value());
  clock_.Advance(absl::Minutes(6));
  const std::optional<DueTlsReport> second = Lease(*other);
  ASSERT_TRUE(second.has_value());
  EXPECT_EQ(second->message_id, first->message_id);
  EXPECT_EQ(second->attempt, 2);
  Finish(*first, TlsReportOutcome::kNotWanted);  // too late
  EXPECT_EQ(List()[0].state, TlsReportOutcome::kFailed) << "it waits";
  Finish(*second, TlsReportOutcome::kSent);
  EXPECT_EQ(List()[0].state, TlsReportOutcome::kSent);
  EXPECT_EQ(Count("SELECT count(*) FROM queue.tls_result"), 0);
  clock_.Advance(absl::Hours(1));
  EXPECT_FALSE(Lease(*queue_).has_value());
  EXPECT_EQ(*queue_->Run(reports().MakeDue(std::nullopt, "")), 0) << "sent once";
}

TEST_F(TlsReportsTest, AFailedOneIsTriedForTwoDaysAndThenWhenAskedTo) {
  Add({Result("one.example", "", 1)}, 'a');
  const int day = Today();
  clock_.Advance(absl::Hours(30));
  std::optional<DueTlsReport> due = Lease(*queue_);
  ASSERT_TRUE(due.has_value());
  Finish(*due, TlsReportOutcome::kFailed);
  EXPECT_FALSE(Lease(*queue_).has_value());
  clock_.Advance(absl::Minutes(61));
  due = Lease(*queue_);
  ASSERT_TRUE(due.has_value());
  clock_.Advance(absl::Hours(72));
  Finish(*due, TlsReportOutcome::kFailed);
  EXPECT_EQ(List()[0].state, TlsReportOutcome::kGivenUp);
  EXPECT_EQ(*queue_->Run(reports().MakeDue(day + 1, "")), 0);
  EXPECT_EQ(*queue_->Run(reports().MakeDue(day, "two.example")), 0);
  EXPECT_EQ(*queue_->Run(reports().MakeDue(day, "one.example")), 1);
  due = Lease(*queue_);
  ASSERT_TRUE(due.has_value());
  EXPECT_THAT(due->policies, SizeIs(1)) << "the counts are still there";
}

TEST_F(TlsReportsTest, TodaysCannotBeAskedForYet) {
  Add({Result("one.example", "", 1)}, 'a');
  EXPECT_EQ(*queue_->Run(reports().MakeDue(std::nullopt, "")), 0);
  // A minute after midnight, before any report is due by itself.
  const absl::Time midnight =
      absl::FromCivil(absl::ToCivilDay(clock_.Now(), absl::UTCTimeZone()) + 1, absl::UTCTimeZone());
  clock_.Advance(midnight - clock_.Now() + absl::Minutes(1));
  EXPECT_FALSE(Lease(*queue_).has_value());
  EXPECT_EQ(*queue_->Run(reports().MakeDue(std::nullopt, "")), 1);
  EXPECT_TRUE(Lease(*queue_).has_value());
}

TEST_F(TlsReportsTest, OldDaysAreForgotten) {
  Add({Result("one.example", "", 1)}, 'a');
  clock_.Advance(absl::Hours(24 * 14));
  Add({Result("one.example", "", 1)}, 'b');
  ASSERT_TRUE(queue_->Run(reports().Forget(14)).ok());
  EXPECT_THAT(List(), SizeIs(2));
  clock_.Advance(absl::Hours(24));
  ASSERT_TRUE(queue_->Run(reports().Forget(14)).ok());
  EXPECT_THAT(List(), SizeIs(1));
  EXPECT_EQ(Count("SELECT count(*) FROM queue.tls_result"), 1);
  EXPECT_EQ(Count("SELECT count(*) FROM queue.tls_batch"), 1);
}

}  // namespace
}  // namespace posthorn::queue
