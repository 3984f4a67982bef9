// Jobs that wait on because their destination stands still.

#include <algorithm>

#include "services/queue/spool.h"
#include "services/queue/traffic.h"

namespace posthorn::queue {
namespace {

// Not what an operator wants returned or sent another way, and not what is held or leased.
constexpr char kCandidates[] =
    "SELECT a.n, j.destination, m.reverse_path, j.priority, coalesce(j.expires_at, m.expires_at),"
    " j.delay_warning_sent, greatest(m.received_at, m.hold_until), m.options IS NULL"
    " FROM unnest($2::bigint[], $3::bigint[]) WITH ORDINALITY AS a(t, id, n)"
    " CROSS JOIN LATERAL (SELECT x.message_id, x.destination, x.priority, x.expires_at,"
    "   x.delay_warning_sent FROM queue.job x WHERE x.tenant_id = a.t AND x.job_id = a.id"
    "   AND x.leased_until IS NULL AND x.bounce_reason IS NULL AND x.route IS NULL"
    "   AND CASE WHEN isfinite(x.due_at) THEN x.due_at <= $1::timestamptz + interval '1 second' END"
    "   OFFSET 0) j"
    " CROSS JOIN LATERAL (SELECT x.reverse_path, x.expires_at, x.received_at, x.hold_until, x.options"
    "   FROM queue.message x WHERE x.tenant_id = a.t AND x.message_id = j.message_id OFFSET 0) m";
constexpr char kPutOff[] = "SELECT tenant_id, job_id FROM queue.put_off($1, $2, $3, $4)";

}  // namespace

Task<absl::StatusOr<std::vector<Spool::Candidate>>> Spool::Candidates(std::vector<JobRef> jobs) {
  const absl::Time now = clock_.Now();
  std::vector<std::int64_t> tenants, ids;
  std::vector<TenantId> tenant_set;
  for (const JobRef& job : jobs) {
    tenants.push_back(job.tenant.value());
    ids.push_back(job.job.value());
    tenant_set.push_back(job.tenant);
  }
  std::sort(tenant_set.begin(), tenant_set.end());
  tenant_set.erase(std::unique(tenant_set.begin(), tenant_set.end()), tenant_set.end());
  postgres::Params params = postgres::Params::Of(now);
  params.AddInts(tenants).AddInts(ids);
  const absl::StatusOr<postgres::Result> rows =
      co_await database_.Query(std::move(tenant_set), kCandidates, std::move(params));
  if (!rows.ok()) co_return rows.status();
  std::vector<Candidate> candidates;
  for (int row = 0; row < rows->rows(); ++row) {
    Candidate candidate;
    candidate.ref = jobs[static_cast<std::size_t>(rows->Int(row, 0) - 1)];
    candidate.destination = rows->Text(row, 1);
    candidate.reverse_path = rows->Text(row, 2);
    candidate.priority = static_cast<int>(rows->Int(row, 3));
    candidate.look_at = rows->Time(row, 4);
    const absl::Duration warning =
        options_.policy.For(candidate.ref.tenant, candidate.destination).delay_warning;
    const bool warns = warning > absl::ZeroDuration() && !rows->Bool(row, 5) &&
                       !candidate.reverse_path.empty();
    if (warns) candidate.look_at = std::min(candidate.look_at, rows->Time(row, 6) + warning);
    // What senders asked for may have a time of its own (DELIVERBY).
    if (!rows->Bool(row, 7)) {
      candidate.look_at = std::min(candidate.look_at, now + Traffic::kLongestWait);
    }
    candidates.push_back(std::move(candidate));
  }
  co_return candidates;
}

Task<absl::StatusOr<std::vector<JobRef>>> Spool::PutOff(
    std::vector<std::pair<JobRef, absl::Time>> jobs) {
  std::vector<std::int64_t> tenants, ids;
  std::vector<absl::Time> times;
  std::vector<TenantId> tenant_set;
  for (const auto& [job, until] : jobs) {
    tenants.push_back(job.tenant.value());
    ids.push_back(job.job.value());
    times.push_back(until);
    tenant_set.push_back(job.tenant);
  }
  std::sort(tenant_set.begin(), tenant_set.end());
  tenant_set.erase(std::unique(tenant_set.begin(), tenant_set.end()), tenant_set.end());
  postgres::Params params = postgres::Params::Of(clock_.Now());
  params.AddInts(tenants).AddInts(ids).AddTimes(times);
  const absl::StatusOr<postgres::Result> rows =
      co_await database_.Query(std::move(tenant_set), kPutOff, std::move(params));
  if (!rows.ok()) co_return rows.status();
  std::vector<JobRef> waiting;
  for (int row = 0; row < rows->rows(); ++row) {
    JobRef ref;
    ref.tenant = TenantId(rows->Int(row, 0));
    ref.job = JobId(rows->Int(row, 1));
    waiting.push_back(ref);
  }
  co_return waiting;
}

}  // namespace posthorn::queue
