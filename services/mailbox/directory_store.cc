#include "services/mailbox/directory_store.h"

#include <utility>

#include "lib/base/failure.h"
#include "services/mailbox/address.h"

namespace posthorn::mailbox {
namespace {

using postgres::Params;
using postgres::Result;

constexpr char kLookupMainDomain[] = "SELECT tenant_id, name FROM lookup.main_domain($1)";
constexpr char kLookupTenant[] = "SELECT lookup.tenant($1)";
constexpr char kSelectSmartHosts[] =
    "SELECT m.smart_hosts, m.smart_host_username, m.smart_host_password, m.smart_host_tls"
    " FROM directory.domain d JOIN directory.domain m"
    " ON m.tenant_id = d.tenant_id AND m.name = coalesce(d.alias_of, d.name)"
    " WHERE d.tenant_id = $1 AND d.name = $2";
// Both answer whether the domain and the account are suspended: a session may be older than that.
constexpr char kOwnsAddress[] =
    "SELECT m.suspended, c.disabled FROM directory.domain d"
    " JOIN directory.domain m ON m.tenant_id = d.tenant_id AND m.name = coalesce(d.alias_of, d.name)"
    " CROSS JOIN unnest($3) l (local)"
    " JOIN directory.address a ON a.tenant_id = d.tenant_id AND a.address = l.local || '@' || m.name"
    " JOIN directory.account c ON c.tenant_id = $1 AND c.account_id = $2"
    " WHERE d.tenant_id = $1 AND d.name = $4 AND (a.account_id = $2 OR EXISTS ("
    "   SELECT FROM directory.address own WHERE own.tenant_id = $1 AND own.account_id = $2"
    "   AND own.address = ANY (a.targets))) LIMIT 1";
constexpr char kOwnsDomain[] =
    "SELECT m.suspended, false FROM directory.domain d"
    " JOIN directory.domain m ON m.tenant_id = d.tenant_id AND m.name = coalesce(d.alias_of, d.name)"
    " WHERE d.tenant_id = $1 AND d.name = $2";

}  // namespace

DirectoryStore::DirectoryStore(postgres::Database& database, Passwords& passwords,
                               DirectoryOptions options)
    : database_(database), passwords_(passwords), options_(std::move(options)) {}

Task<absl::StatusOr<DirectoryAddress>> DirectoryStore::InMainDomain(DirectoryAddress address) {
  absl::StatusOr<Result> row = co_await database_.Query(std::vector<TenantId>(), kLookupMainDomain,
                                                        Params::Of(address.domain));
  if (!row.ok()) co_return row.status();
  if (!row->empty()) address.domain = row->Text(0, 1);
  co_return address;
}

Task<absl::Status> DirectoryStore::AuthorizeSender(Account account, std::string address) {
  if (address.empty()) co_return absl::OkStatus();
  absl::StatusOr<DirectoryAddress> parsed = ParseDirectoryAddress(address);
  if (!parsed.ok()) co_return MakeFailure(Failure::kSenderNotAllowed);
  Params params = Params::Of(account.tenant);
  std::string sql = kOwnsDomain;
  if (account.account) {
    std::vector<std::string> locals = {parsed->local};
    for (const DirectoryAddress::Tagged& tagged : parsed->WithoutTag(options_.tag_separators)) {
      locals.push_back(tagged.base);
    }
    params.Add(account.account).AddTexts(locals).Add(parsed->domain);
    sql = kOwnsAddress;
  } else {
    params.Add(parsed->domain);
  }
  absl::StatusOr<Result> row =
      co_await database_.QueryFor(account.tenant, std::move(sql), std::move(params));
  if (!row.ok()) co_return row.status();
  if (row->empty()) co_return MakeFailure(Failure::kSenderNotAllowed);
  if (row->Bool(0, 0)) co_return MakeFailure(Failure::kDomainSuspended);
  if (row->Bool(0, 1)) co_return MakeFailure(Failure::kAccountDisabled);
  co_return absl::OkStatus();
}

Task<absl::StatusOr<SmartHostSettings>> DirectoryStore::FindSmartHosts(TenantId tenant,
                                                                       std::string domain) {
  SmartHostSettings settings;
  const absl::StatusOr<std::string> name = ParseDomainName(domain);
  if (!name.ok()) co_return settings;
  const absl::StatusOr<Result> row =
      co_await database_.QueryFor(tenant, kSelectSmartHosts, Params::Of(tenant, *name));
  if (!row.ok()) co_return row.status();
  if (row->empty()) co_return settings;
  settings.hosts = row->Texts(0, 0);
  settings.username = row->Text(0, 1);
  settings.password = row->Text(0, 2);
  settings.tls = row->Text(0, 3);
  co_return settings;
}

Task<absl::StatusOr<TenantId>> DirectoryStore::FindTenant(std::string name) {
  const absl::StatusOr<Result> row = co_await database_.Query(
      std::vector<TenantId>(), kLookupTenant, Params::Of(name));
  if (!row.ok()) co_return row.status();
  if (row->IsNull(0, 0)) co_return MakeFailure(Failure::kNotFound, "no such tenant");
  co_return TenantId(row->Int(0, 0));
}

}  // namespace posthorn::mailbox
