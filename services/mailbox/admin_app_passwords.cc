// Application passwords.

#include <algorithm>
#include <array>

#include "lib/base/failure.h"
#include "services/mailbox/admin_store.h"

namespace posthorn::mailbox {
namespace {

using postgres::Nothing;
using postgres::Params;
using postgres::Result;
using postgres::Transaction;

constexpr std::array<std::string_view, 3> kServices = {"smtp", "imap", "pop3"};
constexpr std::size_t kMaxDescription = 200;

constexpr char kSetRequired[] =
    "UPDATE directory.account SET app_passwords_required = $3 WHERE tenant_id = $1"
    " AND account_id = $2";
constexpr char kLookupOwner[] = "SELECT tenant_id, account_id FROM lookup.app_password_owner($1)";
// All keys of an account share its salt. The row is locked: the count below is exact.
constexpr char kKeepSalt[] =
    "UPDATE directory.account SET scram_salt = coalesce(scram_salt, $3),"
    " scram_iterations = coalesce(scram_iterations, $4)"
    " WHERE tenant_id = $1 AND account_id = $2 RETURNING scram_salt, scram_iterations";
constexpr char kCount[] =
    "SELECT count(*) FROM directory.app_password WHERE tenant_id = $1 AND account_id = $2";
constexpr char kInsert[] =
    "INSERT INTO directory.app_password (tenant_id, account_id, app_password_id, hash,"
    " scram_stored_key, scram_server_key, description, services)"
    " VALUES ($1, $2, nextval('directory.id'), $3, $4, $5, $6, $7)"
    " RETURNING app_password_id, created_at";
#define POSTHORN_APP_PASSWORD_COLUMNS                                                            \
  "SELECT p.app_password_id, a.address, p.description, p.services, p.created_at, p.last_used_at" \
  " FROM directory.app_password p JOIN LATERAL (SELECT address FROM directory.address d"         \
  " WHERE d.tenant_id = p.tenant_id AND d.account_id = p.account_id ORDER BY d.created_at,"      \
  " d.address LIMIT 1) a ON true WHERE p.tenant_id = $1 AND p.account_id = $2 "
constexpr char kSelect[] = POSTHORN_APP_PASSWORD_COLUMNS "ORDER BY p.app_password_id";
constexpr char kSelectOne[] = POSTHORN_APP_PASSWORD_COLUMNS "AND p.app_password_id = $3";
constexpr char kDelete[] =
    "DELETE FROM directory.app_password WHERE tenant_id = $1 AND account_id = $2"
    " AND app_password_id = $3";

AppPasswordRecord RecordOf(const Result& r, int row) {
  AppPasswordRecord record;
  record.id = r.Int(row, 0);
  record.account = r.Text(row, 1);
  record.description = r.Text(row, 2);
  record.services = r.Texts(row, 3);
  record.created_at = r.Time(row, 4);
  if (!r.IsNull(row, 5)) record.last_used_at = r.Time(row, 5);
  return record;
}

absl::Status CheckServices(std::vector<std::string>& services) {
  if (services.empty()) services.assign(kServices.begin(), kServices.end());
  std::sort(services.begin(), services.end());
  services.erase(std::unique(services.begin(), services.end()), services.end());
  for (const std::string& service : services) {
    if (std::find(kServices.begin(), kServices.end(), service) == kServices.end()) {
      return MakeFailure(Failure::kInvalidArgument, "services are smtp, imap and pop3");
    }
  }
  return absl::OkStatus();
}

}  // namespace

Task<absl::StatusOr<AccountRecord>> AdminStore::RequireAppPasswords(std::string address,
                                                                    bool required) {
  absl::StatusOr<Account> account = co_await FindAccount(address);
  if (!account.ok()) co_return account.status();
  Params params = Params::Of(account->tenant, account->account, required);
  absl::StatusOr<Result> row =
      co_await database_.QueryFor(account->tenant, kSetRequired, std::move(params));
  if (!row.ok()) co_return row.status();
  absl::StatusOr<AccountRecord> record = co_await GetAccount(std::move(address));
  co_return record;
}

Task<absl::StatusOr<std::pair<AppPasswordRecord, std::string>>> AdminStore::AddAppPassword(
    std::string address, std::string description, std::vector<std::string> services) {
  if (absl::Status status = CheckServices(services); !status.ok()) co_return status;
  if (description.size() > kMaxDescription) {
    co_return MakeFailure(Failure::kInvalidArgument, "a description has at most 200 octets");
  }
  absl::StatusOr<AccountRecord> owner = co_await GetAccount(std::move(address));
  if (!owner.ok()) co_return owner.status();
  const Account account = owner->account;
  absl::StatusOr<ScramParameters> scram = co_await FindScramParameters(owner->address);
  if (!scram.ok()) co_return scram.status();
  const std::string secret = NewAppPassword();
  const std::string hash = HashApiKey(secret);
  absl::StatusOr<PasswordRecord> made = co_await passwords_.Make(secret, *scram);
  if (!made.ok()) co_return made.status();
  std::function<absl::StatusOr<AppPasswordRecord>(Transaction&)> work =
      [&](Transaction& transaction) -> absl::StatusOr<AppPasswordRecord> {
    absl::StatusOr<Result> kept = transaction.Exec(
        kKeepSalt, Params::Of(account.tenant, account.account, postgres::Bytes(scram->salt),
                              scram->iterations));
    if (!kept.ok()) return kept.status();
    if (kept->empty()) return MakeFailure(Failure::kNotFound, "no such account");
    if (kept->Bytes(0, 0) != scram->salt || kept->Int(0, 1) != scram->iterations) {
      return MakeFailure(Failure::kConflict);
    }
    absl::StatusOr<Result> count =
        transaction.Exec(kCount, Params::Of(account.tenant, account.account));
    if (!count.ok()) return count.status();
    if (count->Int(0, 0) >= kMaxAppPasswords) {
      return MakeFailure(Failure::kInvalidArgument, "the account has 100 application passwords");
    }
    Params params = Params::Of(account.tenant, account.account, postgres::Bytes(hash),
                               postgres::Bytes(made->keys.stored_key),
                               postgres::Bytes(made->keys.server_key), description);
    params.AddTexts(services);
    absl::StatusOr<Result> row = transaction.Exec(kInsert, params);
    if (!row.ok()) return row.status();
    AppPasswordRecord record;
    record.id = row->Int(0, 0);
    record.account = owner->address;
    record.description = description;
    record.services = services;
    record.created_at = row->Time(0, 1);
    return record;
  };
  absl::StatusOr<AppPasswordRecord> record =
      co_await database_.TransactFor<AppPasswordRecord>(account.tenant, std::move(work));
  if (!record.ok()) co_return record.status();
  co_return std::pair<AppPasswordRecord, std::string>(*std::move(record), secret);
}

Task<absl::StatusOr<std::vector<AppPasswordRecord>>> AdminStore::ListAppPasswords(
    std::string address) {
  absl::StatusOr<Account> account = co_await FindAccount(std::move(address));
  if (!account.ok()) co_return account.status();
  absl::StatusOr<Result> rows = co_await database_.QueryFor(
      account->tenant, kSelect, Params::Of(account->tenant, account->account));
  if (!rows.ok()) co_return rows.status();
  std::vector<AppPasswordRecord> records;
  for (int i = 0; i < rows->rows(); ++i) records.push_back(RecordOf(*rows, i));
  co_return records;
}

Task<absl::StatusOr<Account>> AdminStore::OwnerOfAppPassword(std::int64_t id) {
  absl::StatusOr<Result> row =
      co_await database_.Query(std::vector<TenantId>(), kLookupOwner, Params::Of(id));
  if (!row.ok()) co_return row.status();
  if (row->empty()) co_return MakeFailure(Failure::kNotFound, "no such application password");
  co_return Account(TenantId(row->Int(0, 0)), AccountId(row->Int(0, 1)));
}

Task<absl::StatusOr<AppPasswordRecord>> AdminStore::GetAppPassword(std::int64_t id) {
  absl::StatusOr<Account> owner = co_await OwnerOfAppPassword(id);
  if (!owner.ok()) co_return owner.status();
  absl::StatusOr<Result> row = co_await database_.QueryFor(
      owner->tenant, kSelectOne, Params::Of(owner->tenant, owner->account, id));
  if (!row.ok()) co_return row.status();
  if (row->empty()) co_return MakeFailure(Failure::kNotFound, "no such application password");
  co_return RecordOf(*row, 0);
}

Task<absl::Status> AdminStore::RemoveAppPassword(std::int64_t id) {
  absl::StatusOr<Account> owner = co_await OwnerOfAppPassword(id);
  if (!owner.ok()) co_return owner.status();
  absl::StatusOr<Result> row = co_await database_.QueryFor(
      owner->tenant, kDelete, Params::Of(owner->tenant, owner->account, id));
  if (!row.ok()) co_return row.status();
  if (row->affected() == 0) {
    co_return MakeFailure(Failure::kNotFound, "no such application password");
  }
  co_return absl::OkStatus();
}

}  // namespace posthorn::mailbox
