// Jobs whose destination stands still wait without being leased.

#include "services/queue/queue_test_base.h"

namespace posthorn::queue {
namespace {

constexpr int kJobs = 40;

class StandingTest : public QueueTest {
 protected:
  void Pause(std::string pattern) {
    queue::Pause pause;
    pause.pattern = std::move(pattern);
    pause.until = absl::InfiniteFuture();
    ASSERT_TRUE(queue_->Run(queue_->core().pauses().Set(std::move(pause))).ok());
  }
  // What a worker does: it asks, and reports that the job waits.
  Admission AskFor(const LeasedJob& job) {
    AdmitRequest request;
    request.tenant = job.ref.tenant;
    request.site = "site.example";
    request.domain = job.destination;
    Admission answer = queue_->Run(queue_->core().traffic().Admit(std::move(request)));
    if (answer.granted) return answer;
    JobReport report;
    report.key.ref = job.ref;
    report.key.attempt = job.attempt;
    report.key.destination = job.destination;
    report.retry_at = clock_.Now() + answer.wait;
    report.waited = true;
    report.waits = job.waits;
    queue_->Report({report});
    return answer;
  }
  // Leases and asks until nothing is due, and says how many were leased.
  int AskForAll() {
    int leased = 0;
    for (;;) {
      const std::vector<LeasedJob> jobs = queue_->Lease(5);
      if (jobs.empty()) return leased;
      leased += static_cast<int>(jobs.size());
      for (const LeasedJob& job : jobs) EXPECT_FALSE(AskFor(job).granted);
    }
  }
  void EnqueueMany() {
    for (int i = 0; i < kJobs; ++i) queue_->Enqueue(To({"a@one.example"}));
  }
  // Of the time that it takes until it is clear that all mail goes there.
  void FindOut() {
    AskForAll();
    clock_.Advance(Standstills::kTrial);
    AskForAll();
    clock_.Advance(Standstills::kTrial);
  }
};

TEST_F(StandingTest, ABacklogCostsAFewLeases) {
  Pause("site.example");
  EnqueueMany();
  int leased = AskForAll();
  EXPECT_LE(leased, 10);
  for (int i = 0; i < 8; ++i) {
    clock_.Advance(absl::Minutes(15));
    leased += AskForAll();
  }
  EXPECT_LE(leased, 20);
  EXPECT_EQ(Count("SELECT count(*) FROM queue.job WHERE attempt > waits"), 0);
  EXPECT_GE(Count("SELECT count(*) FROM queue.job WHERE attempt = 0"), kJobs - 20);
  for (const QueuedMessage& message : queue_->List()) {
    EXPECT_EQ(message.recipients[0].attempts, 0);
  }
}

TEST_F(StandingTest, OtherMailOfTheTenantIsNotKept) {
  Pause("site.example");
  EnqueueMany();
  FindOut();
  queue_->Enqueue(To({"b@two.example"}));
  const std::vector<LeasedJob> jobs = queue_->Lease(5);
  ASSERT_EQ(jobs.size(), 1u);
  EXPECT_EQ(jobs[0].destination, "two.example");
}

TEST_F(StandingTest, WhatAnotherTenantOrSenderSendsFindsOutForItself) {
  Pause("site.example");
  EnqueueMany();
  FindOut();
  EXPECT_EQ(AskForAll(), 0);
  Message other = To({"a@one.example"});
  other.reverse_path = "a@other.test";
  queue_->Enqueue(std::move(other));
  EXPECT_EQ(queue_->Lease().size(), 1u);
  queue_->Enqueue(To({"a@one.example"}, 2));
  EXPECT_EQ(queue_->Lease().size(), 1u);
}

TEST_F(StandingTest, ResumingLetsAllGoAtOnce) {
  Pause("site.example");
  EnqueueMany();
  FindOut();
  EXPECT_EQ(AskForAll(), 0);
  ASSERT_TRUE(queue_->Run(queue_->core().Resume("site.example")).ok());
  std::vector<LeasedJob> jobs = queue_->Lease(kJobs);
  ASSERT_EQ(jobs.size(), std::size_t{kJobs});
  for (const LeasedJob& job : jobs) EXPECT_EQ(job.attempt - job.waits, 1);
  EXPECT_TRUE(AskFor(jobs[0]).granted);
}

TEST_F(StandingTest, ThePauseMayEndByItself) {
  TrafficNote note;
  note.site = "site.example";
  note.action = TrafficNote::Action::kPause;
  note.duration = absl::Minutes(40);
  ASSERT_TRUE(queue_->Run(queue_->core().traffic().Note(note)).ok());
  EnqueueMany();
  FindOut();
  clock_.Advance(absl::Minutes(30));
  EXPECT_LE(AskForAll(), 5);
  EXPECT_EQ(Count("SELECT count(*) FROM queue.job WHERE due_at <= '" +
                  absl::FormatTime(clock_.Now()) + "'"), 0);
  // One after another, and a few that were leased a little later.
  clock_.Advance(absl::Minutes(12));
  EXPECT_EQ(queue_->Lease(100).size(), std::size_t{kJobs});
}

TEST_F(StandingTest, ADeadSiteIsProbedOnTime) {
  TrafficNote note;
  note.site = "site.example";
  note.action = TrafficNote::Action::kDead;
  ASSERT_TRUE(queue_->Run(queue_->core().traffic().Note(note)).ok());
  const auto stands = [&] {
    std::vector<std::pair<std::string, std::string>> destinations = {
        {"one.example", "site.example"}, {"two.example", "another.example"}};
    std::vector<absl::Time> until =
        queue_->Run(queue_->core().traffic().StandUntil(std::move(destinations)));
    EXPECT_EQ(until[1], absl::InfinitePast());
    return until[0];
  };
  EXPECT_EQ(stands(), clock_.Now() + absl::Minutes(1));
  EnqueueMany();
  FindOut();
  EXPECT_EQ(AskForAll(), 0);
  clock_.Advance(absl::Minutes(1) - 2 * Standstills::kTrial);
  EXPECT_EQ(stands(), absl::InfinitePast());
  const std::vector<LeasedJob> jobs = queue_->Lease(1);
  ASSERT_EQ(jobs.size(), 1u);
  EXPECT_TRUE(AskFor(jobs[0]).probe);
  EXPECT_EQ(stands(), clock_.Now() + absl::Seconds(20)) << "until the probe has told";
  // An operator's wish is a probe.
  ASSERT_TRUE(queue_->Run(queue_->core().Retry(Filter())).ok());
  EXPECT_EQ(stands(), absl::InfinitePast());
}

TEST_F(StandingTest, SendersAreWarnedAndMailExpires) {
  Pause("site.example");
  EnqueueMany();
  FindOut();
  EXPECT_EQ(AskForAll(), 0);
  clock_.Advance(absl::Hours(4));
  std::vector<LeasedJob> jobs = queue_->Lease(100);
  ASSERT_EQ(jobs.size(), std::size_t{kJobs});
  std::vector<JobReport> reports;
  for (const LeasedJob& job : jobs) {
    EXPECT_TRUE(job.delay_warning_due);
    JobReport report = Outcome(job, RecipientState::kDeferred, clock_.Now());
    report.recipients.clear();
    report.waited = report.delay_warning_sent = true;
    reports.push_back(std::move(report));
  }
  queue_->Report(std::move(reports));
  EXPECT_EQ(AskForAll(), 0);
  for (int day = 0; day < 5; ++day) {
    EXPECT_EQ(AskForAll(), 0) << day;
    clock_.Advance(absl::Hours(24));
  }
  EXPECT_EQ(queue_->Lease(100).size(), std::size_t{kJobs}) << "to be returned";
}

TEST_F(StandingTest, WhatAnOperatorReturnsOrReroutesGoes) {
  Pause("site.example");
  queue_->Enqueue(To({"returned@one.example"}));
  queue_->Enqueue(To({"elsewhere@one.example"}));
  EnqueueMany();
  FindOut();
  EXPECT_EQ(AskForAll(), 0);
  Filter first, second;
  const std::vector<QueuedMessage> messages = queue_->List();
  first.message = messages[0].id;
  second.message = messages[1].id;
  ASSERT_TRUE(queue_->Run(queue_->core().Bounce(first, "not wanted")).ok());
  ASSERT_TRUE(queue_->Run(queue_->core().Reroute(second, "192.0.2.1")).ok());
  EXPECT_EQ(queue_->Lease(100).size(), 2u);
}

TEST_F(StandingTest, ADeliveryShowsThatTheWayIsOpen) {
  Pause("site.example");
  EnqueueMany();
  FindOut();
  EXPECT_EQ(AskForAll(), 0);
  queue_->Enqueue(To({"a@one.example"}, 2));
  // For another tenant there may be another way; it says nothing of ours.
  std::vector<LeasedJob> jobs = queue_->Lease();
  ASSERT_EQ(jobs.size(), 1u);
  queue_->Report({Outcome(jobs[0], RecipientState::kDelivered)});
  ASSERT_TRUE(queue_->core().traffic().standstills().SiteOf(TenantId(1), "one.example"));
  Message other = To({"a@one.example"});
  other.reverse_path = "a@other.test";
  queue_->Enqueue(std::move(other));
  jobs = queue_->Lease();
  ASSERT_EQ(jobs.size(), 1u);
  queue_->Report({Outcome(jobs[0], RecipientState::kDelivered)});
  EXPECT_FALSE(queue_->core().traffic().standstills().SiteOf(TenantId(1), "one.example"));
}

}  // namespace
}  // namespace posthorn::queue
