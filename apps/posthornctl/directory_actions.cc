#include <unistd.h>

#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "apps/posthornctl/actions.h"
#include "apps/posthornctl/directory_columns.h"
#include "apps/posthornctl/input.h"
#include "apps/posthornctl/show.h"

namespace posthorn::ctl {
namespace {

using admin::v1::Account;
using admin::v1::Alias;
using admin::v1::Domain;
using admin::v1::Key;
using admin::v1::Tenant;
using Stub = Session::Stub;

// Hashing a password costs tens of milliseconds on purpose.
constexpr std::size_t kImportBatch = 200;
constexpr absl::Duration kImportTimeout = absl::Minutes(5);

Columns<Tenant> TenantColumns() {
  return {{"NAME", "ID", "QUOTA", "USED", "CREATED"}, [](const Tenant& t) {
            const bool counted = t.quota_bytes() > 0 || t.quota_messages() > 0;
            return std::vector<std::string>{
                t.name(), absl::StrCat(t.tenant_id()), QuotaOf(t.quota_bytes(), t.quota_messages()),
                counted ? absl::StrCat(FormatOctets(t.used_bytes()), ", ", t.messages(), " messages")
                        : "-",
                FormatTime(t.created_at())};
          }};
}

Columns<Alias> AliasColumns() {
  return {{"ADDRESS", "TARGETS", "CREATED"}, [](const Alias& a) {
            return std::vector<std::string>{a.address(), absl::StrJoin(a.targets(), ", "),
                                            FormatTime(a.created_at())};
          }};
}

Columns<Key> KeyColumns() {
  return {{"ID", "TENANT", "DESCRIPTION", "CREATED"}, [](const Key& k) {
            return std::vector<std::string>{absl::StrCat(k.key_id()), k.tenant(), k.description(),
                                            FormatTime(k.created_at())};
          }};
}

}  // namespace

absl::Status AddTenant(Session& session, const std::string& name) {
  admin::v1::AddTenantRequest request;
  request.set_name(name);
  return Show(session, TenantColumns(), session.Call(&Stub::AddTenant, request));
}

absl::Status ListTenants(Session& session) {
  const auto all = All<Tenant>(
      session, &Stub::ListTenants, admin::v1::ListTenantsRequest(),
      [](const auto& page) -> const auto& { return page.tenants(); },
      [](const Tenant& tenant) { return tenant.name(); });
  if (!all.ok()) return all.status();
  ShowList(session, TenantColumns(), *all);
  return absl::OkStatus();
}

absl::Status ShowTenant(Session& session, const std::string& name) {
  admin::v1::GetTenantRequest request;
  request.set_name(name);
  return Show(session, TenantColumns(), session.Call(&Stub::GetTenant, request));
}

absl::Status RemoveTenant(Session& session, const std::string& name) {
  admin::v1::RemoveTenantRequest request;
  request.set_name(name);
  return Done(session, session.Call(&Stub::RemoveTenant, request), "removed " + name);
}

absl::Status SetTenant(Session& session, const std::string& name, const TenantSettings& settings) {
  admin::v1::SetTenantRequest request;
  request.set_name(name);
  if (settings.quota_octets.has_value()) request.set_quota_bytes(*settings.quota_octets);
  if (settings.quota_messages.has_value()) request.set_quota_messages(*settings.quota_messages);
  return Show(session, TenantColumns(), session.Call(&Stub::SetTenant, request));
}

absl::Status AddDomain(Session& session, const std::string& tenant, const std::string& name) {
  admin::v1::AddDomainRequest request;
  request.set_tenant(tenant);
  request.set_name(name);
  return Show(session, DomainColumns(), session.Call(&Stub::AddDomain, request));
}

absl::Status ListDomains(Session& session, const std::string& tenant) {
  admin::v1::ListDomainsRequest request;
  request.set_tenant(tenant);
  const auto all = All<Domain>(
      session, &Stub::ListDomains, request,
      [](const auto& page) -> const auto& { return page.domains(); },
      [](const Domain& domain) { return domain.name(); });
  if (!all.ok()) return all.status();
  ShowList(session, DomainColumns(), *all);
  return absl::OkStatus();
}

absl::Status ShowDomain(Session& session, const std::string& name) {
  admin::v1::GetDomainRequest request;
  request.set_name(name);
  return Show(session, DomainColumns(), session.Call(&Stub::GetDomain, request));
}

absl::Status RemoveDomain(Session& session, const std::string& name) {
  admin::v1::RemoveDomainRequest request;
  request.set_name(name);
  return Done(session, session.Call(&Stub::RemoveDomain, request), "removed " + name);
}

absl::Status AddAccount(Session& session, const std::string& address,
                        std::uint64_t quota_octets) {
  absl::StatusOr<std::string> password = ReadPassword(address);
  if (!password.ok()) return password.status();
  admin::v1::AddAccountRequest request;
  request.set_address(address);
  request.set_password(*std::move(password));
  request.set_quota_bytes(quota_octets);
  return Show(session, AccountColumns(), session.Call(&Stub::AddAccount, request));
}

absl::Status ListAccounts(Session& session, const std::string& domain) {
  admin::v1::ListAccountsRequest request;
  request.set_domain(domain);
  const auto all = All<Account>(
      session, &Stub::ListAccounts, request,
      [](const auto& page) -> const auto& { return page.accounts(); },
      [](const Account& account) { return account.address(); });
  if (!all.ok()) return all.status();
  ShowList(session, AccountColumns(), *all);
  return absl::OkStatus();
}

absl::Status ShowAccount(Session& session, const std::string& address) {
  admin::v1::GetAccountRequest request;
  request.set_address(address);
  return Show(session, AccountColumns(), session.Call(&Stub::GetAccount, request));
}

absl::Status RemoveAccount(Session& session, const std::string& address) {
  admin::v1::RemoveAccountRequest request;
  request.set_address(address);
  return Done(session, session.Call(&Stub::RemoveAccount, request), "removed " + address);
}

absl::Status SetPassword(Session& session, const std::string& address) {
  absl::StatusOr<std::string> password = ReadPassword(address);
  if (!password.ok()) return password.status();
  admin::v1::SetPasswordRequest request;
  request.set_address(address);
  request.set_password(*std::move(password));
  return Done(session, session.Call(&Stub::SetPassword, request),
              "changed the password of " + address);
}

absl::Status SetPasswordHash(Session& session, const std::string& address) {
  absl::StatusOr<std::string> hash = ReadPassword("the hash of " + address);
  if (!hash.ok()) return hash.status();
  admin::v1::SetPasswordRequest request;
  request.set_address(address);
  request.set_password_hash(*std::move(hash));
  return Done(session, session.Call(&Stub::SetPassword, request),
              "changed the password of " + address);
}

absl::Status RequireAppPasswords(Session& session, const std::string& address, bool required) {
  admin::v1::RequireAppPasswordsRequest request;
  request.set_address(address);
  request.set_required(required);
  return Show(session, AccountColumns(), session.Call(&Stub::RequireAppPasswords, request));
}

absl::Status ImportAccounts(Session& session, const std::string& file) {
  std::ifstream stream(file, std::ios::binary);
  if (!stream) return absl::NotFoundError(absl::StrCat(file, ": cannot be read"));
  const absl::StatusOr<std::vector<CsvAccount>> accounts = ReadAccounts(stream);
  if (!accounts.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat(file, ": ", std::string(accounts.status().message())));
  }
  const bool terminal = isatty(STDERR_FILENO) != 0;
  std::size_t added = 0;
  std::size_t refused = 0;
  for (std::size_t begin = 0; begin < accounts->size(); begin += kImportBatch) {
    const std::size_t end = std::min(begin + kImportBatch, accounts->size());
    admin::v1::ImportAccountsRequest request;
    for (std::size_t i = begin; i < end; ++i) {
      admin::v1::AddAccountRequest& account = *request.add_accounts();
      account.set_address((*accounts)[i].address);
      account.set_password((*accounts)[i].password);
      account.set_password_hash((*accounts)[i].password_hash);
    }
    const auto response = session.Call(&Stub::ImportAccounts, request, kImportTimeout);
    if (!response.ok()) {
      return absl::Status(response.status().code(),
                          absl::StrCat(std::string(response.status().message()), " (", added,
                                       " accounts were added before line ",
                                       (*accounts)[begin].line, ")"));
    }
    for (int i = 0; i < response->results_size(); ++i) {
      const admin::v1::ImportResult& result = response->results(i);
      if (result.error().empty()) {
        ++added;
        continue;
      }
      ++refused;
      std::cerr << (terminal ? "\r" : "") << file << ":" << (*accounts)[begin + i].line << ": "
                << result.address() << ": " << result.error() << "\n";
    }
    std::cerr << (terminal ? "\r" : "") << end << " of " << accounts->size() << " accounts"
              << (terminal ? "" : "\n") << std::flush;
  }
  if (terminal) std::cerr << "\n";
  if (session.json()) {
    std::cout << "{\"added\": " << added << ", \"refused\": " << refused << "}\n";
  } else {
    std::cout << "added " << added << " accounts\n";
  }
  if (refused == 0) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(refused, " of ", accounts->size(),
                                                    " accounts were refused"));
}

absl::Status AddAlias(Session& session, const std::string& address,
                      const std::vector<std::string>& targets) {
  admin::v1::AddAliasRequest request;
  request.set_address(address);
  for (const std::string& target : targets) request.add_targets(target);
  return Show(session, AliasColumns(), session.Call(&Stub::AddAlias, request));
}

absl::Status ListAliases(Session& session, const std::string& domain) {
  admin::v1::ListAliasesRequest request;
  request.set_domain(domain);
  const auto all = All<Alias>(
      session, &Stub::ListAliases, request,
      [](const auto& page) -> const auto& { return page.aliases(); },
      [](const Alias& alias) { return alias.address(); });
  if (!all.ok()) return all.status();
  ShowList(session, AliasColumns(), *all);
  return absl::OkStatus();
}

absl::Status ShowAlias(Session& session, const std::string& address) {
  admin::v1::GetAliasRequest request;
  request.set_address(address);
  return Show(session, AliasColumns(), session.Call(&Stub::GetAlias, request));
}

absl::Status SetAlias(Session& session, const std::string& address,
                      const std::vector<std::string>& targets) {
  admin::v1::SetAliasRequest request;
  request.set_address(address);
  for (const std::string& target : targets) request.add_targets(target);
  return Show(session, AliasColumns(), session.Call(&Stub::SetAlias, request));
}

absl::Status RemoveAlias(Session& session, const std::string& address) {
  admin::v1::RemoveAliasRequest request;
  request.set_address(address);
  return Done(session, session.Call(&Stub::RemoveAlias, request), "removed " + address);
}

absl::Status AddKey(Session& session, const std::string& tenant, const std::string& description) {
  admin::v1::AddKeyRequest request;
  request.set_tenant(tenant);
  request.set_description(description);
  const auto response = session.Call(&Stub::AddKey, request);
  if (!response.ok()) return response.status();
  if (session.json()) {
    std::cout << ToJson(*response) << "\n";
    return absl::OkStatus();
  }
  ShowOne(session, KeyColumns(), response->key());
  std::cout << "SECRET       " << response->secret() << "\n"
            << "The secret is shown this once; only its hash is stored.\n";
  return absl::OkStatus();
}

absl::Status ListKeys(Session& session, const std::string& tenant) {
  admin::v1::ListKeysRequest request;
  request.set_tenant(tenant);
  const auto response = session.Call(&Stub::ListKeys, request);
  if (!response.ok()) return response.status();
  ShowList(session, KeyColumns(),
           std::vector<Key>(response->keys().begin(), response->keys().end()));
  return absl::OkStatus();
}

absl::Status ShowKey(Session& session, std::int64_t id) {
  admin::v1::GetKeyRequest request;
  request.set_key_id(id);
  return Show(session, KeyColumns(), session.Call(&Stub::GetKey, request));
}

absl::Status RemoveKey(Session& session, std::int64_t id) {
  admin::v1::RemoveKeyRequest request;
  request.set_key_id(id);
  return Done(session, session.Call(&Stub::RemoveKey, request), absl::StrCat("removed ", id));
}

}  // namespace posthorn::ctl
