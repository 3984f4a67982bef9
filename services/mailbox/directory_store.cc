#include "services/mailbox/directory_store.h"

#include <algorithm>
#include <deque>
#include <optional>

#include "absl/container/flat_hash_set.h"
#include "lib/base/failure.h"
#include "services/mailbox/address.h"

namespace posthorn::mailbox {
namespace {

using postgres::Params;
using postgres::Result;

constexpr char kLookupAddress[] =
    "SELECT tenant_id, address, account_id, targets, disabled FROM lookup.address($1, $2)";
constexpr char kLookupTenant[] = "SELECT lookup.tenant($1)";
constexpr char kOwnsAddress[] =
    "SELECT 1 FROM directory.address a WHERE a.tenant_id = $1 AND a.address = ANY ($3)"
    " AND (a.account_id = $2 OR EXISTS ("
    "   SELECT FROM directory.address own WHERE own.tenant_id = $1 AND own.account_id = $2"
    "   AND own.address = ANY (a.targets))) LIMIT 1";
constexpr char kOwnsDomain[] =
    "SELECT 1 FROM directory.domain WHERE tenant_id = $1 AND name = $2";

// One step of a resolution: what the directory has under one address.
struct Found {
  enum class Kind { kForeign, kUnknown, kAccount, kAlias, kDisabled } kind = Kind::kForeign;
  TenantId tenant;
  AccountId account;
  std::vector<std::string> targets;
  std::string address;
};

Task<absl::StatusOr<Found>> Find(postgres::Database& database, DirectoryAddress address) {
  const std::string exact = address.ToString();
  const std::string names[] = {exact, address.WithoutTag()};
  Params params = Params::Of(address.domain);
  params.AddTexts(names);
  absl::StatusOr<Result> rows =
      co_await database.Query(std::vector<TenantId>(), kLookupAddress, std::move(params));
  if (!rows.ok()) co_return rows.status();
  Found entry;
  entry.address = exact;
  if (rows->empty()) co_return entry;
  entry.tenant = TenantId(rows->Int(0, 0));
  entry.kind = Found::Kind::kUnknown;
  for (int i = 0; i < rows->rows(); ++i) {
    if (rows->IsNull(i, 1)) continue;
    const bool is_exact = rows->Bytes(i, 1) == exact;
    if (entry.kind != Found::Kind::kUnknown && !is_exact) continue;
    if (!rows->IsNull(i, 3)) {
      entry.kind = Found::Kind::kAlias;
      entry.targets = rows->Texts(i, 3);
    } else {
      entry.kind = rows->Bool(i, 4) ? Found::Kind::kDisabled : Found::Kind::kAccount;
      entry.account = AccountId(rows->Int(i, 2));
    }
    entry.address = rows->Text(i, 1);
  }
  co_return entry;
}

}  // namespace

DirectoryStore::DirectoryStore(postgres::Database& database, Passwords& passwords)
    : database_(database), passwords_(passwords) {}

Task<absl::StatusOr<Resolution>> DirectoryStore::Resolve(std::string address) {
  absl::StatusOr<DirectoryAddress> parsed = ParseDirectoryAddress(address);
  if (!parsed.ok()) co_return parsed.status();
  absl::StatusOr<Found> first = co_await Find(database_, *parsed);
  if (!first.ok()) co_return first.status();
  Resolution resolution;
  resolution.tenant = first->tenant;
  switch (first->kind) {
    case Found::Kind::kForeign: resolution.kind = Resolution::Kind::kRemote; break;
    case Found::Kind::kUnknown: resolution.kind = Resolution::Kind::kNoSuchRecipient; break;
    case Found::Kind::kDisabled: resolution.kind = Resolution::Kind::kDisabled; break;
    case Found::Kind::kAccount:
      resolution.kind = Resolution::Kind::kLocal;
      resolution.targets.push_back({first->account, first->tenant, first->address});
      break;
    case Found::Kind::kAlias: resolution.kind = Resolution::Kind::kLocal; break;
  }
  if (first->kind != Found::Kind::kAlias) co_return resolution;

  // Breadth first through the aliases; what was seen is not followed again.
  absl::flat_hash_set<std::string> seen = {first->address};
  std::deque<std::pair<std::string, int>> open;
  for (std::string& target : first->targets) open.emplace_back(std::move(target), 1);
  bool too_deep = false;
  while (!open.empty()) {
    auto [name, depth] = std::move(open.front());
    open.pop_front();
    absl::StatusOr<DirectoryAddress> target = ParseDirectoryAddress(name);
    if (!target.ok() || !seen.insert(target->ToString()).second) continue;
    if (seen.size() > kMaxTargets) co_return MakeFailure(Failure::kTooManyRecipients);
    absl::StatusOr<Found> entry = co_await Find(database_, *target);
    if (!entry.ok()) co_return entry.status();
    const bool is_foreign =
        entry->kind == Found::Kind::kForeign || entry->tenant != resolution.tenant;
    if (is_foreign) {
      resolution.targets.push_back({AccountId(), TenantId(), std::move(name)});
    } else if (entry->kind == Found::Kind::kAccount) {
      const bool is_known = std::any_of(
          resolution.targets.begin(), resolution.targets.end(),
          [&](const Resolution::Target& t) { return t.account == entry->account; });
      if (!is_known) resolution.targets.push_back({entry->account, entry->tenant, entry->address});
    } else if (entry->kind == Found::Kind::kAlias) {
      if (depth >= kMaxAliasDepth) {
        too_deep = true;
        continue;
      }
      for (std::string& next : entry->targets) open.emplace_back(std::move(next), depth + 1);
    }
  }
  if (!resolution.targets.empty()) co_return resolution;
  // The alias leads to itself, or too far; or all it leads to is gone.
  if (too_deep || seen.size() > 1) {
    if (too_deep) co_return MakeFailure(Failure::kMailLoop);
    resolution.kind = Resolution::Kind::kNoSuchRecipient;
    co_return resolution;
  }
  co_return MakeFailure(Failure::kMailLoop);
}

Task<absl::Status> DirectoryStore::AuthorizeSender(Account account, std::string address) {
  if (address.empty()) co_return absl::OkStatus();
  absl::StatusOr<DirectoryAddress> parsed = ParseDirectoryAddress(address);
  if (!parsed.ok()) co_return MakeFailure(Failure::kSenderNotAllowed);
  Params params = Params::Of(account.tenant);
  std::string sql = kOwnsDomain;
  if (account.account) {
    const std::string names[] = {parsed->ToString(), parsed->WithoutTag()};
    params.Add(account.account).AddTexts(names);
    sql = kOwnsAddress;
  } else {
    params.Add(parsed->domain);
  }
  absl::StatusOr<Result> row =
      co_await database_.QueryFor(account.tenant, std::move(sql), std::move(params));
  if (!row.ok()) co_return row.status();
  if (row->empty()) co_return MakeFailure(Failure::kSenderNotAllowed);
  co_return absl::OkStatus();
}

Task<absl::StatusOr<TenantId>> DirectoryStore::FindTenant(std::string name) {
  const absl::StatusOr<Result> row = co_await database_.Query(
      std::vector<TenantId>(), kLookupTenant, Params::Of(name));
  if (!row.ok()) co_return row.status();
  if (row->IsNull(0, 0)) co_return MakeFailure(Failure::kNotFound, "no such tenant");
  co_return TenantId(row->Int(0, 0));
}

}  // namespace posthorn::mailbox
