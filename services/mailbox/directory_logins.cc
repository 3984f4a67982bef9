// Who may log in.

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/time/clock.h"
#include "lib/base/failure.h"
#include "lib/telemetry/log.h"
#include "services/mailbox/address.h"
#include "services/mailbox/directory_store.h"
#include "services/mailbox/password_hash.h"

namespace posthorn::mailbox {
namespace {

using postgres::Params;
using postgres::Result;

// The name $1 in the domain itself, where its domain $3 is an alias; $2 is its local part.
#define POSTHORN_LOGIN_NAME \
  "(SELECT coalesce((SELECT $2 || '@' || m.name FROM lookup.main_domain($3) m), $1) AS name) n"
constexpr char kLookupCredentials[] =
    "SELECT n.name, c.tenant_id, c.account_id, c.password_hash, c.credential_version, c.disabled,"
    " c.app_passwords_required, c.has_scram FROM " POSTHORN_LOGIN_NAME
    " LEFT JOIN LATERAL lookup.credentials(n.name) c ON true";
constexpr char kLookupScram[] =
    "SELECT s.salt, s.iterations FROM " POSTHORN_LOGIN_NAME
    " CROSS JOIN LATERAL lookup.scram(n.name, $4) s";
constexpr char kLookupKey[] = "SELECT tenant_id, key_id FROM lookup.api_key($1)";
constexpr char kFindAppPassword[] =
    "SELECT app_password_id, last_used_at FROM directory.app_password"
    " WHERE tenant_id = $1 AND account_id = $2 AND hash = $3 AND $4 = ANY (services)";
// The account's own keys have id 0.
constexpr char kSelectScramKeys[] =
    "SELECT 0::bigint, scram_stored_key, scram_server_key, NULL::timestamptz"
    " FROM directory.account WHERE tenant_id = $1 AND account_id = $2"
    " AND scram_stored_key IS NOT NULL AND NOT app_passwords_required"
    " UNION ALL SELECT app_password_id, scram_stored_key, scram_server_key, last_used_at"
    " FROM directory.app_password WHERE tenant_id = $1 AND account_id = $2"
    " AND $3 = ANY (services)";
constexpr char kNoteUse[] =
    "UPDATE directory.app_password SET last_used_at = now()"
    " WHERE tenant_id = $1 AND account_id = $2 AND app_password_id = $3";
// Not if the password was changed meanwhile.
constexpr char kRenew[] =
    "UPDATE directory.account SET password_hash = $4, scram_salt = $5, scram_iterations = $6,"
    " scram_stored_key = $7, scram_server_key = $8"
    " WHERE tenant_id = $1 AND account_id = $2 AND credential_version = $3";

// Logins are many, and the time of the last use is for people to read.
constexpr absl::Duration kUseResolution = absl::Minutes(5);

bool IsOld(const Result& row, int index, int column) {
  return row.IsNull(index, column) || row.Time(index, column) < absl::Now() - kUseResolution;
}

// For POSTHORN_LOGIN_NAME: an address in its canonical form, or whatever was typed.
Params LoginName(const std::string& login) {
  const absl::StatusOr<DirectoryAddress> parsed = ParseDirectoryAddress(login);
  if (!parsed.ok()) return Params::Of(absl::AsciiStrToLower(login), "", "");
  return Params::Of(parsed->ToString(), parsed->local, parsed->domain);
}

}  // namespace

struct DirectoryStore::Credentials {
  Login login;  // no account: nobody has this name
  std::string hash;
  std::int64_t version = 0;
  bool disabled = false;
  bool app_passwords_required = false;
  bool has_scram = false;
};

Task<absl::StatusOr<DirectoryStore::Credentials>> DirectoryStore::FindCredentials(
    std::string login) {
  Credentials credentials;
  if (!ParseDirectoryAddress(login).ok()) co_return credentials;
  Params params = LoginName(login);
  absl::StatusOr<Result> row =
      co_await database_.Query(std::vector<TenantId>(), kLookupCredentials, std::move(params));
  if (!row.ok()) co_return row.status();
  credentials.login.address = row->Text(0, 0);
  if (row->IsNull(0, 1)) co_return credentials;
  credentials.login.account = Account(TenantId(row->Int(0, 1)), AccountId(row->Int(0, 2)));
  credentials.hash = row->Text(0, 3);
  credentials.version = row->Int(0, 4);
  credentials.disabled = row->Bool(0, 5);
  credentials.app_passwords_required = row->Bool(0, 6);
  credentials.has_scram = row->Bool(0, 7);
  co_return credentials;
}

Task<absl::StatusOr<Login>> DirectoryStore::Authenticate(std::string login, std::string password,
                                                         std::string service) {
  absl::StatusOr<Credentials> credentials = co_await FindCredentials(std::move(login));
  if (!credentials.ok()) co_return credentials.status();
  const Account account = credentials->login.account;
  if (account.account && !credentials->disabled && LooksLikeAppPassword(password)) {
    absl::StatusOr<bool> found = co_await CheckAppPassword(account, password, std::move(service));
    if (!found.ok()) co_return found.status();
    if (*found) co_return credentials->login;
  }
  // Where the account's own password is not enough, it is checked against nothing.
  std::string hash = credentials->app_passwords_required ? std::string() : credentials->hash;
  absl::Status checked = co_await passwords_.Check(account.account, credentials->version,
                                                   std::move(hash), password);
  if (!checked.ok()) co_return checked;
  if (credentials->disabled) co_return MakeFailure(Failure::kAuthenticationFailed);
  Login result = credentials->login;
  if (!credentials->has_scram || !IsOwnHash(credentials->hash)) {
    co_await Renew(*std::move(credentials), std::move(password));
  }
  co_return result;
}

Task<absl::StatusOr<bool>> DirectoryStore::CheckAppPassword(Account account, std::string password,
                                                            std::string service) {
  // The password is random and long: a lookup by its hash tells nothing by its time.
  const std::string hash = HashApiKey(password);
  Params params =
      Params::Of(account.tenant, account.account, postgres::Bytes(hash), service);
  absl::StatusOr<Result> row =
      co_await database_.QueryFor(account.tenant, kFindAppPassword, std::move(params));
  if (!row.ok()) co_return row.status();
  if (row->empty()) co_return false;
  if (IsOld(*row, 0, 1)) co_await NoteUse(account, row->Int(0, 0));
  co_return true;
}

Task<void> DirectoryStore::NoteUse(Account account, std::int64_t app_password) {
  Params params = Params::Of(account.tenant, account.account, app_password);
  absl::StatusOr<Result> noted =
      co_await database_.QueryFor(account.tenant, kNoteUse, std::move(params));
  if (!noted.ok()) log::Info("directory", "use not noted", {{"error", noted.status()}});
}

Task<void> DirectoryStore::Renew(Credentials credentials, std::string password) {
  const Account account = credentials.login.account;
  absl::StatusOr<ScramParameters> parameters =
      co_await GetScramParameters(credentials.login.address);
  absl::Status status = parameters.status();
  PasswordRecord record;
  if (status.ok()) {
    absl::StatusOr<PasswordRecord> made =
        co_await passwords_.Make(std::move(password), *std::move(parameters));
    status = made.status();
    if (made.ok()) record = *std::move(made);
  }
  if (status.ok()) {
    Params params = Params::Of(account.tenant, account.account, credentials.version, record.hash,
                               postgres::Bytes(record.scram.salt), record.scram.iterations,
                               postgres::Bytes(record.keys.stored_key),
                               postgres::Bytes(record.keys.server_key));
    absl::StatusOr<Result> row =
        co_await database_.QueryFor(account.tenant, kRenew, std::move(params));
    status = row.status();
  }
  // The next login tries again.
  if (!status.ok()) {
    log::Info("directory", "password hash not renewed",
              {{"account", account.account.value()}, {"error", status}});
  }
}

Task<absl::StatusOr<ScramParameters>> DirectoryStore::GetScramParameters(std::string login) {
  Params params = LoginName(login);
  params.Add(ScramParameters::kIterations);
  absl::StatusOr<Result> row =
      co_await database_.Query(std::vector<TenantId>(), kLookupScram, std::move(params));
  if (!row.ok()) co_return row.status();
  if (row->empty()) co_return absl::InternalError("posthorn.secret has no scram_salt");
  co_return ScramParameters(row->Text(0, 0), static_cast<int>(row->Int(0, 1)));
}

Task<absl::StatusOr<ScramLogin>> DirectoryStore::AuthenticateScram(std::string login,
                                                                   std::string auth_message,
                                                                   std::string proof,
                                                                   std::string service) {
  absl::StatusOr<Credentials> credentials = co_await FindCredentials(std::move(login));
  if (!credentials.ok()) co_return credentials.status();
  const Account account = credentials->login.account;
  if (!account.account) co_return MakeFailure(Failure::kAuthenticationFailed);
  Params params = Params::Of(account.tenant, account.account, service);
  absl::StatusOr<Result> rows =
      co_await database_.QueryFor(account.tenant, kSelectScramKeys, std::move(params));
  if (!rows.ok()) co_return rows.status();
  for (int i = 0; i < rows->rows(); ++i) {
    sasl::ScramKeys keys;
    keys.stored_key = rows->Text(i, 1);
    keys.server_key = rows->Text(i, 2);
    std::optional<std::string> signature = sasl::CheckProof(keys, auth_message, proof);
    if (!signature.has_value()) continue;
    if (credentials->disabled) break;
    const std::int64_t app_password = rows->Int(i, 0);
    if (app_password != 0 && IsOld(*rows, i, 3)) co_await NoteUse(account, app_password);
    ScramLogin result;
    result.login = credentials->login;
    result.server_signature = *std::move(signature);
    co_return result;
  }
  co_return MakeFailure(Failure::kAuthenticationFailed);
}

Task<absl::StatusOr<Login>> DirectoryStore::AuthenticateIdentity(std::string login) {
  absl::StatusOr<Credentials> credentials = co_await FindCredentials(std::move(login));
  if (!credentials.ok()) co_return credentials.status();
  if (!credentials->login.account.account || credentials->disabled) {
    co_return MakeFailure(Failure::kAuthenticationFailed);
  }
  co_return credentials->login;
}

Task<absl::StatusOr<KeyLogin>> DirectoryStore::AuthenticateKey(std::string key) {
  // The key is random and long: a lookup by its hash tells nothing by its time.
  const std::string hash = HashApiKey(key);
  Params params = Params::Of(postgres::Bytes(hash));
  absl::StatusOr<Result> row =
      co_await database_.Query(std::vector<TenantId>(), kLookupKey, std::move(params));
  if (!row.ok()) co_return row.status();
  if (row->empty()) co_return MakeFailure(Failure::kAuthenticationFailed);
  KeyLogin login;
  login.tenant = TenantId(row->Int(0, 0));
  login.key = KeyId(row->Int(0, 1));
  co_return login;
}

}  // namespace posthorn::mailbox
