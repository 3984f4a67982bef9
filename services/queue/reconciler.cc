#include "services/queue/reconciler.h"

#include <algorithm>
#include <utility>

#include "lib/telemetry/log.h"
#include "services/queue/metrics.h"

namespace posthorn::queue {
namespace {

// Passes that are asked for come at most this often.
constexpr absl::Duration kShortest = absl::Milliseconds(200);

}  // namespace

Reconciler::Reconciler(Background& background, Schedule& schedule, Spool& spool,
                       const Clock& clock, Options options)
    : background_(background),
      schedule_(schedule),
      spool_(spool),
      clock_(clock),
      options_(std::move(options)) {}

void Reconciler::Poke() {
  if (std::exchange(poked_, true)) return;
  if (alarm_) alarm_->Ring();
}

Task<void> Reconciler::RunForever() {
  bool failing = false;
  while (!background_.stopping()) {
    const absl::StatusOr<Pass> pass = co_await RunOnce();
    if (!pass.ok() && !failing) {
      log::Warn("queue", "reconciling fails", {{"error", pass.status()}});
    }
    failing = !pass.ok();
    co_await background_.Sleep(kShortest);
    const absl::Duration wait =
        failing ? std::min(options_.every, absl::Seconds(1)) : options_.every;
    if (!std::exchange(poked_, false)) co_await background_.Sleep(wait - kShortest, &alarm_);
    poked_ = false;
  }
}

Task<absl::StatusOr<std::optional<Spool::DueJob>>> Reconciler::Walk(
    std::vector<int> shards, std::optional<Spool::DueJob> from, bool may_pause, Pass& pass) {
  const absl::Time horizon = clock_.Now() + 3 * options_.every;
  int quiet = 0;
  while (!background_.stopping()) {
    absl::StatusOr<std::vector<Spool::DueJob>> due =
        co_await spool_.Due(shards, schedule_.shards(), horizon, from, options_.page);
    if (!due.ok()) co_return due.status();
    if (due->empty()) co_return std::optional<Spool::DueJob>();
    std::vector<Schedule::Change> changes;
    for (const Spool::DueJob& job : *due) {
      // Leased: a later pass is early enough, and mostly the job is done before.
      if (may_pause && job.next_at > horizon) continue;
      changes.emplace_back(Schedule::Change::Kind::kDueOrSooner, job.ref, job.next_at,
                           job.priority);
    }
    const absl::StatusOr<int> news = co_await schedule_.Apply(std::move(changes), clock_.Now());
    if (!news.ok()) co_return news.status();
    pass.added += *news;
    if (static_cast<int>(due->size()) < options_.page) co_return std::optional<Spool::DueJob>();
    from = due->back();
    quiet = *news == 0 ? quiet + 1 : 0;
    if (may_pause && quiet >= options_.quiet_pages) co_return from;
  }
  co_return from;
}

Task<absl::StatusOr<Reconciler::Pass>> Reconciler::RunOnce() {
  Pass pass;
  const absl::StatusOr<std::vector<Schedule::ShardState>> states =
      co_await schedule_.Look(clock_.Now());
  if (!states.ok()) co_return states.status();
  std::vector<int> mine, lost;
  for (int shard = 0; shard < schedule_.shards(); ++shard) {
    if (!(*states)[static_cast<std::size_t>(shard)].answered) continue;  // a later pass
    const absl::StatusOr<bool> held =
        co_await schedule_.HoldReconciler(shard, options_.replica, 3 * options_.every);
    if (!held.ok()) co_return held.status();
    if (!*held) continue;
    mine.push_back(shard);
    if (!(*states)[static_cast<std::size_t>(shard)].known) lost.push_back(shard);
  }
  if (!lost.empty()) {
    absl::StatusOr<std::optional<Spool::DueJob>> walked =
        co_await Walk(lost, std::nullopt, false, pass);
    if (!walked.ok()) co_return walked.status();
    for (const int shard : lost) {
      const absl::Status set = co_await schedule_.SetEpoch(shard, options_.replica);
      if (!set.ok()) co_return set;
    }
    pass.rebuilt = static_cast<int>(lost.size());
    Metrics::Get().rebuilds.Increment(pass.rebuilt);
    log::Info("queue", "schedule rebuilt", {{"shards", pass.rebuilt}, {"jobs", pass.added}});
  }
  if (!mine.empty()) {
    const int added_before = pass.added;
    absl::StatusOr<std::optional<Spool::DueJob>> walked =
        co_await Walk(std::move(mine), resume_, true, pass);
    if (!walked.ok()) co_return walked.status();
    resume_ = *walked;
    const int added = pass.added - added_before;
    if (added > 0) log::Info("queue", "schedule repaired", {{"jobs", added}});
  }
  Metrics::Get().reconciled.Increment(pass.added);
  co_return pass;
}

}  // namespace posthorn::queue
