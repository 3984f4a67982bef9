#include "services/queue/core.h"

#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

#include "absl/random/random.h"
#include "absl/strings/numbers.h"
#include "lib/telemetry/log.h"
#include "services/queue/metrics.h"

namespace posthorn::queue {
namespace {

using Kind = Schedule::Change::Kind;

// Beyond this, what the schedule is not yet told is left to the reconciler.
constexpr std::size_t kMaxUntold = 200000;
constexpr std::size_t kReportsPerCall = 250;
constexpr absl::Duration kBodyGrace = absl::Hours(1);
constexpr int kBodiesPerCollection = 500;
constexpr int kKeepTlsReportsDays = 14;

postgres::ConnectionOptions ConnectionOf(const Core::Options& options) {
  postgres::ConnectionOptions connection = Spool::ConnectTo(options.postgres_url);
  connection.statement_timeout = options.statement_timeout;
  return connection;
}

std::unique_ptr<postgres::Database> OpenDatabase(const Core::Options& options) {
  postgres::DatabaseOptions database;
  database.connection = ConnectionOf(options);
  database.connections = options.postgres_connections;
  return postgres::Database::Open(std::move(database));
}

Spool::Options SpoolOptions(const Core::Options& options) {
  Spool::Options spool;
  spool.connection = ConnectionOf(options);
  spool.policy = options.policy;
  spool.lease = options.dispatcher.lease;
  spool.max_hold = options.max_hold;
  return spool;
}

Reconciler::Options ReconcilerOptions(const Core::Options& options) {
  Reconciler::Options reconciler;
  reconciler.every = options.reconcile_every;
  reconciler.replica = MessageId::Generate(absl::Now()).ToString();
  return reconciler;
}

double Chance() {
  thread_local absl::BitGen random;
  return absl::Uniform(random, 0.0, 1.0);
}

Traffic::Options TrafficOptions(const Core::Options& options) {
  Traffic::Options traffic = options.traffic;
  if (!traffic.chance) traffic.chance = Chance;
  // A dead destination is probed as often as one message to it would be tried.
  traffic.probe_schedule = options.policy.general.schedule;
  return traffic;
}

// Room for a message, as long as there is some.
struct Reservation {
  Reservation(const Message& message, Backlog& backlog)
      : tenant(message.tenant), octets(static_cast<std::int64_t>(message.size)),
        status(backlog.Reserve(tenant, octets)) {}
  TenantId tenant;
  std::int64_t octets;
  absl::Status status;
};

void Count(const JobReport& report, const JobOutcome& outcome, std::int64_t job) {
  Metrics& metrics = Metrics::Get();
  const bool outdated = outcome.kind == JobOutcome::Kind::kOutdated ||
                        outcome.kind == JobOutcome::Kind::kUnknown;
  if (outdated || outcome.late_deliveries > 0) {
    log::Warn("queue", "late report", {{"job", job},
                                       {"attempt", report.key.attempt},
                                       {"late_deliveries", outcome.late_deliveries}});
  }
  metrics.delivered.Increment(outcome.late_deliveries);
  if (outdated || outcome.late_deliveries > 0) return;
  for (const RecipientReport& recipient : report.recipients) {
    if (recipient.outcome == RecipientState::kDelivered) metrics.delivered.Increment();
    if (recipient.outcome == RecipientState::kDeferred) metrics.deferred.Increment();
    if (recipient.outcome == RecipientState::kBounced) metrics.bounced.Increment();
  }
}

}  // namespace

Core::Core(net::EventLoop& loop, const Clock& clock, Options options)
    : loop_(loop),
      clock_(clock),
      options_(std::move(options)),
      database_(OpenDatabase(options_)),
      bodies_(*database_, "queue"),
      spool_(*database_, clock_, SpoolOptions(options_)),
      backlog_(options_.limits),
      tls_reports_(*database_, clock_),
      redis_(loop_, options_.redis),
      pauses_(*database_, clock_),
      traffic_(redis_, pauses_, clock_, TrafficOptions(options_)),
      schedule_(redis_, options_.shards, options_.tenant_weights),
      background_(loop_),
      reconciler_(background_, schedule_, spool_, clock_, ReconcilerOptions(options_)),
      dispatcher_(background_, schedule_, spool_, clock_, options_.dispatcher,
                  [this] { reconciler_.Poke(); },
                  [this](std::vector<JobRef> jobs) { return PutOffStanding(std::move(jobs)); }) {
  hints_ = std::make_unique<redis::Subscriber>(
      loop_, options_.redis,
      [this](std::string_view, std::string_view message) {
        int shard = 0;
        const absl::string_view text(message.data(), message.size());
        if (!absl::SimpleAtoi(text, &shard) || shard < 0 || shard >= options_.shards) return;
        dispatcher_.MarkDue(shard);
      },
      [this] { reconciler_.Poke(); });  // Redis is back, perhaps empty
  hints_->Subscribe({Schedule::kDueChannel});
  background_.Start(reconciler_.RunForever());
  background_.Start(KeepHouse());
  background_.Start(KeepLoadingPauses());
  if (options_.limits.any()) background_.Start(KeepCounting());
}

Core::~Core() { Stop(); }

void Core::Stop() {
  hints_->Stop();
  redis_.Stop();  // calls of background tasks end at once
  background_.Stop();
}

void Core::Drain() {
  loop_.Post([this] { dispatcher_.Drain(); });
}

// Collects while the call before is under way, so that a busy queue sends few large scripts.
void Core::Tell(std::vector<Schedule::Change> changes) {
  if (changes.empty()) return;
  loop_.Post([this, changes = std::move(changes)]() mutable {
    if (untold_.size() > kMaxUntold) return;
    std::move(changes.begin(), changes.end(), std::back_inserter(untold_));
    if (!std::exchange(telling_, true)) background_.Start(TellAll());
  });
}

Task<void> Core::TellAll() {
  while (!untold_.empty()) {
    std::vector<Schedule::Change> changes = std::exchange(untold_, {});
    const absl::Time now = clock_.Now();
    std::set<int> due;
    for (const Schedule::Change& change : changes) {
      const bool waits = change.kind == Kind::kDue || change.kind == Kind::kDueOrSooner;
      if (waits && change.at <= now) due.insert(schedule_.ShardOf(change.job));
    }
    const absl::StatusOr<int> applied = co_await schedule_.Apply(std::move(changes), now);
    if (!applied.ok()) {
      Metrics::Get().schedule_errors.Increment();
      continue;
    }
    for (const int shard : due) dispatcher_.MarkDue(shard);
  }
  telling_ = false;
}

Task<absl::StatusOr<std::vector<absl::StatusOr<Accepted>>>> Core::Enqueue(
    std::vector<Message> messages) {
  std::vector<Reservation> reservations;
  std::vector<Message> taken;
  for (Message& message : messages) {
    reservations.emplace_back(message, backlog_);
    if (reservations.back().status.ok()) taken.push_back(std::move(message));
  }
  int claimed = 0;
  Spool::Claim claim = [this, &claimed](int jobs) {
    const bool free = dispatcher_.Claim(jobs);
    if (free) claimed += jobs;
    return free;
  };
  absl::StatusOr<std::vector<absl::StatusOr<Spool::EnqueueResult>>> queued =
      co_await spool_.Enqueue(std::move(taken), std::move(claim));
  const absl::Time now = clock_.Now();
  std::vector<absl::StatusOr<Accepted>> results;
  std::vector<Schedule::Change> changes;
  std::vector<LeasedJob> leased;
  std::size_t next = 0;
  for (const Reservation& reservation : reservations) {
    if (!reservation.status.ok()) {
      Metrics::Get().refused_full.Increment();
      results.push_back(reservation.status);
      continue;
    }
    absl::StatusOr<Spool::EnqueueResult> result =
        queued.ok() ? std::move((*queued)[next++]) : queued.status();
    // A commit that is in doubt counts: the next count knows.
    backlog_.Settle(reservation.tenant, reservation.octets,
                    result.ok() ? !result->accepted.duplicate : !queued.ok());
    if (!result.ok()) {
      results.push_back(result.status());
      continue;
    }
    for (const JobRef& job : result->jobs) {
      changes.emplace_back(Kind::kDue, job, std::max(now, result->due_at), result->priority);
    }
    std::move(result->claimed.begin(), result->claimed.end(), std::back_inserter(leased));
    const std::string id = result->accepted.id.ToString();
    if (result->accepted.duplicate) {
      Metrics::Get().accepted_again.Increment();
      log::Info("queue", "accepted before", {{"id", id}});
    } else {
      Metrics::Get().accepted.Increment();
      log::Debug("queue", "accepted", {{"id", id}});
    }
    results.push_back(result->accepted);
  }
  if (!queued.ok()) {
    dispatcher_.Unclaim(claimed);
    co_return queued.status();
  }
  Tell(std::move(changes));
  HandOver(std::move(leased), claimed);
  co_return results;
}

// The schedule is not told of these: mostly they are done before it would matter, and else the
// reconciler finds them before their lease ends.
void Core::HandOver(std::vector<LeasedJob> jobs, int claimed) {
  if (claimed == 0) return;
  loop_.Post([this, claimed, jobs = std::move(jobs)]() mutable {
    dispatcher_.Unclaim(claimed);
    if (!jobs.empty()) dispatcher_.HandOver(std::move(jobs));
  });
}

Task<absl::StatusOr<std::vector<LeasedJob>>> Core::Lease(std::string worker, int max,
                                                         absl::Duration wait,
                                                         std::function<bool()> is_gone) {
  Executor& caller = *Executor::Current();
  co_await SwitchTo(loop_);
  absl::StatusOr<std::vector<LeasedJob>> jobs =
      co_await dispatcher_.Lease(std::move(worker), max, wait, std::move(is_gone));
  co_await SwitchTo(caller);
  co_return jobs;
}

Task<absl::StatusOr<std::vector<JobId>>> Core::Heartbeat(std::vector<LeaseKey> leases) {
  const absl::Time lease_end = clock_.Now() + options_.dispatcher.lease;
  const absl::StatusOr<std::vector<bool>> held = co_await spool_.Heartbeat(leases, lease_end);
  if (!held.ok()) co_return held.status();
  std::vector<JobId> lost;
  std::vector<Schedule::Change> changes;
  for (std::size_t i = 0; i < leases.size(); ++i) {
    if ((*held)[i]) {
      changes.emplace_back(Kind::kLeased, leases[i].ref, lease_end);
    } else {
      lost.push_back(leases[i].ref.job);
    }
  }
  Tell(std::move(changes));
  co_return lost;
}

Task<absl::Status> Core::Report(std::vector<JobReport> reports) {
  const absl::Time now = clock_.Now();
  for (JobReport& report : reports) {
    const RetryPolicy& policy =
        options_.policy.For(report.key.ref.tenant, report.key.destination);
    if (report.retry_at == absl::InfinitePast()) {
      report.retry_at = now + policy.DelayAfter(report.key.attempt - report.waits, Chance());
    }
    report.retry_at = std::min(report.retry_at, report.retry_before);
    const absl::Duration longest =
        report.waited ? std::min(policy.expiry, 2 * Traffic::kLongestWait) : policy.expiry;
    report.retry_at = std::clamp(report.retry_at, now, now + longest);
  }
  for (std::size_t first = 0; first < reports.size(); first += kReportsPerCall) {
    const std::size_t last = std::min(reports.size(), first + kReportsPerCall);
    std::vector<JobReport> part(reports.begin() + static_cast<std::ptrdiff_t>(first),
                                reports.begin() + static_cast<std::ptrdiff_t>(last));
    const absl::StatusOr<std::vector<Spool::ReportResult>> results =
        co_await spool_.Report(std::move(part));
    if (!results.ok()) co_return results.status();
    std::vector<Schedule::Change> changes;
    for (std::size_t i = 0; i < results->size(); ++i) {
      const Spool::ReportResult& result = (*results)[i];
      const JobReport& report = reports[first + i];
      Count(report, result.outcome, report.key.ref.job.value());
      const bool arrived = std::any_of(
          report.recipients.begin(), report.recipients.end(), [](const RecipientReport& recipient) {
            return recipient.outcome == RecipientState::kDelivered;
          });
      if (arrived) traffic_.standstills().Passed(report.key.ref.tenant, report.key.destination);
      if (result.outcome.late_deliveries > 0 && report.key.ref.hash != HashOf(kLocalDestination)) {
        Metrics::Get().duplicates_possible.Increment(result.outcome.late_deliveries);
      }
      switch (result.outcome.kind) {
        case JobOutcome::Kind::kDone:
        case JobOutcome::Kind::kUnknown:
          changes.emplace_back(Kind::kGone, report.key.ref);
          break;
        case JobOutcome::Kind::kWaits:
          changes.emplace_back(Kind::kDue, report.key.ref, result.due_at, result.priority);
          break;
        case JobOutcome::Kind::kOutdated:
          break;
      }
      for (const auto& [job, priority] : result.notifications) {
        changes.emplace_back(Kind::kDue, job, now, priority);
      }
    }
    Tell(std::move(changes));
  }
  co_return absl::OkStatus();
}

Task<absl::StatusOr<Reconciler::Pass>> Core::ReconcileNow() {
  Executor& caller = *Executor::Current();
  co_await SwitchTo(loop_);
  absl::StatusOr<Reconciler::Pass> pass = co_await reconciler_.RunOnce();
  co_await SwitchTo(caller);
  co_return pass;
}

Task<void> Core::Settle() {
  Executor& caller = *Executor::Current();
  co_await SwitchTo(loop_);
  while (telling_ && !background_.stopping()) co_await background_.Sleep(absl::Milliseconds(1));
  co_await SwitchTo(caller);
}

Task<absl::Status> Core::CollectBodies() {
  postgres::Params params = postgres::Params::Of(absl::FormatDuration(kBodyGrace));
  std::vector<TenantId> no_tenants;
  const absl::StatusOr<postgres::Result> rows = co_await database_->Query(
      std::move(no_tenants), "SELECT lookup.queue_tenants_to_collect($1::interval)",
      std::move(params));
  if (!rows.ok()) co_return rows.status();
  for (int row = 0; row < rows->rows(); ++row) {
    const TenantId tenant(rows->Int(row, 0));
    const absl::StatusOr<int> collected =
        co_await bodies_.Collect(tenant, kBodyGrace, kBodiesPerCollection);
    if (!collected.ok()) co_return collected.status();
  }
  co_return absl::OkStatus();
}

Task<void> Core::CountOnce() {
  const absl::StatusOr<Spool::Totals> totals = co_await spool_.CountAll();
  if (!totals.ok()) co_return;
  Metrics& metrics = Metrics::Get();
  metrics.messages.Set(static_cast<double>(totals->messages));
  metrics.jobs.Set(static_cast<double>(totals->jobs));
  metrics.jobs_leased.Set(static_cast<double>(totals->leased));
  metrics.jobs_deferred.Set(static_cast<double>(totals->deferred));
  metrics.oldest_seconds.Set(
      totals->oldest ? absl::ToDoubleSeconds(clock_.Now() - *totals->oldest) : 0);
}

Task<absl::Status> Core::CountBacklog() {
  backlog_.BeginCount();
  const absl::StatusOr<std::vector<Spool::Usage>> usages = co_await spool_.CountByTenant();
  if (!usages.ok()) co_return usages.status();
  std::vector<Backlog::Count> counts;
  for (const Spool::Usage& usage : *usages) {
    Backlog::Count count;
    count.tenant = usage.tenant;
    count.messages = usage.messages;
    count.octets = usage.octets;
    counts.push_back(count);
  }
  backlog_.EndCount(counts);
  co_return absl::OkStatus();
}

Task<void> Core::KeepCounting() {
  if (options_.count_every == absl::InfiniteDuration()) co_return;
  while (!background_.stopping()) {
    // With PostgreSQL away nothing is taken either.
    const absl::Status counted = co_await CountBacklog();
    if (!counted.ok()) log::Debug("queue", "counting fails", {{"error", counted}});
    co_await background_.Sleep(options_.count_every);
  }
}

Task<void> Core::KeepLoadingPauses() {
  while (!background_.stopping()) {
    const absl::Status loaded = co_await pauses_.Load();
    if (!loaded.ok()) log::Debug("queue", "pauses are not known", {{"error", loaded}});
    co_await background_.Sleep(options_.load_pauses_every);
  }
}

Task<void> Core::KeepHouse() {
  constexpr int kCountsPerRound = 4;
  while (!background_.stopping()) {
    // It gives up where a reader is in the way; days are made well before they are needed.
    const absl::Status kept = co_await KeepEvents();
    if (!kept.ok()) log::Debug("queue", "the log of events waits", {{"error", kept}});
    for (int i = 0; i < kCountsPerRound && !background_.stopping(); ++i) {
      co_await CountOnce();
      co_await background_.Sleep(options_.housekeeping_every / kCountsPerRound);
    }
    if (background_.stopping()) break;
    absl::Status status = co_await spool_.ExpireKeys();
    if (status.ok()) status = co_await CollectBodies();
    if (status.ok()) status = co_await tls_reports_.Forget(kKeepTlsReportsDays);
    if (!status.ok()) log::Warn("queue", "housekeeping failed", {{"error", status}});
  }
}

}  // namespace posthorn::queue
