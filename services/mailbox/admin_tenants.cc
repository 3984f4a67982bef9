// Tenants, domains and API keys.

#include <algorithm>
#include <cstdlib>

#include "lib/base/failure.h"
#include "services/mailbox/address.h"
#include "services/mailbox/admin_rows.h"
#include "services/mailbox/admin_store.h"

namespace posthorn::mailbox {
namespace {

using postgres::Nothing;
using postgres::Params;
using postgres::Result;
using postgres::Transaction;

constexpr char kLookupTenant[] = "SELECT lookup.tenant($1)";
constexpr char kLookupDomain[] = "SELECT lookup.domain($1)";
constexpr char kLookupTenants[] = "SELECT lookup.tenants()";
constexpr char kLookupKey[] = "SELECT lookup.api_key_tenant($1)";
constexpr char kNextId[] = "SELECT nextval('directory.id')";

#define POSTHORN_TENANT_COLUMNS                                                                  \
  " t.tenant_id, t.name, t.created_at, coalesce(q.quota_bytes, 0), coalesce(q.quota_messages, 0)," \
  " coalesce(q.used_bytes, 0), coalesce(q.messages, 0) FROM directory.tenant t"                  \
  " LEFT JOIN mailbox.tenant_quota q ON q.tenant_id = t.tenant_id "
constexpr char kInsertTenant[] =
    "INSERT INTO directory.tenant (tenant_id, name) VALUES ($1, $2)"
    " RETURNING tenant_id, name, created_at, 0::bigint, 0::bigint, 0::bigint, 0::bigint";
constexpr char kSelectTenants[] =
    "SELECT" POSTHORN_TENANT_COLUMNS "WHERE t.name > $1 ORDER BY t.name LIMIT $2";
constexpr char kSelectTenant[] =
    "SELECT" POSTHORN_TENANT_COLUMNS "WHERE t.tenant_id = $1";
constexpr char kSetQuota[] =
    "SELECT mailbox.set_tenant_quota($1, coalesce($2, (SELECT q.quota_bytes"
    "  FROM mailbox.tenant_quota q WHERE q.tenant_id = $1), 0), coalesce($3,"
    " (SELECT q.quota_messages FROM mailbox.tenant_quota q WHERE q.tenant_id = $1), 0))";
constexpr char kDeleteQuota[] = "DELETE FROM mailbox.tenant_quota WHERE tenant_id = $1";
constexpr char kDeleteKeys[] = "DELETE FROM directory.api_key WHERE tenant_id = $1";
constexpr char kDeleteTenant[] = "DELETE FROM directory.tenant WHERE tenant_id = $1";

constexpr char kInsertDomain[] =
    "INSERT INTO directory.domain (tenant_id, name) VALUES ($1, $2)";
constexpr char kSelectDomains[] =
    POSTHORN_DOMAIN_COLUMNS
    "WHERE d.name > $1 AND d.alias_of IS NULL ORDER BY d.name LIMIT $2";
constexpr char kSelectDomain[] =
    POSTHORN_DOMAIN_COLUMNS "WHERE d.tenant_id = $1 AND d.name = $2 AND d.alias_of IS NULL";
constexpr char kDeleteDomain[] =
    "DELETE FROM directory.domain WHERE tenant_id = $1 AND name = $2 AND alias_of IS NULL";

constexpr char kInsertKey[] =
    "INSERT INTO directory.api_key (tenant_id, key_id, hash, description)"
    " SELECT $1, $2, $3, $4 RETURNING created_at";
constexpr char kSelectKeys[] =
    "SELECT k.tenant_id, k.key_id, t.name, k.description, k.created_at FROM directory.api_key k"
    " JOIN directory.tenant t ON t.tenant_id = k.tenant_id WHERE k.key_id > $1"
    " ORDER BY k.key_id LIMIT $2";
constexpr char kSelectKey[] =
    "SELECT k.tenant_id, k.key_id, t.name, k.description, k.created_at FROM directory.api_key k"
    " JOIN directory.tenant t ON t.tenant_id = k.tenant_id"
    " WHERE k.tenant_id = $1 AND k.key_id = $2";
constexpr char kDeleteKey[] = "DELETE FROM directory.api_key WHERE tenant_id = $1 AND key_id = $2";

std::vector<TenantId> None() { return {}; }

bool IsTenantName(std::string_view name) {
  return !name.empty() && name.size() <= 63 &&
         name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string_view::npos;
}

absl::Status InUse(const absl::Status& status, std::string_view what) {
  return postgres::SqlState(status) == postgres::kForeignKeyViolation
             ? MakeFailure(Failure::kInvalidArgument, what)
             : status;
}

TenantRecord TenantOf(const Result& r, int row) {
  return TenantRecord{TenantId(r.Int(row, 0)),
                      r.Text(row, 1),
                      r.Time(row, 2),
                      static_cast<std::uint64_t>(r.Int(row, 3)),
                      static_cast<std::uint64_t>(r.Int(row, 4)),
                      static_cast<std::uint64_t>(r.Int(row, 5)),
                      static_cast<std::uint64_t>(r.Int(row, 6))};
}

KeyRecord KeyOf(const Result& r, int row) {
  return KeyRecord{TenantId(r.Int(row, 0)), KeyId(r.Int(row, 1)), r.Text(row, 2), r.Text(row, 3),
                   r.Time(row, 4)};
}

template <typename Record>
std::vector<Record> AllOf(const Result& r, Record (*one)(const Result&, int)) {
  std::vector<Record> records;
  for (int i = 0; i < r.rows(); ++i) records.push_back(one(r, i));
  return records;
}

}  // namespace

AdminStore::AdminStore(postgres::Database& database, Passwords& passwords,
                       std::string tag_separators)
    : database_(database),
      passwords_(passwords),
      tag_separators_(std::move(tag_separators)) {}

Task<absl::StatusOr<TenantId>> AdminStore::FindTenant(std::string name) {
  absl::StatusOr<Result> row = co_await database_.Query(None(), kLookupTenant, Params::Of(name));
  if (!row.ok()) co_return row.status();
  if (row->IsNull(0, 0)) co_return MakeFailure(Failure::kNotFound, "no such tenant");
  co_return TenantId(row->Int(0, 0));
}

Task<absl::StatusOr<TenantId>> AdminStore::TenantOfDomain(std::string name) {
  absl::StatusOr<Result> row = co_await database_.Query(None(), kLookupDomain, Params::Of(name));
  if (!row.ok()) co_return row.status();
  if (row->IsNull(0, 0)) co_return MakeFailure(Failure::kNotFound, "no such domain");
  co_return TenantId(row->Int(0, 0));
}

Task<absl::StatusOr<std::vector<TenantId>>> AdminStore::TenantsFor(std::string name) {
  std::vector<TenantId> tenants;
  if (!name.empty()) {
    absl::StatusOr<TenantId> tenant = co_await FindTenant(std::move(name));
    if (!tenant.ok()) co_return tenant.status();
    tenants.push_back(*tenant);
    co_return tenants;
  }
  absl::StatusOr<Result> rows = co_await database_.Query(None(), kLookupTenants, Params());
  if (!rows.ok()) co_return rows.status();
  for (int i = 0; i < rows->rows(); ++i) tenants.emplace_back(rows->Int(i, 0));
  co_return tenants;
}

Task<absl::StatusOr<std::vector<TenantId>>> AdminStore::TenantsForDomain(std::string domain) {
  if (domain.empty()) {
    absl::StatusOr<std::vector<TenantId>> all = co_await TenantsFor("");
    co_return all;
  }
  absl::StatusOr<TenantId> tenant = co_await TenantOfDomain(std::move(domain));
  if (!tenant.ok()) co_return tenant.status();
  co_return std::vector<TenantId>(1, *tenant);
}

Task<absl::StatusOr<std::int64_t>> AdminStore::NextId() {
  absl::StatusOr<Result> row = co_await database_.Query(None(), kNextId, Params());
  if (!row.ok()) co_return row.status();
  co_return row->Int(0, 0);
}

Task<absl::StatusOr<TenantRecord>> AdminStore::AddTenant(std::string name) {
  if (!IsTenantName(name)) {
    co_return MakeFailure(Failure::kInvalidArgument,
                          "a tenant's name has 1 to 63 of a-z, 0-9 and hyphen");
  }
  absl::StatusOr<std::int64_t> id = co_await NextId();
  if (!id.ok()) co_return id.status();
  absl::StatusOr<Result> row =
      co_await database_.QueryFor(TenantId(*id), kInsertTenant, Params::Of(*id, name));
  if (!row.ok()) co_return Taken(row.status());
  co_return TenantOf(*row, 0);
}

Task<absl::StatusOr<std::vector<TenantRecord>>> AdminStore::ListTenants(Page page) {
  absl::StatusOr<std::vector<TenantId>> tenants = co_await TenantsFor("");
  if (!tenants.ok()) co_return tenants.status();
  absl::StatusOr<Result> rows = co_await database_.Query(
      *std::move(tenants), kSelectTenants, Params::Of(page.after, LimitOf(page)));
  if (!rows.ok()) co_return rows.status();
  co_return AllOf(*rows, TenantOf);
}

Task<absl::StatusOr<TenantRecord>> AdminStore::GetTenant(std::string name) {
  absl::StatusOr<TenantId> tenant = co_await FindTenant(std::move(name));
  if (!tenant.ok()) co_return tenant.status();
  absl::StatusOr<Result> row =
      co_await database_.QueryFor(*tenant, kSelectTenant, Params::Of(*tenant));
  if (!row.ok()) co_return row.status();
  if (row->empty()) co_return MakeFailure(Failure::kNotFound, "no such tenant");
  co_return TenantOf(*row, 0);
}

Task<absl::Status> AdminStore::RemoveTenant(std::string name) {
  absl::StatusOr<TenantId> tenant = co_await FindTenant(std::move(name));
  if (!tenant.ok()) co_return tenant.status();
  const TenantId id = *tenant;
  std::function<absl::StatusOr<Nothing>(Transaction&)> work =
      [id](Transaction& transaction) -> absl::StatusOr<Nothing> {
    for (const char* sql : {kDeleteKeys, kDeleteQuota, kDeleteTenant}) {
      absl::StatusOr<Result> result = transaction.Exec(sql, Params::Of(id));
      if (!result.ok()) return result.status();
    }
    return Nothing();
  };
  absl::StatusOr<Nothing> done = co_await database_.TransactFor<Nothing>(id, std::move(work));
  co_return InUse(done.status(), "the tenant still has domains");
}

Task<absl::StatusOr<TenantRecord>> AdminStore::SetTenant(std::string name, TenantChange change) {
  absl::StatusOr<TenantId> tenant = co_await FindTenant(name);
  if (!tenant.ok()) co_return tenant.status();
  if (std::max(change.quota_bytes.value_or(0), change.quota_messages.value_or(0)) >
      static_cast<std::uint64_t>(INT64_MAX)) {
    co_return MakeFailure(Failure::kInvalidArgument, "quota too large");
  }
  absl::StatusOr<Result> set = co_await database_.QueryFor(
      *tenant, kSetQuota, Params::Of(*tenant, change.quota_bytes, change.quota_messages));
  if (!set.ok()) co_return set.status();
  absl::StatusOr<TenantRecord> record = co_await GetTenant(std::move(name));
  co_return record;
}

Task<absl::StatusOr<DomainRecord>> AdminStore::AddDomain(std::string tenant_name,
                                                         std::string name) {
  absl::StatusOr<std::string> domain = ParseDomainName(name);
  if (!domain.ok()) co_return domain.status();
  absl::StatusOr<TenantId> tenant = co_await FindTenant(std::move(tenant_name));
  if (!tenant.ok()) co_return tenant.status();
  absl::StatusOr<Result> row =
      co_await database_.QueryFor(*tenant, kInsertDomain, Params::Of(*tenant, *domain));
  if (!row.ok()) co_return Taken(row.status());
  absl::StatusOr<DomainRecord> record = co_await GetDomain(*std::move(domain));
  co_return record;
}

Task<absl::StatusOr<std::vector<DomainRecord>>> AdminStore::ListDomains(std::string tenant,
                                                                        Page page) {
  absl::StatusOr<std::vector<TenantId>> tenants = co_await TenantsFor(std::move(tenant));
  if (!tenants.ok()) co_return tenants.status();
  absl::StatusOr<Result> rows = co_await database_.Query(
      *std::move(tenants), kSelectDomains, Params::Of(page.after, LimitOf(page)));
  if (!rows.ok()) co_return rows.status();
  co_return AllOf(*rows, DomainOf);
}

Task<absl::StatusOr<DomainRecord>> AdminStore::GetDomain(std::string name) {
  absl::StatusOr<std::string> domain = ParseDomainName(name);
  if (!domain.ok()) co_return domain.status();
  absl::StatusOr<TenantId> tenant = co_await TenantOfDomain(*domain);
  if (!tenant.ok()) co_return tenant.status();
  absl::StatusOr<Result> row =
      co_await database_.QueryFor(*tenant, kSelectDomain, Params::Of(*tenant, *domain));
  if (!row.ok()) co_return row.status();
  if (row->empty()) co_return MakeFailure(Failure::kNotFound, "no such domain");
  co_return DomainOf(*row, 0);
}

Task<absl::Status> AdminStore::RemoveDomain(std::string name) {
  absl::StatusOr<std::string> domain = ParseDomainName(name);
  if (!domain.ok()) co_return domain.status();
  absl::StatusOr<TenantId> tenant = co_await TenantOfDomain(*domain);
  if (!tenant.ok()) co_return tenant.status();
  absl::StatusOr<Result> row =
      co_await database_.QueryFor(*tenant, kDeleteDomain, Params::Of(*tenant, *domain));
  if (!row.ok()) {
    co_return InUse(row.status(), "the domain still has accounts, lists or aliases");
  }
  if (row->affected() == 0) co_return MakeFailure(Failure::kNotFound, "no such domain");
  co_return absl::OkStatus();
}

Task<absl::StatusOr<std::pair<KeyRecord, std::string>>> AdminStore::AddKey(
    std::string tenant_name, std::string description) {
  absl::StatusOr<TenantId> tenant = co_await FindTenant(tenant_name);
  if (!tenant.ok()) co_return tenant.status();
  absl::StatusOr<std::int64_t> id = co_await NextId();
  if (!id.ok()) co_return id.status();
  const std::string secret = NewApiKey();
  const std::string hash = HashApiKey(secret);
  Params params = Params::Of(*tenant, *id, postgres::Bytes(hash), description);
  absl::StatusOr<Result> row =
      co_await database_.QueryFor(*tenant, kInsertKey, std::move(params));
  if (!row.ok()) co_return row.status();
  KeyRecord record{*tenant, KeyId(*id), std::move(tenant_name), std::move(description),
                   row->Time(0, 0)};
  co_return std::pair<KeyRecord, std::string>(std::move(record), secret);
}

Task<absl::StatusOr<std::vector<KeyRecord>>> AdminStore::ListKeys(std::string tenant, Page page) {
  absl::StatusOr<std::vector<TenantId>> tenants = co_await TenantsFor(std::move(tenant));
  if (!tenants.ok()) co_return tenants.status();
  const std::int64_t after = std::strtoll(page.after.c_str(), nullptr, 10);
  absl::StatusOr<Result> rows = co_await database_.Query(*std::move(tenants), kSelectKeys,
                                                         Params::Of(after, LimitOf(page)));
  if (!rows.ok()) co_return rows.status();
  co_return AllOf(*rows, KeyOf);
}

Task<absl::StatusOr<KeyRecord>> AdminStore::GetKey(KeyId key) {
  absl::StatusOr<Result> found = co_await database_.Query(None(), kLookupKey, Params::Of(key));
  if (!found.ok()) co_return found.status();
  if (found->IsNull(0, 0)) co_return MakeFailure(Failure::kNotFound, "no such key");
  const TenantId tenant(found->Int(0, 0));
  absl::StatusOr<Result> row =
      co_await database_.QueryFor(tenant, kSelectKey, Params::Of(tenant, key));
  if (!row.ok()) co_return row.status();
  if (row->empty()) co_return MakeFailure(Failure::kNotFound, "no such key");
  co_return KeyOf(*row, 0);
}

Task<absl::Status> AdminStore::RemoveKey(KeyId key) {
  absl::StatusOr<KeyRecord> record = co_await GetKey(key);
  if (!record.ok()) co_return record.status();
  absl::StatusOr<Result> row =
      co_await database_.QueryFor(record->tenant, kDeleteKey, Params::Of(record->tenant, key));
  co_return row.status();
}

}  // namespace posthorn::mailbox
