#include "services/queue/tls_reports.h"

#include <map>
#include <utility>

namespace posthorn::queue {
namespace {

constexpr absl::Duration kLease = absl::Minutes(5);

constexpr char kAdd[] =
    "SELECT queue.add_tls_results($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)";
constexpr char kLeaseOne[] =
    "SELECT day_number, domain, attempt, message_id FROM queue.lease_tls_report($1, $2, $3)";
constexpr char kPolicies[] =
    "SELECT policy_key, min(type), min(policy_domain), min(policy), min(mx),"
    " coalesce(sum(sessions) FILTER (WHERE result = ''), 0)::bigint,"
    " coalesce(sum(sessions) FILTER (WHERE result <> ''), 0)::bigint"
    " FROM queue.tls_result WHERE day = DATE '1970-01-01' + $1::int AND domain = $2"
    " GROUP BY policy_key ORDER BY sum(sessions) DESC, policy_key LIMIT 20";
constexpr char kFailures[] =
    "SELECT policy_key, result, sending_ip, mx_host, receiving_ip, reason, sessions"
    " FROM queue.tls_result WHERE day = DATE '1970-01-01' + $1::int AND domain = $2 AND result <> ''"
    " ORDER BY sessions DESC, result, mx_host, receiving_ip, sending_ip LIMIT 500";
constexpr char kFinish[] = "SELECT queue.finish_tls_report($1, $2::int, $3, $4::int, $5::int, $6)";
constexpr char kList[] =
    "SELECT t.day - DATE '1970-01-01', t.domain, t.state, t.due_at, t.finished_at,"
    " coalesce(r.successful, 0)::bigint, coalesce(r.failed, 0)::bigint, t.note, t.message_id"
    " FROM queue.tls_report t LEFT JOIN LATERAL ("
    "   SELECT sum(x.sessions) FILTER (WHERE x.result = '') AS successful,"
    "          sum(x.sessions) FILTER (WHERE x.result <> '') AS failed"
    "   FROM queue.tls_result x WHERE x.day = t.day AND x.domain = t.domain) r ON true"
    " WHERE $1 = '' OR t.domain = $1 ORDER BY t.day DESC, t.domain LIMIT $2";
// A given-up report starts again, as if it had not been tried.
constexpr char kMakeDue[] =
    "UPDATE queue.tls_report SET state = 0, due_at = $1, finished_at = NULL"
    " WHERE (state = 3 OR (state = 0 AND due_at > $1))"
    " AND day < ($1 AT TIME ZONE 'UTC')::date"
    " AND ($2 < 0 OR day = DATE '1970-01-01' + $2::int) AND ($3 = '' OR domain = $3)";
constexpr char kForget[] = "SELECT queue.keep_tls_reports($1, $2::int)";

}  // namespace

Task<absl::Status> TlsReports::Add(std::string batch, std::vector<TlsResult> results) {
  std::vector<std::int64_t> days, sessions;
  std::vector<std::string> domains, types, policy_domains, policies, mx, names, sending, hosts,
      receiving, reasons;
  for (TlsResult& result : results) {
    days.push_back(result.day);
    domains.push_back(std::move(result.domain));
    types.push_back(std::move(result.type));
    policy_domains.push_back(std::move(result.policy_domain));
    policies.push_back(std::move(result.policy));
    mx.push_back(std::move(result.mx));
    names.push_back(std::move(result.result));
    sending.push_back(std::move(result.sending_ip));
    hosts.push_back(std::move(result.mx_host));
    receiving.push_back(std::move(result.receiving_ip));
    reasons.push_back(std::move(result.reason));
    sessions.push_back(result.sessions);
  }
  postgres::Params params = postgres::Params::Of(clock_.Now(), postgres::Bytes(batch));
  params.AddInts(days).AddTexts(domains).AddTexts(types).AddTexts(policy_domains);
  params.AddTexts(policies).AddTexts(mx).AddTexts(names).AddTexts(sending).AddTexts(hosts);
  params.AddTexts(receiving).AddTexts(reasons).AddInts(sessions);
  const absl::StatusOr<postgres::Result> done =
      co_await database_.Query(std::vector<TenantId>(), kAdd, std::move(params));
  co_return done.status();
}

Task<absl::StatusOr<std::optional<DueTlsReport>>> TlsReports::Lease() {
  const absl::Time now = clock_.Now();
  const std::string new_id = MessageId::Generate(now).bytes();
  const absl::StatusOr<postgres::Result> rows = co_await database_.Query(
      std::vector<TenantId>(), kLeaseOne,
      postgres::Params::Of(now, now + kLease, postgres::Bytes(new_id)));
  if (!rows.ok()) co_return rows.status();
  if (rows->empty()) co_return std::nullopt;
  DueTlsReport report;
  report.day = static_cast<int>(rows->Int(0, 0));
  report.domain = rows->Text(0, 1);
  report.attempt = static_cast<int>(rows->Int(0, 2));
  const absl::StatusOr<MessageId> id = MessageId::FromBytes(rows->Bytes(0, 3));
  if (!id.ok()) co_return id.status();
  report.message_id = *id;

  const absl::StatusOr<postgres::Result> policies = co_await database_.Query(
      std::vector<TenantId>(), kPolicies, postgres::Params::Of(report.day, report.domain));
  if (!policies.ok()) co_return policies.status();
  std::map<std::string, std::size_t> position;
  for (int row = 0; row < policies->rows(); ++row) {
    position[policies->Text(row, 0)] = report.policies.size();
    TlsPolicySum& sum = report.policies.emplace_back();
    sum.policy.type = policies->Text(row, 1);
    sum.policy.policy_domain = policies->Text(row, 2);
    sum.policy.policy = policies->Text(row, 3);
    sum.policy.mx = policies->Text(row, 4);
    sum.successful = policies->Int(row, 5);
    sum.failed = policies->Int(row, 6);
  }
  const absl::StatusOr<postgres::Result> failures = co_await database_.Query(
      std::vector<TenantId>(), kFailures, postgres::Params::Of(report.day, report.domain));
  if (!failures.ok()) co_return failures.status();
  for (int row = 0; row < failures->rows(); ++row) {
    const auto it = position.find(failures->Text(row, 0));
    if (it == position.end()) continue;
    TlsResult& failure = report.policies[it->second].failures.emplace_back();
    failure.result = failures->Text(row, 1);
    failure.sending_ip = failures->Text(row, 2);
    failure.mx_host = failures->Text(row, 3);
    failure.receiving_ip = failures->Text(row, 4);
    failure.reason = failures->Text(row, 5);
    failure.sessions = failures->Int(row, 6);
  }
  co_return report;
}

Task<absl::Status> TlsReports::Finish(int day, std::string domain, int attempt,
                                      TlsReportOutcome outcome, std::string note) {
  const absl::StatusOr<postgres::Result> done = co_await database_.Query(
      std::vector<TenantId>(), kFinish,
      postgres::Params::Of(clock_.Now(), day, domain, attempt, static_cast<int>(outcome), note));
  co_return done.status();
}

Task<absl::StatusOr<std::vector<TlsReportRow>>> TlsReports::List(std::string domain, int limit) {
  const absl::StatusOr<postgres::Result> found = co_await database_.Query(
      std::vector<TenantId>(), kList, postgres::Params::Of(domain, limit));
  if (!found.ok()) co_return found.status();
  std::vector<TlsReportRow> rows;
  for (int row = 0; row < found->rows(); ++row) {
    TlsReportRow& report = rows.emplace_back();
    report.day = static_cast<int>(found->Int(row, 0));
    report.domain = found->Text(row, 1);
    report.state = static_cast<TlsReportOutcome>(found->Int(row, 2));
    report.due_at = found->Time(row, 3);
    if (!found->IsNull(row, 4)) report.finished_at = found->Time(row, 4);
    report.successful = found->Int(row, 5);
    report.failed = found->Int(row, 6);
    report.note = found->Text(row, 7);
    const absl::StatusOr<MessageId> id = MessageId::FromBytes(found->Bytes(row, 8));
    if (id.ok()) report.message_id = *id;
  }
  co_return rows;
}

Task<absl::StatusOr<int>> TlsReports::MakeDue(std::optional<int> day, std::string domain) {
  const absl::StatusOr<postgres::Result> done = co_await database_.Query(
      std::vector<TenantId>(), kMakeDue,
      postgres::Params::Of(clock_.Now(), day.value_or(-1), domain));
  if (!done.ok()) co_return done.status();
  co_return static_cast<int>(done->affected());
}

Task<absl::Status> TlsReports::Forget(int days) {
  const absl::StatusOr<postgres::Result> done = co_await database_.Query(
      std::vector<TenantId>(), kForget, postgres::Params::Of(clock_.Now(), days));
  co_return done.status();
}

}  // namespace posthorn::queue
