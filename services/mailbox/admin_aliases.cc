// Aliases: addresses that lead to others.

#include <utility>

#include "lib/base/failure.h"
#include "services/mailbox/admin_rows.h"
#include "services/mailbox/admin_store.h"

namespace posthorn::mailbox {
namespace {

using postgres::Params;
using postgres::Result;

constexpr char kInsertAlias[] =
    "INSERT INTO directory.address (tenant_id, address, domain, targets) VALUES ($1, $2, $3, $4)"
    " RETURNING created_at";
constexpr char kSetAlias[] =
    "UPDATE directory.address SET targets = $4"
    " WHERE tenant_id = $1 AND address = $2 AND domain = $3 AND targets <> '{}'"
    " RETURNING created_at";
constexpr char kSelectAliases[] =
    "SELECT tenant_id, address, targets, created_at FROM directory.address"
    " WHERE targets <> '{}' AND address > $1 AND ($2 = '' OR domain = $2)"
    " ORDER BY address LIMIT $3";
constexpr char kSelectAlias[] =
    "SELECT tenant_id, address, targets, created_at FROM directory.address"
    " WHERE tenant_id = $1 AND address = $2 AND targets <> '{}'";
constexpr char kDeleteAlias[] =
    "DELETE FROM directory.address WHERE tenant_id = $1 AND address = $2 AND targets <> '{}'";

AliasRecord AliasOf(const Result& r, int row) {
  return AliasRecord{TenantId(r.Int(row, 0)), r.Text(row, 1), r.Texts(row, 2), r.Time(row, 3)};
}

}  // namespace

Task<absl::StatusOr<AliasRecord>> AdminStore::AddAlias(std::string name,
                                                       std::vector<std::string> targets) {
  absl::StatusOr<AliasRecord> added =
      co_await StoreAlias(std::move(name), std::move(targets), kInsertAlias);
  co_return added;
}

Task<absl::StatusOr<AliasRecord>> AdminStore::SetAlias(std::string name,
                                                       std::vector<std::string> targets) {
  absl::StatusOr<AliasRecord> set =
      co_await StoreAlias(std::move(name), std::move(targets), kSetAlias);
  co_return set;
}

Task<absl::StatusOr<AliasRecord>> AdminStore::StoreAlias(std::string name,
                                                         std::vector<std::string> targets,
                                                         const char* sql) {
  if (targets.empty() || targets.size() > kMaxAliasTargets) {
    co_return MakeFailure(Failure::kInvalidArgument, "an alias has 1 to 1000 targets");
  }
  absl::StatusOr<Located> at = co_await Locate(std::move(name));
  if (!at.ok()) co_return at.status();
  absl::StatusOr<std::vector<Stored>> stored =
      co_await StoredForms(at->tenant, std::move(targets), false);
  if (!stored.ok()) co_return stored.status();
  AliasRecord record;
  record.tenant = at->tenant;
  record.address = at->address.ToString();
  std::vector<std::string> keys;
  for (Stored& target : *stored) {
    keys.push_back(std::move(target.key));
    record.targets.push_back(std::move(target.address));
  }
  absl::Status loop = co_await CheckLoop(at->tenant, record.address, std::move(keys));
  if (!loop.ok()) co_return loop;
  Params params = Params::Of(at->tenant, record.address, at->address.domain);
  params.AddTexts(record.targets);
  absl::StatusOr<Result> row = co_await database_.QueryFor(at->tenant, sql, std::move(params));
  if (!row.ok()) co_return Taken(row.status());
  if (row->empty()) co_return MakeFailure(Failure::kNotFound, "no such alias");
  record.created_at = row->Time(0, 0);
  co_return record;
}

Task<absl::StatusOr<std::vector<AliasRecord>>> AdminStore::ListAliases(std::string domain,
                                                                       Page page) {
  absl::StatusOr<std::vector<TenantId>> tenants = co_await TenantsForDomain(domain);
  if (!tenants.ok()) co_return tenants.status();
  absl::StatusOr<Result> rows = co_await database_.Query(
      *std::move(tenants), kSelectAliases, Params::Of(page.after, domain, LimitOf(page)));
  if (!rows.ok()) co_return rows.status();
  std::vector<AliasRecord> records;
  for (int i = 0; i < rows->rows(); ++i) records.push_back(AliasOf(*rows, i));
  co_return records;
}

Task<absl::StatusOr<AliasRecord>> AdminStore::GetAlias(std::string name) {
  absl::StatusOr<Located> at = co_await Locate(std::move(name));
  if (!at.ok()) co_return at.status();
  absl::StatusOr<Result> row = co_await database_.QueryFor(
      at->tenant, kSelectAlias, Params::Of(at->tenant, at->address.ToString()));
  if (!row.ok()) co_return row.status();
  if (row->empty()) co_return MakeFailure(Failure::kNotFound, "no such alias");
  co_return AliasOf(*row, 0);
}

Task<absl::Status> AdminStore::RemoveAlias(std::string name) {
  absl::StatusOr<AliasRecord> alias = co_await GetAlias(std::move(name));
  if (!alias.ok()) co_return alias.status();
  absl::StatusOr<Result> row = co_await database_.QueryFor(
      alias->tenant, kDeleteAlias, Params::Of(alias->tenant, alias->address));
  co_return row.status();
}

}  // namespace posthorn::mailbox
