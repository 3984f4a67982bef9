// Settings of domains and accounts, and domain aliases.
#include "absl/strings/str_cat.h"
#include "apps/posthornctl/actions.h"
#include "apps/posthornctl/directory_columns.h"
#include "apps/posthornctl/input.h"

namespace posthorn::ctl {
namespace {

using admin::v1::Domain;
using Stub = Session::Stub;

Columns<Domain> DomainAliasColumns() {
  return {{"ALIAS", "DOMAIN", "TENANT", "CREATED"}, [](const Domain& d) {
            return std::vector<std::string>{d.name(), d.alias_of(), d.tenant(),
                                            FormatTime(d.created_at())};
          }};
}

// The words that take a setting away.
std::string OrNothing(const std::string& value) {
  return value == "none" || value == "default" ? std::string() : value;
}

}  // namespace

absl::Status SetDomain(Session& session, const std::string& name, const DomainSettings& settings) {
  admin::v1::SetDomainRequest request;
  request.set_name(name);
  if (settings.suspend || settings.resume) request.set_suspended(settings.suspend);
  if (!settings.catch_all.empty()) request.set_catch_all(OrNothing(settings.catch_all));
  if (!settings.postmaster.empty()) request.set_postmaster(OrNothing(settings.postmaster));
  if (!settings.smart_hosts.empty()) {
    admin::v1::SmartHosts& hosts = *request.mutable_smart_hosts();
    for (const std::string& host : settings.smart_hosts) {
      if (host != "none") hosts.add_hosts(host);
    }
    hosts.set_tls(settings.smart_host_tls);
    if (!settings.smart_host_username.empty()) {
      absl::StatusOr<std::string> password =
          ReadPassword(settings.smart_host_username + " at the smart host");
      if (!password.ok()) return password.status();
      hosts.set_username(settings.smart_host_username);
      hosts.set_password(*std::move(password));
    }
  }
  return Show(session, DomainColumns(), session.Call(&Stub::SetDomain, request));
}

absl::Status AddDomainAlias(Session& session, const std::string& alias,
                            const std::string& domain) {
  admin::v1::AddDomainAliasRequest request;
  request.set_alias(alias);
  request.set_domain(domain);
  return Show(session, DomainAliasColumns(), session.Call(&Stub::AddDomainAlias, request));
}

absl::Status ListDomainAliases(Session& session, const std::string& domain) {
  admin::v1::ListDomainAliasesRequest request;
  request.set_domain(domain);
  const auto all = All<Domain>(
      session, &Stub::ListDomainAliases, request,
      [](const auto& page) -> const auto& { return page.aliases(); },
      [](const Domain& alias) { return alias.name(); });
  if (!all.ok()) return all.status();
  ShowList(session, DomainAliasColumns(), *all);
  return absl::OkStatus();
}

absl::Status RemoveDomainAlias(Session& session, const std::string& alias) {
  admin::v1::RemoveDomainAliasRequest request;
  request.set_alias(alias);
  return Done(session, session.Call(&Stub::RemoveDomainAlias, request), "removed " + alias);
}

absl::Status SetAccount(Session& session, const std::string& address,
                        const AccountSettings& settings) {
  admin::v1::SetAccountRequest request;
  request.set_address(address);
  if (settings.suspend || settings.resume) request.set_suspended(settings.suspend);
  if (settings.quota_octets.has_value()) request.set_quota_bytes(*settings.quota_octets);
  if (settings.quota_messages.has_value()) request.set_quota_messages(*settings.quota_messages);
  if (settings.tags == "ignore") request.set_tag_mode(admin::v1::TAG_MODE_IGNORE);
  if (settings.tags == "existing") request.set_tag_mode(admin::v1::TAG_MODE_EXISTING);
  if (settings.tags == "create") request.set_tag_mode(admin::v1::TAG_MODE_CREATE);
  return Show(session, AccountColumns(), session.Call(&Stub::SetAccount, request));
}

}  // namespace posthorn::ctl
