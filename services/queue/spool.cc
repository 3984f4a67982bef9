#include "services/queue/spool.h"

#include <algorithm>
#include <set>
#include <utility>

#include "lib/base/failure.h"
#include "lib/telemetry/log.h"
#include "services/queue/spool_groups.h"

namespace posthorn::queue {
namespace {

constexpr char kLease[] =
    "SELECT tenant_id, job_id, verdict, next_at, repeated, attempt, destination,"
    " delay_warning_sent, message_id, reverse_path, prefix, inline_body, body_sha256, size,"
    " received_at, expires_at, body_is_8bit, local_resend_key, recipient_ids, addresses, originals,"
    " accounts, options, hold_until, deliver_by_notified, recipient_options, bounce_reason, route,"
    " waits"
    " FROM queue.lease($1, $2, $3, $4, $5)";
constexpr char kHeartbeat[] = "SELECT queue.heartbeat($1, $2, $3, $4)";
constexpr char kDue[] =
    "SELECT tenant_id, job_id, hash, due_at, next_at, priority FROM"
    " lookup.queue_due($1::int[], $2::int, $3, $4, $5, $6, $7::int)";
constexpr char kTotals[] =
    "SELECT messages, jobs, leased, deferred, oldest FROM lookup.queue_totals()";
constexpr char kTenants[] = "SELECT lookup.queue_tenants()";
constexpr char kExpiredTenants[] = "SELECT lookup.queue_expired($1)";
constexpr char kDeleteExpired[] = "DELETE FROM queue.accepted WHERE expires_at < $1";

std::vector<TenantId> TenantsIn(const std::vector<JobRef>& jobs) {
  std::vector<TenantId> tenants;
  for (const JobRef& job : jobs) {
    bool known = false;
    for (const TenantId tenant : tenants) known = known || tenant == job.tenant;
    if (!known) tenants.push_back(job.tenant);
  }
  return tenants;
}

absl::StatusOr<LeasedJob> ReadLeasedJob(const postgres::Result& rows, int row) {
  LeasedJob job;
  job.ref.tenant = TenantId(rows.Int(row, 0));
  job.ref.job = JobId(rows.Int(row, 1));
  job.repeated = rows.Bool(row, 4);
  job.attempt = static_cast<int>(rows.Int(row, 5));
  job.destination = rows.Text(row, 6);
  job.ref.hash = HashOf(job.destination);
  absl::StatusOr<MessageId> message = MessageId::FromBytes(rows.Bytes(row, 8));
  if (!message.ok()) return message.status();
  job.message = *message;
  job.reverse_path = rows.Text(row, 9);
  job.prefix = rows.Text(row, 10);
  if (!rows.IsNull(row, 11)) job.inline_body = rows.Text(row, 11);
  job.body_sha256 = rows.Text(row, 12);
  job.size = static_cast<std::uint64_t>(rows.Int(row, 13));
  job.received_at = rows.Time(row, 14);
  job.expires_at = rows.Time(row, 15);
  job.body_is_8bit = rows.Bool(row, 16);
  job.local_resend_key = rows.Text(row, 17);
  const std::vector<std::int64_t> ids = rows.Ints(row, 18);
  const std::vector<std::string> addresses = rows.Texts(row, 19);
  const std::vector<std::string> originals = rows.Texts(row, 20);
  const std::vector<std::int64_t> accounts = rows.Ints(row, 21);
  job.options = rows.Text(row, 22);
  job.deliver_by_notified = rows.Bool(row, 24);
  const std::vector<std::string> options = rows.Texts(row, 25);
  job.bounce_reason = rows.Text(row, 26);
  job.route = rows.Text(row, 27);
  job.waits = static_cast<int>(rows.Int(row, 28));
  for (std::size_t i = 0; i < ids.size(); ++i) {
    LeasedRecipient recipient;
    recipient.id = ids[i];
    recipient.address = addresses[i];
    recipient.original_address = originals[i];
    recipient.account = AccountId(accounts[i]);
    recipient.options = options[i];
    job.recipients.push_back(std::move(recipient));
  }
  return job;
}

}  // namespace

postgres::ConnectionOptions Spool::ConnectTo(std::string url) {
  postgres::ConnectionOptions options;
  options.url = std::move(url);
  options.role = "posthorn_queue";
  options.application_name = "posthorn queue";
  options.settings = {{"enable_seqscan", "off"},
                      {"enable_bitmapscan", "off"},
                      {"enable_hashjoin", "off"},
                      {"enable_mergejoin", "off"},
                      {"plan_cache_mode", "force_generic_plan"}};
  return options;
}

Spool::Spool(postgres::Database& database, const Clock& clock, Options options)
    : database_(database),
      clock_(clock),
      options_(std::move(options)),
      groups_(std::make_unique<Groups>(clock_, options_)) {}

Spool::~Spool() = default;

Task<absl::StatusOr<std::vector<absl::StatusOr<Spool::EnqueueResult>>>> Spool::Enqueue(
    std::vector<Message> messages, Claim claim) {
  std::vector<absl::StatusOr<EnqueueResult>> results(messages.size(), EnqueueResult());
  std::vector<PlannedMessage> planned;
  std::vector<std::size_t> position;  // of each planned message in results
  const absl::Time latest = clock_.Now() + options_.max_hold;
  for (std::size_t i = 0; i < messages.size(); ++i) {
    if (messages[i].hold_until > latest) {
      results[i] = MakeFailure(Failure::kBadParameter, "The message would be held too long");
      continue;
    }
    absl::StatusOr<PlannedMessage> plan = Plan(std::move(messages[i]));
    if (!plan.ok()) {
      results[i] = plan.status();
      continue;
    }
    // What is held is the schedule's. Priorities need none: places are free only where no job waits
    // that could go first.
    const bool held = plan->message.hold_until > clock_.Now();
    plan->claimed = !held && claim(static_cast<int>(plan->jobs.size()));
    planned.push_back(*std::move(plan));
    position.push_back(i);
  }
  if (planned.empty()) co_return results;
  std::vector<MessageId> ids;
  for (std::size_t i = 0; i < planned.size(); ++i) {
    const Message& message = planned[i].message;
    ids.push_back(message.id);
    results[position[i]]->due_at = message.hold_until;
    results[position[i]]->priority = message.priority;
  }

  Groups::EnqueueCall call(std::move(planned));
  absl::StatusOr<Groups::EnqueueDone> done = co_await groups_->enqueue().Submit(std::move(call));
  if (!done.ok()) co_return done.status();
  for (std::size_t i = 0; i < position.size(); ++i) {
    const EnqueueAnswer& answer = done->answers[i];
    if (answer.outcome == EnqueueAnswer::Outcome::kNoSuchBody) {
      results[position[i]] = MakeFailure(Failure::kNotFound, "No such body");
      continue;
    }
    EnqueueResult& result = *results[position[i]];
    result.accepted.id = answer.known_id;
    result.accepted.duplicate = answer.outcome == EnqueueAnswer::Outcome::kDuplicate;
    PlannedMessage& message = done->messages[i];
    if (message.claimed && answer.outcome == EnqueueAnswer::Outcome::kQueued) {
      result.claimed = message.TakeLeased(done->times);
    } else if (answer.known_id == ids[i]) {
      // A group that was repeated finds its own messages: they still are to be scheduled. What is
      // leased already comes when that ends.
      result.jobs = message.Refs();
    }
  }
  co_return results;
}

Task<absl::StatusOr<Spool::LeaseResult>> Spool::Lease(std::string worker, std::vector<JobRef> jobs,
                                                      absl::Time lease_end) {
  LeaseResult result;
  if (jobs.empty()) co_return result;
  // The schedule may name a job twice: it was told late of what it had handed out already. An
  // attempt is begun, and answered, once.
  std::set<std::pair<TenantId, JobId>> known;
  std::erase_if(jobs, [&known](const JobRef& job) {
    return !known.emplace(job.tenant, job.job).second;
  });
  std::vector<std::int64_t> tenants, ids;
  for (const JobRef& job : jobs) {
    tenants.push_back(job.tenant.value());
    ids.push_back(job.job.value());
  }
  const absl::Time now = clock_.Now();
  postgres::Params params = postgres::Params::Of(now, lease_end, worker);
  params.AddInts(tenants).AddInts(ids);
  std::function<absl::StatusOr<postgres::Result>(postgres::Transaction&)> work =
      [&params](postgres::Transaction& transaction) {
        return transaction.ExecAndCommit(kLease, params);
      };
  std::vector<TenantId> tenant_set = TenantsIn(jobs);
  absl::StatusOr<postgres::Result> rows =
      co_await database_.Transact<postgres::Result>(std::move(tenant_set), std::move(work));
  if (!rows.ok()) co_return rows.status();
  for (int row = 0; row < rows->rows(); ++row) {
    const std::int64_t verdict = rows->Int(row, 2);
    if (verdict == 1) {
      absl::StatusOr<LeasedJob> job = ReadLeasedJob(*rows, row);
      if (!job.ok()) co_return job.status();
      const bool warned = rows->Bool(row, 7);
      const absl::Duration warning =
          options_.policy.For(job->ref.tenant, job->destination).delay_warning;
      // A message that was to be held is late only after that.
      const absl::Time since =
          rows->IsNull(row, 23) ? job->received_at : std::max(job->received_at, rows->Time(row, 23));
      job->delay_warning_due = warning > absl::ZeroDuration() && !warned &&
                               !job->reverse_path.empty() && now - since >= warning;
      result.jobs.push_back(*std::move(job));
      continue;
    }
    // The answer is in the order of the question.
    const JobRef& ref = jobs[static_cast<std::size_t>(row)];
    if (verdict == 0) {
      result.gone.push_back(ref);
    } else {
      result.not_due.emplace_back(ref, rows->Time(row, 3));
    }
  }
  co_return result;
}

Task<absl::StatusOr<std::vector<bool>>> Spool::Heartbeat(std::vector<LeaseKey> leases,
                                                         absl::Time lease_end) {
  std::vector<bool> held(leases.size());
  if (leases.empty()) co_return held;
  std::vector<std::int64_t> tenants, ids, attempts;
  std::vector<JobRef> refs;
  for (const LeaseKey& lease : leases) {
    tenants.push_back(lease.ref.tenant.value());
    ids.push_back(lease.ref.job.value());
    attempts.push_back(lease.attempt);
    refs.push_back(lease.ref);
  }
  postgres::Params params = postgres::Params::Of(lease_end);
  params.AddInts(tenants).AddInts(ids).AddInts(attempts);
  std::function<absl::StatusOr<postgres::Result>(postgres::Transaction&)> work =
      [&params](postgres::Transaction& transaction) {
        return transaction.ExecAndCommit(kHeartbeat, params);
      };
  std::vector<TenantId> tenant_set = TenantsIn(refs);
  absl::StatusOr<postgres::Result> rows =
      co_await database_.Transact<postgres::Result>(std::move(tenant_set), std::move(work));
  if (!rows.ok()) co_return rows.status();
  for (int row = 0; row < rows->rows(); ++row) {
    for (std::size_t i = 0; i < ids.size(); ++i) {
      if (ids[i] == rows->Int(row, 0)) held[i] = true;
    }
  }
  co_return held;
}

Task<absl::StatusOr<std::vector<Spool::ReportResult>>> Spool::Report(
    std::vector<JobReport> reports) {
  std::vector<Groups::ReportCall::Item> items;
  for (JobReport& report : reports) {
    Groups::ReportCall::Item item;
    for (Message& message : std::exchange(report.notifications, {})) {
      const std::string id = message.id.ToString();
      absl::StatusOr<PlannedMessage> plan = Plan(std::move(message));
      if (!plan.ok()) {
        // The results matter more than a notification that could never be sent.
        log::Warn("queue", "notification dropped", {{"id", id}, {"error", plan.status()}});
        continue;
      }
      item.notifications.push_back(*std::move(plan));
    }
    item.report = std::move(report);
    items.push_back(std::move(item));
  }
  if (items.empty()) co_return std::vector<ReportResult>();
  Groups::ReportCall call(std::move(items));
  co_return co_await groups_->report().Submit(std::move(call));
}

Task<absl::StatusOr<std::vector<Spool::DueJob>>> Spool::Due(std::vector<int> shards,
                                                            int shard_count, absl::Time horizon,
                                                            std::optional<DueJob> after,
                                                            int limit) {
  const std::vector<std::int64_t> shard_ids(shards.begin(), shards.end());
  postgres::Params params;
  params.AddInts(shard_ids).Add(shard_count).Add(horizon);
  params.Add(after ? after->due_at : absl::UnixEpoch());
  params.Add(after ? after->ref.tenant.value() : 0).Add(after ? after->ref.job.value() : 0);
  params.Add(limit);
  std::vector<TenantId> no_tenants;
  absl::StatusOr<postgres::Result> rows =
      co_await database_.Query(std::move(no_tenants), kDue, std::move(params));
  if (!rows.ok()) co_return rows.status();
  std::vector<DueJob> jobs;
  for (int row = 0; row < rows->rows(); ++row) {
    DueJob job;
    job.ref.tenant = TenantId(rows->Int(row, 0));
    job.ref.job = JobId(rows->Int(row, 1));
    job.ref.hash = static_cast<int>(rows->Int(row, 2));
    job.due_at = rows->Time(row, 3);
    job.next_at = rows->Time(row, 4);
    job.priority = static_cast<int>(rows->Int(row, 5));
    jobs.push_back(job);
  }
  co_return jobs;
}

Task<absl::StatusOr<Spool::Totals>> Spool::CountAll() {
  std::vector<TenantId> no_tenants;
  postgres::Params params;
  absl::StatusOr<postgres::Result> rows =
      co_await database_.Query(std::move(no_tenants), kTotals, std::move(params));
  if (!rows.ok()) co_return rows.status();
  Totals totals;
  totals.messages = rows->Int(0, 0);
  totals.jobs = rows->Int(0, 1);
  totals.leased = rows->Int(0, 2);
  totals.deferred = rows->Int(0, 3);
  if (!rows->IsNull(0, 4)) totals.oldest = rows->Time(0, 4);
  co_return totals;
}

Task<absl::StatusOr<std::vector<TenantId>>> Spool::Tenants() {
  std::vector<TenantId> tenants;
  postgres::Params params;
  absl::StatusOr<postgres::Result> rows =
      co_await database_.Query(tenants, kTenants, std::move(params));
  if (!rows.ok()) co_return rows.status();
  for (int row = 0; row < rows->rows(); ++row) tenants.push_back(TenantId(rows->Int(row, 0)));
  co_return tenants;
}

Task<absl::Status> Spool::ExpireKeys() {
  const absl::Time now = clock_.Now();
  std::vector<TenantId> tenants;
  postgres::Params params = postgres::Params::Of(now);
  absl::StatusOr<postgres::Result> rows =
      co_await database_.Query(tenants, kExpiredTenants, std::move(params));
  if (!rows.ok()) co_return rows.status();
  for (int row = 0; row < rows->rows(); ++row) tenants.push_back(TenantId(rows->Int(row, 0)));
  if (tenants.empty()) co_return absl::OkStatus();
  postgres::Params expiry = postgres::Params::Of(now);
  absl::StatusOr<postgres::Result> deleted =
      co_await database_.Query(std::move(tenants), kDeleteExpired, std::move(expiry));
  co_return deleted.status();
}

}  // namespace posthorn::queue
