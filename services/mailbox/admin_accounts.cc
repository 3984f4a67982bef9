// Accounts.

#include <algorithm>
#include <map>

#include "lib/base/failure.h"
#include "services/mailbox/address.h"
#include "services/mailbox/admin_rows.h"
#include "services/mailbox/admin_store.h"
#include "services/mailbox/password_hash.h"

namespace posthorn::mailbox {
namespace {

using postgres::Nothing;
using postgres::Params;
using postgres::Result;
using postgres::Transaction;

constexpr char kInsertAccount[] =
    "INSERT INTO directory.account (tenant_id, account_id, password_hash, scram_salt,"
    " scram_iterations, scram_stored_key, scram_server_key)"
    " VALUES ($1, nextval('directory.id'), $2, $3, $4, $5, $6) RETURNING account_id";
constexpr char kInsertAccountAddress[] =
    "INSERT INTO directory.address (tenant_id, address, domain, account_id)"
    " VALUES ($1, $2, $3, $4) ON CONFLICT (address) DO NOTHING";
constexpr char kCreateMailboxes[] =
    "SELECT mailbox.create_account($1, $2, $3,"
    " '{Drafts,Sent,Junk,Trash,Archive}',"
    " '{\\\\Drafts,\\\\Sent,\\\\Junk,\\\\Trash,\\\\Archive}')";
#define POSTHORN_ACCOUNT_COLUMNS                                                              \
  "SELECT d.tenant_id, d.account_id, d.address, m.quota_bytes, m.used_bytes, m.messages,"     \
  " c.disabled, c.created_at, c.app_passwords_required, c.tag_mode, m.quota_messages"         \
  " FROM directory.address d"                                                                 \
  " JOIN directory.account c ON c.tenant_id = d.tenant_id AND c.account_id = d.account_id"    \
  " JOIN mailbox.account m ON m.tenant_id = d.tenant_id AND m.account_id = d.account_id "
constexpr char kSelectAccount[] =
    POSTHORN_ACCOUNT_COLUMNS "WHERE d.tenant_id = $1 AND d.address = $2";
constexpr char kSelectAccounts[] =
    POSTHORN_ACCOUNT_COLUMNS
    "WHERE d.address > $1 AND ($2 = '' OR d.domain = $2) ORDER BY d.address LIMIT $3";
constexpr char kDeleteMail[] = "SELECT mailbox.delete_account($1, $2)";
constexpr char kDeleteAccount[] =
    "DELETE FROM directory.account WHERE tenant_id = $1 AND account_id = $2";
constexpr char kSetAccount[] =
    "UPDATE directory.account SET disabled = CASE WHEN $3 IS NULL THEN disabled ELSE $3 <> 0 END,"
    " tag_mode = coalesce($4::smallint, tag_mode) WHERE tenant_id = $1 AND account_id = $2";
constexpr char kSetQuota[] =
    "UPDATE mailbox.account SET quota_bytes = coalesce($3, quota_bytes),"
    " quota_messages = coalesce($4, quota_messages) WHERE tenant_id = $1 AND account_id = $2";
// Without keys (a hash of another system) the salt stays, for the application passwords.
constexpr char kSetPassword[] =
    "UPDATE directory.account SET password_hash = $3, credential_version = credential_version + 1,"
    " scram_salt = coalesce($4, scram_salt), scram_iterations = coalesce($5, scram_iterations),"
    " scram_stored_key = $6, scram_server_key = $7"
    " WHERE tenant_id = $1 AND account_id = $2";
constexpr char kLookupScram[] = "SELECT salt, iterations FROM lookup.scram($1, $2)";
AccountRecord AccountOf(const Result& r, int row) {
  AccountRecord record;
  record.account = Account(TenantId(r.Int(row, 0)), AccountId(r.Int(row, 1)));
  record.address = r.Text(row, 2);
  record.quota_bytes = static_cast<std::uint64_t>(r.Int(row, 3));
  record.used_bytes = static_cast<std::uint64_t>(r.Int(row, 4));
  record.messages = static_cast<std::uint64_t>(r.Int(row, 5));
  record.disabled = r.Bool(row, 6);
  record.created_at = r.Time(row, 7);
  record.app_passwords_required = r.Bool(row, 8);
  record.tag_mode = static_cast<TagMode>(r.Int(row, 9));
  record.quota_messages = static_cast<std::uint64_t>(r.Int(row, 10));
  return record;
}

absl::StatusOr<DirectoryAddress> AccountAddress(const NewAccount& account,
                                                const std::string& tag_separators) {
  absl::StatusOr<DirectoryAddress> address = ParseDirectoryAddress(account.address);
  if (!address.ok()) return address.status();
  if (!address->WithoutTag(tag_separators).empty()) {
    return MakeFailure(Failure::kBadAddress,
                       "an account's address has none of the signs that begin a tag");
  }
  if (account.quota_bytes > static_cast<std::uint64_t>(INT64_MAX)) {
    return MakeFailure(Failure::kInvalidArgument, "quota too large");
  }
  return address;
}

// Salt, count and the two keys; NULL where there are none.
void AddScram(const PasswordRecord& record, Params& params) {
  const bool none = record.keys.stored_key.empty();
  const auto bytes = [none](const std::string& octets) {
    return none ? std::nullopt : std::make_optional(postgres::Bytes(octets));
  };
  params.Add(bytes(record.scram.salt));
  params.Add(none ? std::nullopt : std::make_optional(record.scram.iterations));
  params.Add(bytes(record.keys.stored_key));
  params.Add(bytes(record.keys.server_key));
}

// kAlreadyExists leaves the transaction as it was.
absl::Status Insert(Transaction& transaction, TenantId tenant, const DirectoryAddress& address,
                    const PasswordRecord& password, std::uint64_t quota) {
  Params params = Params::Of(tenant, password.hash);
  AddScram(password, params);
  absl::StatusOr<Result> id = transaction.Exec(kInsertAccount, params);
  if (!id.ok()) return id.status();
  const AccountId account(id->Int(0, 0));
  absl::StatusOr<Result> row =
      transaction.Exec(kInsertAccountAddress,
                       Params::Of(tenant, address.ToString(), address.domain, account));
  if (!row.ok()) return row.status();
  if (row->affected() == 0) {
    absl::StatusOr<Result> undone =
        transaction.Exec(kDeleteAccount, Params::Of(tenant, account));
    return undone.ok() ? MakeFailure(Failure::kAlreadyExists) : undone.status();
  }
  return transaction
      .Exec(kCreateMailboxes, Params::Of(tenant, account, static_cast<std::int64_t>(quota)))
      .status();
}

}  // namespace

Task<absl::StatusOr<AccountRecord>> AdminStore::AddAccount(NewAccount account) {
  absl::StatusOr<PasswordRecord> password = co_await PreparePassword(account);
  if (!password.ok()) co_return password.status();
  std::vector<PasswordRecord> passwords;
  passwords.push_back(*std::move(password));
  std::vector<NewAccount> accounts(1, account);
  std::vector<absl::Status> statuses(1);
  absl::StatusOr<std::vector<absl::Status>> added =
      co_await ImportAccounts(accounts, std::move(passwords), std::move(statuses));
  if (!added.ok()) co_return added.status();
  if (!added->front().ok()) co_return added->front();
  absl::StatusOr<AccountRecord> record = co_await GetAccount(account.address);
  co_return record;
}

Task<absl::StatusOr<PasswordRecord>> AdminStore::PreparePassword(NewAccount account) {
  PasswordRecord record;
  if (!account.password_hash.empty()) {
    if (!account.password.empty()) {
      co_return MakeFailure(Failure::kInvalidArgument, "either a password or its hash");
    }
    absl::StatusOr<std::string> hash = ParsePasswordHash(account.password_hash);
    if (!hash.ok()) co_return hash.status();
    record.hash = *std::move(hash);
    co_return record;
  }
  if (account.password.empty()) co_return record;
  absl::StatusOr<ScramParameters> parameters = co_await FindScramParameters(account.address);
  if (!parameters.ok()) co_return parameters.status();
  absl::StatusOr<PasswordRecord> made =
      co_await passwords_.Make(std::move(account.password), *std::move(parameters));
  co_return made;
}

Task<absl::StatusOr<ScramParameters>> AdminStore::FindScramParameters(std::string address) {
  absl::StatusOr<DirectoryAddress> parsed = ParseDirectoryAddress(address);
  if (!parsed.ok()) co_return parsed.status();
  const std::string name = parsed->ToString();
  Params params = Params::Of(name, ScramParameters::kIterations);
  absl::StatusOr<Result> row =
      co_await database_.Query(std::vector<TenantId>(), kLookupScram, std::move(params));
  if (!row.ok()) co_return row.status();
  if (row->empty()) co_return absl::InternalError("posthorn.secret has no scram_salt");
  co_return ScramParameters(row->Text(0, 0), static_cast<int>(row->Int(0, 1)));
}

Task<absl::StatusOr<std::vector<absl::Status>>> AdminStore::ImportAccounts(
    const std::vector<NewAccount>& accounts, std::vector<PasswordRecord> passwords,
    std::vector<absl::Status> statuses) {
  std::vector<DirectoryAddress> addresses(accounts.size());
  std::vector<TenantId> owners(accounts.size());
  std::map<std::string, absl::StatusOr<Located>> domains;
  for (std::size_t i = 0; i < accounts.size(); ++i) {
    if (!statuses[i].ok()) continue;
    absl::StatusOr<DirectoryAddress> address = AccountAddress(accounts[i], tag_separators_);
    if (!address.ok()) {
      statuses[i] = address.status();
      continue;
    }
    addresses[i] = *std::move(address);
    const std::string domain = addresses[i].domain;
    if (domains.find(domain) == domains.end()) {
      absl::StatusOr<Located> located = co_await Locate(addresses[i].ToString());
      domains.emplace(domain, std::move(located));
    }
    const absl::StatusOr<Located>& located = domains.at(domain);
    statuses[i] = located.status();
    if (!located.ok()) continue;
    addresses[i].domain = located->address.domain;
    owners[i] = located->tenant;
  }
  std::vector<TenantId> tenants;
  for (const auto& [name, located] : domains) {
    if (located.ok()) tenants.push_back(located->tenant);
  }
  std::function<absl::StatusOr<std::vector<absl::Status>>(Transaction&)> work =
      [&](Transaction& transaction) -> absl::StatusOr<std::vector<absl::Status>> {
    std::vector<absl::Status> results = statuses;
    for (std::size_t i = 0; i < accounts.size(); ++i) {
      if (!results[i].ok()) continue;
      results[i] =
          Insert(transaction, owners[i], addresses[i], passwords[i], accounts[i].quota_bytes);
      // Anything but a taken address has ended the transaction.
      if (!results[i].ok() && FailureOf(results[i]) != Failure::kAlreadyExists) return results[i];
    }
    return results;
  };
  absl::StatusOr<std::vector<absl::Status>> imported =
      co_await database_.Transact<std::vector<absl::Status>>(std::move(tenants), std::move(work));
  co_return imported;
}

Task<absl::StatusOr<std::vector<AccountRecord>>> AdminStore::ListAccounts(std::string domain,
                                                                          Page page) {
  absl::StatusOr<std::vector<TenantId>> tenants = co_await TenantsForDomain(domain);
  if (!tenants.ok()) co_return tenants.status();
  absl::StatusOr<Result> rows = co_await database_.Query(
      *std::move(tenants), kSelectAccounts, Params::Of(page.after, domain, LimitOf(page)));
  if (!rows.ok()) co_return rows.status();
  std::vector<AccountRecord> records;
  for (int i = 0; i < rows->rows(); ++i) records.push_back(AccountOf(*rows, i));
  co_return records;
}

Task<absl::StatusOr<AccountRecord>> AdminStore::GetAccount(std::string name) {
  absl::StatusOr<Located> at = co_await Locate(std::move(name));
  if (!at.ok()) co_return at.status();
  absl::StatusOr<Result> row = co_await database_.QueryFor(
      at->tenant, kSelectAccount, Params::Of(at->tenant, at->address.ToString()));
  if (!row.ok()) co_return row.status();
  if (row->empty()) co_return MakeFailure(Failure::kNotFound, "no such account");
  co_return AccountOf(*row, 0);
}

Task<absl::StatusOr<Account>> AdminStore::FindAccount(std::string address) {
  absl::StatusOr<AccountRecord> record = co_await GetAccount(std::move(address));
  if (!record.ok()) co_return record.status();
  co_return record->account;
}

Task<absl::Status> AdminStore::RemoveAccount(std::string address) {
  absl::StatusOr<Account> account = co_await FindAccount(std::move(address));
  if (!account.ok()) co_return account.status();
  const Params key = Params::Of(account->tenant, account->account);
  std::function<absl::StatusOr<Nothing>(Transaction&)> work =
      [&key](Transaction& transaction) -> absl::StatusOr<Nothing> {
    for (const char* sql : {kDeleteMail, kDeleteAccount}) {
      absl::StatusOr<Result> result = transaction.Exec(sql, key);
      if (!result.ok()) return result.status();
    }
    return Nothing();
  };
  absl::StatusOr<Nothing> done =
      co_await database_.TransactFor<Nothing>(account->tenant, std::move(work));
  co_return done.status();
}

Task<absl::Status> AdminStore::SetPassword(std::string address, std::string password) {
  absl::StatusOr<AccountRecord> record = co_await GetAccount(std::move(address));
  if (!record.ok()) co_return record.status();
  absl::StatusOr<ScramParameters> parameters = co_await FindScramParameters(record->address);
  if (!parameters.ok()) co_return parameters.status();
  absl::StatusOr<PasswordRecord> made =
      co_await passwords_.Make(std::move(password), *std::move(parameters));
  if (!made.ok()) co_return made.status();
  absl::Status stored = co_await StorePassword(record->account, *std::move(made));
  co_return stored;
}

Task<absl::Status> AdminStore::SetPasswordHash(std::string address, std::string hash) {
  absl::StatusOr<std::string> parsed = ParsePasswordHash(hash);
  if (!parsed.ok()) co_return parsed.status();
  absl::StatusOr<Account> account = co_await FindAccount(std::move(address));
  if (!account.ok()) co_return account.status();
  PasswordRecord record;
  record.hash = *std::move(parsed);
  absl::Status stored = co_await StorePassword(*account, std::move(record));
  co_return stored;
}

Task<absl::Status> AdminStore::StorePassword(Account account, PasswordRecord record) {
  Params params = Params::Of(account.tenant, account.account, record.hash);
  AddScram(record, params);
  absl::StatusOr<Result> row =
      co_await database_.QueryFor(account.tenant, kSetPassword, std::move(params));
  co_return row.status();
}

Task<absl::StatusOr<AccountRecord>> AdminStore::SetAccount(std::string address,
                                                           AccountChange change) {
  absl::StatusOr<Account> account = co_await FindAccount(address);
  if (!account.ok()) co_return account.status();
  constexpr std::uint64_t kMaxQuota = INT64_MAX;
  if (change.quota_bytes.value_or(0) > kMaxQuota || change.quota_messages.value_or(0) > kMaxQuota) {
    co_return MakeFailure(Failure::kInvalidArgument, "quota too large");
  }
  std::optional<int> suspended;
  if (change.suspended.has_value()) suspended = *change.suspended ? 1 : 0;
  std::optional<int> tag_mode;
  if (change.tag_mode.has_value()) tag_mode = static_cast<int>(*change.tag_mode);
  const Account key = *account;
  std::function<absl::StatusOr<Nothing>(Transaction&)> work =
      [&](Transaction& transaction) -> absl::StatusOr<Nothing> {
    absl::StatusOr<Result> set = transaction.Exec(
        kSetAccount, Params::Of(key.tenant, key.account, suspended, tag_mode));
    if (!set.ok()) return set.status();
    if (!change.quota_bytes.has_value() && !change.quota_messages.has_value()) return Nothing();
    absl::StatusOr<Result> quota = transaction.Exec(
        kSetQuota,
        Params::Of(key.tenant, key.account, change.quota_bytes, change.quota_messages));
    if (!quota.ok()) return quota.status();
    return Nothing();
  };
  absl::StatusOr<Nothing> done =
      co_await database_.TransactFor<Nothing>(key.tenant, std::move(work));
  if (!done.ok()) co_return done.status();
  absl::StatusOr<AccountRecord> record = co_await GetAccount(std::move(address));
  co_return record;
}

}  // namespace posthorn::mailbox
