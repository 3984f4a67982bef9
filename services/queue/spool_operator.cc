// What operators ask of the spool: list, retry, cancel, hold, release, bounce, reroute, summary.

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/base/failure.h"
#include "services/queue/spool.h"

namespace posthorn::queue {
namespace {

// Messages a transaction works on at once.
constexpr int kBatch = 500;

// $1 and $2 are where the page before ended. Conditions on what the filter names follow, each with
// the parameter that is there anyway.
constexpr char kFind[] =
    "SELECT m.tenant_id, m.message_id, m.reverse_path, m.size, m.received_at, m.expires_at,"
    " m.first_job_id, m.last_job_id, m.options FROM queue.message m"
    " WHERE (m.message_id, m.tenant_id) > ($1, $2::bigint)"
    " AND ($4 = '' OR lower(m.reverse_path) = $4)"
    " AND ($5 = '' OR EXISTS (SELECT FROM queue.job j WHERE j.tenant_id = m.tenant_id"
    "   AND j.job_id >= m.first_job_id AND j.job_id <= m.last_job_id AND j.destination = $5))";
constexpr char kWithId[] = " AND m.message_id = $3";
constexpr char kWithAnyId[] = " AND $3 = ''::bytea";
constexpr char kInOrder[] = " ORDER BY m.message_id, m.tenant_id LIMIT $6";
constexpr char kRecipients[] =
    "SELECT a.n, r.address, r.account_id, r.state, r.remote_host, r.smtp_code, r.enhanced_status,"
    " r.reply, j.job_id IS NOT NULL, j.destination, j.attempt - j.waits, j.leased_until,"
    " j.due_at"
    " FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) WITH ORDINALITY AS a(t, first, last, n)"
    " CROSS JOIN LATERAL (SELECT * FROM queue.recipient x WHERE x.tenant_id = a.t"
    "   AND x.job_id >= a.first AND x.job_id <= a.last OFFSET 0) r"
    " LEFT JOIN LATERAL (SELECT * FROM queue.job x WHERE x.tenant_id = r.tenant_id"
    "   AND x.job_id = r.job_id OFFSET 0) j ON true"
    " ORDER BY a.n, r.job_id, r.recipient_id";
constexpr char kRetry[] =
    "SELECT tenant_id, job_id, hash FROM queue.retry($1, $2, $3, NULLIF($4, ''))";
constexpr char kCancel[] =
    "SELECT tenant_id, job_id, hash, recipients FROM queue.cancel($1, $2, $3, NULLIF($4, ''))";

constexpr char kHold[] =
    "SELECT tenant_id, job_id, hash FROM queue.hold($1, $2, NULLIF($3, ''))";
constexpr char kRelease[] =
    "SELECT tenant_id, job_id, hash FROM queue.release($1, $2, $3, NULLIF($4, ''))";
constexpr char kBounce[] =
    "SELECT tenant_id, job_id, hash FROM queue.bounce($1, $2, $3, NULLIF($4, ''), $5)";
constexpr char kReroute[] =
    "SELECT tenant_id, job_id, hash FROM queue.reroute($1, $2, $3, NULLIF($4, ''), $5)";
constexpr char kSummarize[] =
    "SELECT destination, jobs, deferred, held, by_age FROM lookup.queue_summary($1, $2, $3::int)";
constexpr char kTenantOf[] = "SELECT lookup.queue_event_tenants($1)";
constexpr char kEvents[] =
    "SELECT happened_at, kind, recipient, destination, attempt, remote_host, smtp_code,"
    " enhanced_status, reply FROM queue.events_of($1, $2, $3::int)";
constexpr int kMaxEvents = 1000;
constexpr char kKeepEvents[] = "SELECT lookup.queue_keep_events($1, $2::int)";
constexpr char kUsage[] = "SELECT tenant_id, messages, octets FROM lookup.queue_usage()";

std::string LastReply(const postgres::Result& rows, int row) {
  const std::string host = rows.Text(row, 4);
  const std::int64_t code = rows.Int(row, 5);
  std::string reply;
  if (!host.empty()) absl::StrAppend(&reply, host, ": ");
  if (code != 0) absl::StrAppend(&reply, code, " ");
  const std::string status = rows.Text(row, 6);
  if (!status.empty()) absl::StrAppend(&reply, status, " ");
  absl::StrAppend(&reply, rows.Text(row, 7));
  return reply;
}

JobRef RefOf(const postgres::Result& rows, int row) {
  JobRef ref;
  ref.tenant = TenantId(rows.Int(row, 0));
  ref.job = JobId(rows.Int(row, 1));
  ref.hash = static_cast<int>(rows.Int(row, 2));
  return ref;
}

// A page of messages found, as the columns of kFind.
struct Page {
  std::vector<QueuedMessage> messages;
  std::vector<std::int64_t> first_jobs, last_jobs;

  std::vector<std::int64_t> Tenants() const {
    std::vector<std::int64_t> tenants;
    for (const QueuedMessage& message : messages) tenants.push_back(message.tenant.value());
    return tenants;
  }
  std::vector<TenantId> TenantSet() const {
    std::vector<TenantId> tenants;
    for (const QueuedMessage& message : messages) tenants.push_back(message.tenant);
    std::sort(tenants.begin(), tenants.end());
    tenants.erase(std::unique(tenants.begin(), tenants.end()), tenants.end());
    return tenants;
  }
};

Task<absl::StatusOr<Page>> FindPage(postgres::Database& database, std::vector<TenantId> tenants,
                                    Filter filter, std::optional<MessageId> after,
                                    TenantId after_tenant, int limit) {
  const std::string after_id = after ? after->bytes() : std::string();
  const std::string wanted_id = filter.message ? filter.message->bytes() : std::string();
  postgres::Params params = postgres::Params::Of(
      postgres::Bytes(after_id), after_tenant, postgres::Bytes(wanted_id), filter.reverse_path,
      filter.destination, limit);
  std::string sql = absl::StrCat(kFind, filter.message ? kWithId : kWithAnyId, kInOrder);
  absl::StatusOr<postgres::Result> rows =
      co_await database.Query(std::move(tenants), std::move(sql), std::move(params));
  if (!rows.ok()) co_return rows.status();
  Page page;
  for (int row = 0; row < rows->rows(); ++row) {
    QueuedMessage message;
    message.tenant = TenantId(rows->Int(row, 0));
    absl::StatusOr<MessageId> id = MessageId::FromBytes(rows->Bytes(row, 1));
    if (!id.ok()) co_return id.status();
    message.id = *id;
    message.reverse_path = rows->Text(row, 2);
    message.size = static_cast<std::uint64_t>(rows->Int(row, 3));
    message.received_at = rows->Time(row, 4);
    message.expires_at = rows->Time(row, 5);
    message.options = rows->Text(row, 8);
    page.messages.push_back(std::move(message));
    page.first_jobs.push_back(rows->Int(row, 6));
    page.last_jobs.push_back(rows->Int(row, 7));
  }
  co_return page;
}

// The arrays that name a page's messages. Views point into `ids`, which outlives the call.
void AddMessages(const Page& page, std::vector<std::string>& ids, postgres::Params& params) {
  for (const QueuedMessage& message : page.messages) ids.push_back(message.id.bytes());
  const std::vector<std::optional<std::string_view>> views(ids.begin(), ids.end());
  params.AddInts(page.Tenants()).AddBytesArray(views);
}

}  // namespace

Task<absl::StatusOr<std::vector<TenantId>>> Spool::TenantsOf(const Filter& filter) {
  if (filter.tenant) co_return std::vector<TenantId>(1, filter.tenant);
  co_return co_await Tenants();
}

Task<absl::StatusOr<std::vector<QueuedMessage>>> Spool::List(Filter filter, int limit,
                                                             std::optional<MessageId> after) {
  absl::StatusOr<std::vector<TenantId>> tenants = co_await TenantsOf(filter);
  if (!tenants.ok()) co_return tenants.status();
  // Ids are unique over the platform, so all of the last page's id has been shown.
  constexpr TenantId kLastTenant(std::numeric_limits<std::int64_t>::max());
  absl::StatusOr<Page> page = co_await FindPage(database_, *tenants, filter, after,
                                                after ? kLastTenant : TenantId(), limit);
  if (!page.ok()) co_return page.status();
  postgres::Params params;
  params.AddInts(page->Tenants()).AddInts(page->first_jobs).AddInts(page->last_jobs);
  absl::StatusOr<postgres::Result> rows =
      co_await database_.Query(page->TenantSet(), kRecipients, std::move(params));
  if (!rows.ok()) co_return rows.status();
  for (int row = 0; row < rows->rows(); ++row) {
    QueuedRecipient recipient;
    recipient.address = rows->Text(row, 1);
    recipient.state = static_cast<RecipientState>(rows->Int(row, 3));
    recipient.last_reply = LastReply(*rows, row);
    const bool has_job = rows->Bool(row, 8);
    if (has_job) {
      recipient.destination = rows->Text(row, 9);
      recipient.attempts = static_cast<int>(rows->Int(row, 10));
      recipient.leased = !rows->IsNull(row, 11);
      const absl::Time due_at = rows->Time(row, 12);
      recipient.held = due_at == absl::InfiniteFuture();
      const bool waits = !recipient.leased && recipient.state < RecipientState::kDelivered;
      if (waits && !recipient.held) recipient.next_attempt_at = due_at;
    } else {
      Recipient known;
      known.address = recipient.address;
      known.account = AccountId(rows->Int(row, 2));
      recipient.destination = DestinationOf(known);
    }
    page->messages[static_cast<std::size_t>(rows->Int(row, 0) - 1)].recipients.push_back(
        std::move(recipient));
  }
  co_return std::move(page->messages);
}

Task<absl::StatusOr<std::vector<JobRef>>> Spool::Change(Filter filter, const char* sql, bool timed,
                                                        std::optional<std::string> extra) {
  absl::StatusOr<std::vector<TenantId>> tenants = co_await TenantsOf(filter);
  if (!tenants.ok()) co_return tenants.status();
  std::vector<JobRef> refs;
  std::optional<MessageId> after;
  TenantId after_tenant;
  for (;;) {
    absl::StatusOr<Page> page =
        co_await FindPage(database_, *tenants, filter, after, after_tenant, kBatch);
    if (!page.ok()) co_return page.status();
    if (page->messages.empty()) co_return refs;
    after = page->messages.back().id;
    after_tenant = page->messages.back().tenant;
    postgres::Params params;
    if (timed) params.Add(clock_.Now());
    std::vector<std::string> ids;
    AddMessages(*page, ids, params);
    params.Add(filter.destination);
    if (extra.has_value()) params.Add(*extra);
    absl::StatusOr<postgres::Result> rows =
        co_await database_.Query(page->TenantSet(), sql, std::move(params));
    if (!rows.ok()) co_return rows.status();
    for (int row = 0; row < rows->rows(); ++row) refs.push_back(RefOf(*rows, row));
  }
}

Task<absl::StatusOr<std::vector<JobRef>>> Spool::Retry(Filter filter) {
  return Change(std::move(filter), kRetry, true, std::nullopt);
}
Task<absl::StatusOr<std::vector<JobRef>>> Spool::Hold(Filter filter) {
  return Change(std::move(filter), kHold, false, std::nullopt);
}
Task<absl::StatusOr<std::vector<JobRef>>> Spool::Release(Filter filter) {
  return Change(std::move(filter), kRelease, true, std::nullopt);
}
Task<absl::StatusOr<std::vector<JobRef>>> Spool::Bounce(Filter filter, std::string reason) {
  return Change(std::move(filter), kBounce, true, std::move(reason));
}
Task<absl::StatusOr<std::vector<JobRef>>> Spool::Reroute(Filter filter, std::string hosts) {
  return Change(std::move(filter), kReroute, true, std::move(hosts));
}

Task<absl::StatusOr<std::vector<DestinationSummary>>> Spool::Summarize(TenantId tenant,
                                                                       int limit) {
  std::vector<TenantId> no_tenants;
  postgres::Params params = postgres::Params::Of(clock_.Now(), tenant, limit);
  absl::StatusOr<postgres::Result> rows =
      co_await database_.Query(std::move(no_tenants), kSummarize, std::move(params));
  if (!rows.ok()) co_return rows.status();
  std::vector<DestinationSummary> summaries;
  for (int row = 0; row < rows->rows(); ++row) {
    DestinationSummary summary;
    summary.destination = rows->Text(row, 0);
    summary.jobs = rows->Int(row, 1);
    summary.deferred = rows->Int(row, 2);
    summary.held = rows->Int(row, 3);
    summary.by_age = rows->Ints(row, 4);
    summaries.push_back(std::move(summary));
  }
  co_return summaries;
}

Task<absl::StatusOr<History>> Spool::HistoryOf(TenantId tenant, MessageId message) {
  const std::string id = message.bytes();
  History history;
  history.tenant = tenant;
  if (!tenant) {
    std::vector<TenantId> no_tenants;
    postgres::Params of = postgres::Params::Of(postgres::Bytes(id));
    const absl::StatusOr<postgres::Result> rows =
        co_await database_.Query(std::move(no_tenants), kTenantOf, std::move(of));
    if (!rows.ok()) co_return rows.status();
    if (rows->rows() == 0) co_return history;
    history.tenant = TenantId(rows->Int(0, 0));
  }
  const std::vector<std::int64_t> tenant_ids(1, history.tenant.value());
  postgres::Params params;
  params.AddInts(tenant_ids).Add(postgres::Bytes(id)).Add(std::int64_t{kMaxEvents});
  std::vector<TenantId> tenants(1, history.tenant);
  const absl::StatusOr<postgres::Result> rows =
      co_await database_.Query(std::move(tenants), kEvents, std::move(params));
  if (!rows.ok()) co_return rows.status();
  for (int row = rows->rows() - 1; row >= 0; --row) {
    Event event;
    event.at = rows->Time(row, 0);
    event.kind = static_cast<EventKind>(rows->Int(row, 1));
    event.recipient = rows->Text(row, 2);
    event.destination = rows->Text(row, 3);
    event.attempt = static_cast<int>(rows->Int(row, 4));
    event.remote_host = rows->Text(row, 5);
    event.smtp_code = static_cast<int>(rows->Int(row, 6));
    event.enhanced_status = rows->Text(row, 7);
    event.reply = rows->Text(row, 8);
    history.events.push_back(std::move(event));
  }
  co_return history;
}

Task<absl::Status> Spool::KeepEvents(int days) {
  std::vector<TenantId> no_tenants;
  postgres::Params params = postgres::Params::Of(clock_.Now(), days);
  const absl::StatusOr<postgres::Result> rows =
      co_await database_.Query(std::move(no_tenants), kKeepEvents, std::move(params));
  co_return rows.status();
}

Task<absl::StatusOr<std::vector<Spool::Usage>>> Spool::CountByTenant() {
  std::vector<TenantId> no_tenants;
  postgres::Params params;
  absl::StatusOr<postgres::Result> rows =
      co_await database_.Query(std::move(no_tenants), kUsage, std::move(params));
  if (!rows.ok()) co_return rows.status();
  std::vector<Usage> usages;
  for (int row = 0; row < rows->rows(); ++row) {
    Usage usage;
    usage.tenant = TenantId(rows->Int(row, 0));
    usage.messages = rows->Int(row, 1);
    usage.octets = rows->Int(row, 2);
    usages.push_back(usage);
  }
  co_return usages;
}

Task<absl::StatusOr<Spool::CancelResult>> Spool::Cancel(Filter filter) {
  absl::StatusOr<std::vector<TenantId>> tenants = co_await TenantsOf(filter);
  if (!tenants.ok()) co_return tenants.status();
  CancelResult result;
  std::optional<MessageId> after;
  TenantId after_tenant;
  for (;;) {
    absl::StatusOr<Page> page =
        co_await FindPage(database_, *tenants, filter, after, after_tenant, kBatch);
    if (!page.ok()) co_return page.status();
    if (page->messages.empty()) co_return result;
    after = page->messages.back().id;
    after_tenant = page->messages.back().tenant;
    postgres::Params params = postgres::Params::Of(clock_.Now());
    std::vector<std::string> ids;
    AddMessages(*page, ids, params);
    params.Add(filter.destination);
    absl::StatusOr<postgres::Result> rows =
        co_await database_.Query(page->TenantSet(), kCancel, std::move(params));
    if (!rows.ok()) co_return rows.status();
    for (int row = 0; row < rows->rows(); ++row) {
      result.jobs.push_back(RefOf(*rows, row));
      result.recipients += static_cast<int>(rows->Int(row, 3));
    }
  }
}

}  // namespace posthorn::queue
