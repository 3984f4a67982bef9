#include "services/queue/dispatcher.h"

#include <algorithm>
#include <utility>

#include "lib/telemetry/log.h"
#include "services/queue/metrics.h"

namespace posthorn::queue {
namespace {

// How long a job that was handed over waits for a worker. Well below the lease, whose time counts
// for the worker from its call.
constexpr absl::Duration kHandOverLimit = absl::Seconds(1);

// How long places stay claimable after an answer: a busy worker asks again within a few milliseconds.
constexpr absl::Duration kCreditLife = absl::Milliseconds(50);

// After a failure of the spool the jobs taken go back this far ahead.
constexpr absl::Duration kRetryTake = absl::Seconds(1);

// Taken at once while most of it only has to wait on, so that it is soon out of the way.
constexpr int kSweep = 500;

}  // namespace

Dispatcher::Dispatcher(Background& background, Schedule& schedule, Spool& spool,
                       const Clock& clock, Options options, std::function<void()> on_lost,
                       PutOff put_off)
    : background_(background),
      schedule_(schedule),
      spool_(spool),
      clock_(clock),
      options_(options),
      on_lost_(std::move(on_lost)),
      put_off_(std::move(put_off)),
      turns_(schedule.weights()) {}

void Dispatcher::MarkDue(int shard) {
  due_shards_.insert(shard);
  WakeOne();
}

bool Dispatcher::Claim(int jobs) {
  if (backlog_.load(std::memory_order_relaxed)) return false;
  int places = places_.load(std::memory_order_relaxed);
  while (places >= jobs) {
    if (places_.compare_exchange_weak(places, places - jobs, std::memory_order_relaxed)) return true;
  }
  return false;
}

void Dispatcher::HandOver(std::vector<LeasedJob> jobs) {
  if (draining_) {
    background_.Start(GiveBack(std::move(jobs)));
    return;
  }
  const absl::Time now = clock_.Now();
  for (LeasedJob& job : jobs) handed_.push_back(Handed{std::move(job), now});
  if (!std::exchange(expiring_, true)) background_.Start(ExpireHanded());
  WakeOne();
}

std::vector<LeasedJob> Dispatcher::TakeHanded(int max) {
  std::vector<LeasedJob> taken, stale;
  const absl::Time now = clock_.Now();
  while (!handed_.empty() && static_cast<int>(taken.size()) < max) {
    Handed handed = std::move(handed_.front());
    handed_.pop_front();
    (now - handed.at > kHandOverLimit ? stale : taken).push_back(std::move(handed.job));
  }
  if (!stale.empty()) background_.Start(GiveBack(std::move(stale)));
  Metrics::Get().leased.Increment(static_cast<double>(taken.size()));
  return taken;
}

Task<void> Dispatcher::ExpireHanded() {
  while (!handed_.empty() && !background_.stopping()) {
    co_await background_.Sleep(kHandOverLimit);
    std::vector<LeasedJob> stale;
    const absl::Time now = clock_.Now();
    while (!handed_.empty() && now - handed_.front().at >= kHandOverLimit) {
      stale.push_back(std::move(handed_.front().job));
      handed_.pop_front();
    }
    if (!stale.empty()) co_await GiveBack(std::move(stale));
  }
  expiring_ = false;
}

void Dispatcher::Drain() {
  draining_ = true;
  std::vector<LeasedJob> left;
  for (Handed& handed : handed_) left.push_back(std::move(handed.job));
  handed_.clear();
  if (!left.empty()) background_.Start(GiveBack(std::move(left)));
  for (const std::shared_ptr<Call>& call : waiting_) {
    if (call->alarm) call->alarm->Ring();
  }
}

void Dispatcher::WakeOne() {
  if (waiting_.empty()) return;
  if (waiting_.front()->alarm) waiting_.front()->alarm->Ring();
}

Task<absl::StatusOr<std::vector<LeasedJob>>> Dispatcher::Lease(std::string worker, int max,
                                                               absl::Duration wait,
                                                               std::function<bool()> is_gone) {
  max = std::clamp(max, 1, options_.max_jobs);
  EndCredit(worker);
  absl::StatusOr<std::vector<LeasedJob>> jobs = co_await Wait(worker, max, wait, is_gone);
  if (wait > absl::ZeroDuration() && jobs.ok() && !jobs->empty() && !draining_ && !is_gone()) {
    KeepCredit(std::move(worker), max - static_cast<int>(jobs->size()));
  }
  co_return jobs;
}

void Dispatcher::KeepCredit(std::string worker, int places) {
  EndCredit(worker);  // of a call beside this one
  if (places <= 0) return;
  auto credit = std::make_shared<Credit>(Credit{places});
  credits_[worker] = credit;
  places_.fetch_add(places, std::memory_order_relaxed);
  std::weak_ptr<Credit> weak = credit;
  background_.executor().PostAfter(kCreditLife, [this, weak, worker = std::move(worker)] {
    const std::shared_ptr<Credit> kept = weak.lock();
    if (kept) EndCredit(worker);
  });
}

void Dispatcher::EndCredit(const std::string& worker) {
  const auto credit = credits_.find(worker);
  if (credit == credits_.end()) return;
  places_.fetch_sub(credit->second->places, std::memory_order_relaxed);
  credits_.erase(credit);
}

Task<absl::StatusOr<std::vector<LeasedJob>>> Dispatcher::Wait(
    const std::string& worker, int max, absl::Duration wait,
    const std::function<bool()>& is_gone) {
  auto call = std::make_shared<Call>();
  if (wait > absl::ZeroDuration()) {
    background_.executor().PostAfter(wait, [weak = std::weak_ptr<Call>(call)] {
      const std::shared_ptr<Call> waited = weak.lock();
      if (!waited) return;
      waited->expired = true;
      if (waited->alarm) waited->alarm->Ring();
    });
  } else {
    call->expired = true;
    // Who doesn't wait asks now what a waiting one would be told.
    const absl::StatusOr<std::vector<Schedule::ShardState>> states =
        co_await schedule_.Look(clock_.Now());
    for (std::size_t i = 0; states.ok() && i < states->size(); ++i) {
      if ((*states)[i].due) due_shards_.insert(static_cast<int>(i));
    }
  }
  for (;;) {
    if (draining_ || background_.stopping() || is_gone()) {
      if (!due_shards_.empty() || !handed_.empty()) WakeOne();
      co_return std::vector<LeasedJob>();
    }
    // In turns, so that neither waits for ever.
    handed_last_ = !handed_.empty() && !(handed_last_ && !due_shards_.empty());
    if (handed_last_) {
      std::vector<LeasedJob> handed = TakeHanded(max);
      if (!handed_.empty() || !due_shards_.empty()) WakeOne();
      if (!handed.empty()) co_return handed;
      continue;
    }
    absl::StatusOr<std::vector<LeasedJob>> jobs = co_await TakeDue(worker, max);
    const bool full = jobs.ok() && static_cast<int>(jobs->size()) >= max;
    backlog_.store(full && !due_shards_.empty(), std::memory_order_relaxed);
    if (jobs.ok() && !jobs->empty() && is_gone()) {
      background_.Start(GiveBack(*std::move(jobs)));
      co_return std::vector<LeasedJob>();
    }
    if (!jobs.ok() || !jobs->empty()) {
      if (!due_shards_.empty() || !handed_.empty()) WakeOne();
      co_return jobs;
    }
    if (!due_shards_.empty() || !handed_.empty()) continue;
    if (call->expired || draining_) co_return jobs;
    const auto place = waiting_.insert(waiting_.end(), call);
    if (!std::exchange(looking_, true)) background_.Start(LookAround());
    places_.fetch_add(max, std::memory_order_relaxed);
    co_await background_.Sleep(absl::Hours(1), &call->alarm);
    places_.fetch_sub(max, std::memory_order_relaxed);
    waiting_.erase(place);
  }
}

// What one call can take of a shard is a share for each tenant there, so with a single shard, or a single
// tenant, there is nothing to look at.
Task<void> Dispatcher::PopShares(int max, absl::Time now, absl::Time lease_end,
                                 std::vector<JobRef>& taken) {
  if (absl::Now() >= shared_until_) {
    shared_until_ = absl::Now() + options_.share_for;
    std::vector<int> shards(due_shards_.begin(), due_shards_.end());
    const std::vector<Schedule::DueTenants> waiting =
        co_await schedule_.WhoIsDue(std::move(shards), now);
    for (const Schedule::DueTenants& shard : waiting) {
      Metrics::Get().leases_expired.Increment(shard.expired);
    }
    turns_.Update(waiting);
  }
  while (turns_.contended() && static_cast<int>(taken.size()) < max) {
    const std::vector<Schedule::Share> shares = turns_.Next(max - static_cast<int>(taken.size()));
    const std::vector<absl::StatusOr<Schedule::Popped>> popped =
        co_await schedule_.Pop(shares, now, lease_end);
    for (std::size_t i = 0; i < shares.size(); ++i) {
      if (!popped[i].ok()) {
        Metrics::Get().schedule_errors.Increment();
        turns_.Took(shares[i], 0);
        continue;
      }
      Metrics::Get().leases_expired.Increment(popped[i]->expired);
      turns_.Took(shares[i], static_cast<int>(popped[i]->jobs.size()));
      taken.insert(taken.end(), popped[i]->jobs.begin(), popped[i]->jobs.end());
    }
  }
}

Task<std::vector<JobRef>> Dispatcher::PopDue(int max, absl::Time now, absl::Time lease_end) {
  std::vector<JobRef> taken;
  if (due_shards_.size() > 1) co_await PopShares(max, now, lease_end, taken);
  while (static_cast<int>(taken.size()) < max && !due_shards_.empty()) {
    auto next = due_shards_.upper_bound(last_shard_);
    if (next == due_shards_.end()) next = due_shards_.begin();
    const int shard = last_shard_ = *next;
    due_shards_.erase(next);
    Schedule::Share share;
    share.shard = shard;
    share.max = max - static_cast<int>(taken.size());
    std::vector<Schedule::Share> shares(1, share);
    const std::vector<absl::StatusOr<Schedule::Popped>> popped =
        co_await schedule_.Pop(std::move(shares), now, lease_end);
    if (!popped[0].ok()) {
      Metrics::Get().schedule_errors.Increment();
      break;
    }
    Metrics::Get().leases_expired.Increment(popped[0]->expired);
    taken.insert(taken.end(), popped[0]->jobs.begin(), popped[0]->jobs.end());
    if (static_cast<int>(popped[0]->jobs.size()) == share.max) due_shards_.insert(shard);
  }
  co_return taken;
}

Task<absl::StatusOr<std::vector<LeasedJob>>> Dispatcher::TakeDue(std::string worker, int max) {
  const absl::Time now = clock_.Now();
  const absl::Time lease_end = now + options_.lease;
  const int wanted = sweeping_ ? std::max(max, kSweep) : max;
  std::vector<JobRef> taken = co_await PopDue(wanted, now, lease_end);
  const std::size_t popped = taken.size();
  taken = co_await put_off_(std::move(taken));
  sweeping_ = popped > 0 && taken.size() * 2 < popped;
  if (static_cast<int>(taken.size()) > max) {
    std::vector<Schedule::Change> back;
    for (std::size_t i = static_cast<std::size_t>(max); i < taken.size(); ++i) {
      back.emplace_back(Schedule::Change::Kind::kDue, taken[i], now);
      due_shards_.insert(schedule_.ShardOf(taken[i]));
    }
    taken.resize(static_cast<std::size_t>(max));
    co_await ApplyQuietly(schedule_, std::move(back), now);
  }
  if (taken.empty()) co_return std::vector<LeasedJob>();

  absl::StatusOr<Spool::LeaseResult> leased =
      co_await spool_.Lease(std::move(worker), taken, lease_end);
  std::vector<Schedule::Change> changes;
  if (!leased.ok()) {
    for (const JobRef& job : taken) {
      changes.emplace_back(Schedule::Change::Kind::kDue, job, now + kRetryTake);
    }
    background_.Start(ApplyQuietly(schedule_, std::move(changes), now));
    co_return leased.status();
  }
  for (const JobRef& job : leased->gone) {
    changes.emplace_back(Schedule::Change::Kind::kGone, job);
  }
  for (const auto& [job, at] : leased->not_due) {
    // Held by an operator: the release tells of it.
    const bool held = at == absl::InfiniteFuture();
    changes.emplace_back(held ? Schedule::Change::Kind::kGone : Schedule::Change::Kind::kDue, job,
                         held ? now : at);
  }
  if (!changes.empty()) background_.Start(ApplyQuietly(schedule_, std::move(changes), now));

  for (const LeasedJob& job : leased->jobs) {
    if (!job.repeated) continue;
    log::Warn("queue", "attempt never reported",
              {{"id", job.message.ToString()},
               {"job", job.ref.job.value()},
               {"destination", job.destination},
               {"attempt", job.attempt - 1}});
    // Local delivery is idempotent.
    if (job.destination != kLocalDestination) Metrics::Get().duplicates_possible.Increment();
  }
  Metrics::Get().leased.Increment(static_cast<double>(leased->jobs.size()));
  std::stable_sort(leased->jobs.begin(), leased->jobs.end(),
                   [](const LeasedJob& a, const LeasedJob& b) {
                     return a.destination < b.destination;
                   });
  co_return std::move(leased->jobs);
}

Task<void> Dispatcher::GiveBack(std::vector<LeasedJob> jobs) {
  const absl::Time now = clock_.Now();
  std::vector<JobReport> reports;
  for (const LeasedJob& job : jobs) {
    JobReport report;
    report.key.ref = job.ref;
    report.key.attempt = job.attempt;
    report.retry_at = now;
    report.waited = true;
    reports.push_back(std::move(report));
  }
  const absl::StatusOr<std::vector<Spool::ReportResult>> given =
      co_await spool_.Report(std::move(reports));
  if (!given.ok()) co_return;  // they come back when the lease ends
  std::vector<Schedule::Change> changes;
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    changes.emplace_back(Schedule::Change::Kind::kDue, jobs[i].ref, now, (*given)[i].priority);
  }
  for (const Schedule::Change& change : changes) due_shards_.insert(schedule_.ShardOf(change.job));
  co_await ApplyQuietly(schedule_, std::move(changes), now);
  WakeOne();
}

Task<void> Dispatcher::LookAround() {
  while (!waiting_.empty() && !background_.stopping() && !draining_) {
    const absl::StatusOr<std::vector<Schedule::ShardState>> states =
        co_await schedule_.Look(clock_.Now());
    bool lost = false;
    for (std::size_t i = 0; states.ok() && i < states->size(); ++i) {
      lost = lost || ((*states)[i].answered && !(*states)[i].known);
      if ((*states)[i].due) due_shards_.insert(static_cast<int>(i));
    }
    if (lost) on_lost_();
    if (!due_shards_.empty()) WakeOne();
    co_await background_.Sleep(options_.look_every);
  }
  looking_ = false;
}

}  // namespace posthorn::queue
