// What addresses lead to: the forms they are stored in, settings of domains, domain aliases.

#include <arpa/inet.h>

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "lib/base/failure.h"
#include "services/mailbox/address.h"
#include "services/mailbox/admin_rows.h"
#include "services/mailbox/admin_store.h"
#include "services/mailbox/recipient_lookup.h"

namespace posthorn::mailbox {
namespace {

using postgres::Params;
using postgres::Result;

constexpr std::size_t kBatch = 1000;

constexpr char kLookupMainDomain[] = "SELECT tenant_id, name FROM lookup.main_domain($1)";
constexpr char kLookupMainDomains[] =
    "SELECT q.domain, m.tenant_id, m.name FROM unnest($1) q (domain)"
    " CROSS JOIN LATERAL lookup.main_domain(q.domain) m";
// What the names lead to within the tenant, as far as it is written down: a tag is not followed
// here, only when mail is.
constexpr char kLeadsTo[] =
    "WITH RECURSIVE reach (name) AS ("
    "  SELECT unnest($3)"
    "  UNION SELECT n.name FROM reach r CROSS JOIN LATERAL ("
    "    SELECT unnest(a.targets) FROM directory.address a"
    "    WHERE a.tenant_id = $1 AND a.address = r.name"
    "    UNION ALL SELECT m.member FROM directory.list_member m"
    "    WHERE m.tenant_id = $1 AND m.list = r.name) n (name))"
    " SELECT 1 FROM reach WHERE name = $2 LIMIT 1";
constexpr char kInsertDomainAlias[] =
    "INSERT INTO directory.domain (tenant_id, name, alias_of) VALUES ($1, $2, $3)";
constexpr char kSelectDomainAlias[] =
    POSTHORN_DOMAIN_COLUMNS "WHERE d.tenant_id = $1 AND d.name = $2 AND d.alias_of IS NOT NULL";
constexpr char kSelectDomainAliases[] =
    POSTHORN_DOMAIN_COLUMNS
    "WHERE d.name > $1 AND d.alias_of IS NOT NULL AND ($2 = '' OR d.alias_of = $2)"
    " ORDER BY d.name LIMIT $3";
constexpr char kDeleteDomainAlias[] =
    "DELETE FROM directory.domain WHERE tenant_id = $1 AND name = $2 AND alias_of IS NOT NULL";
// NULL leaves what is there; '' takes it away.
constexpr std::size_t kMaxLogin = 500;  // octets
constexpr char kSetDomain[] =
    "UPDATE directory.domain SET suspended = CASE WHEN $3 IS NULL THEN suspended ELSE $3 <> 0 END,"
    " catch_all = nullif(coalesce($4, catch_all), ''),"
    " postmaster = nullif(coalesce($5, postmaster), ''),"
    " smart_hosts = CASE WHEN $6 THEN $7 ELSE smart_hosts END,"
    " smart_host_username = CASE WHEN $6 THEN $8 ELSE smart_host_username END,"
    " smart_host_password = CASE WHEN $6 THEN $9 ELSE smart_host_password END,"
    " smart_host_tls = CASE WHEN $6 THEN $10 ELSE smart_host_tls END"
    " WHERE tenant_id = $1 AND name = $2";

absl::Status CheckSmartHostLogin(const DomainChange& change) {
  const auto bad = [](std::string_view text) {
    return MakeFailure(Failure::kInvalidArgument, text);
  };
  const std::string& username = change.smart_host_username;
  const std::string& password = change.smart_host_password;
  if (username.empty() != password.empty()) {
    return bad("a login at a smart host needs a name and a password");
  }
  if (username.size() > kMaxLogin || password.size() > kMaxLogin ||
      (username + password).find('\0') != std::string::npos) {
    return bad("the login is too long or has an octet 0");
  }
  const std::string& tls = change.smart_host_tls;
  if (!tls.empty() && tls != "required" && tls != "verified") {
    return bad("TLS to a smart host is \"required\" or \"verified\"");
  }
  if (change.smart_hosts.value_or(std::vector<std::string>()).empty() && !username.empty()) {
    return bad("there is no smart host to log in at");
  }
  return absl::OkStatus();
}

// "host", "192.0.2.1:25", "[2001:db8::1]:25", perhaps after "smtps://"; lower case.
absl::StatusOr<std::string> SmartHost(std::string_view text) {
  const auto bad = [&] {
    return MakeFailure(Failure::kInvalidArgument,
                       absl::StrCat("not \"host\" or \"host:port\": ",
                                    absl::string_view(text.data(), text.size())));
  };
  const std::string whole = absl::AsciiStrToLower(absl::string_view(text.data(), text.size()));
  text = whole;
  for (const std::string_view scheme : {"smtp://", "smtps://"}) {
    if (text.starts_with(scheme)) {
      text.remove_prefix(scheme.size());
      break;
    }
  }
  std::string_view host = text;
  std::string_view port;
  const std::size_t colon = text.rfind(':');
  const std::size_t bracket = text.rfind(']');
  if (colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket)) {
    host = text.substr(0, colon);
    port = text.substr(colon + 1);
    int number = 0;
    if (!absl::SimpleAtoi(absl::string_view(port.data(), port.size()), &number) || number < 1 ||
        number > 65535) {
      return bad();
    }
  }
  if (host.starts_with('[') && host.ends_with(']')) {
    in6_addr address;
    const std::string inner(host.substr(1, host.size() - 2));
    if (inet_pton(AF_INET6, inner.c_str(), &address) != 1) return bad();
  } else if (!ParseDomainName(host).ok()) {
    return bad();
  }
  return whole;
}

}  // namespace

Task<absl::StatusOr<AdminStore::Located>> AdminStore::Locate(std::string address) {
  absl::StatusOr<DirectoryAddress> parsed = ParseDirectoryAddress(address);
  if (!parsed.ok()) co_return parsed.status();
  Located located;
  located.address = *std::move(parsed);
  absl::StatusOr<Result> row = co_await database_.Query(
      std::vector<TenantId>(), kLookupMainDomain, Params::Of(located.address.domain));
  if (!row.ok()) co_return row.status();
  if (row->empty()) co_return MakeFailure(Failure::kNotFound, "no such domain");
  located.tenant = TenantId(row->Int(0, 0));
  located.address.domain = row->Text(0, 1);
  co_return located;
}

Task<absl::StatusOr<std::vector<AdminStore::Stored>>> AdminStore::StoredForms(
    TenantId tenant, std::vector<std::string> addresses, bool exist) {
  std::vector<DirectoryAddress> parsed;
  std::vector<Stored> result(addresses.size());
  std::vector<std::string> domains;
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    absl::StatusOr<DirectoryAddress> address = ParseDirectoryAddress(addresses[i]);
    absl::StatusOr<std::string> remote = ParseRemoteAddress(addresses[i]);
    if (!address.ok() || !remote.ok()) {
      co_return MakeFailure(Failure::kBadAddress,
                            absl::StrCat("malformed address: ", addresses[i]));
    }
    result[i].address = *std::move(remote);
    domains.push_back(address->domain);
    parsed.push_back(*std::move(address));
  }
  std::sort(domains.begin(), domains.end());
  domains.erase(std::unique(domains.begin(), domains.end()), domains.end());
  Params params;
  params.AddTexts(domains);
  absl::StatusOr<Result> rows = co_await database_.Query(std::vector<TenantId>(),
                                                         kLookupMainDomains, std::move(params));
  if (!rows.ok()) co_return rows.status();
  std::map<std::string, std::string> own;
  for (int i = 0; i < rows->rows(); ++i) {
    if (TenantId(rows->Int(i, 1)) == tenant) own[rows->Text(i, 0)] = rows->Text(i, 2);
  }
  std::vector<DirectoryAddress> to_find;
  for (std::size_t i = 0; i < parsed.size(); ++i) {
    const auto domain = own.find(parsed[i].domain);
    result[i].is_own = domain != own.end();
    if (result[i].is_own) parsed[i].domain = domain->second;
    result[i].key = parsed[i].ToString();
    if (!result[i].is_own) continue;
    result[i].address = result[i].key;
    to_find.push_back(std::move(parsed[i]));
  }
  for (std::size_t begin = 0; exist && begin < to_find.size(); begin += kBatch) {
    const auto first = to_find.begin() + static_cast<std::ptrdiff_t>(begin);
    const auto last =
        to_find.begin() + static_cast<std::ptrdiff_t>(std::min(begin + kBatch, to_find.size()));
    std::vector<DirectoryAddress> batch(first, last);
    absl::StatusOr<std::vector<RecipientEntry>> entries =
        co_await LookUpRecipients(database_, tag_separators_, std::move(batch));
    if (!entries.ok()) co_return entries.status();
    for (const RecipientEntry& entry : *entries) {
      if (entry.kind == RecipientEntry::Kind::kUnknown) {
        co_return MakeFailure(Failure::kNotFound, absl::StrCat("no such address: ", entry.address));
      }
    }
  }
  co_return result;
}

Task<absl::StatusOr<std::string>> AdminStore::StoredForm(TenantId tenant, std::string address) {
  if (address.empty()) co_return address;
  std::vector<std::string> one(1, std::move(address));
  absl::StatusOr<std::vector<Stored>> stored = co_await StoredForms(tenant, std::move(one), true);
  if (!stored.ok()) co_return stored.status();
  co_return std::move(stored->front().address);
}

Task<absl::Status> AdminStore::CheckLoop(TenantId tenant, std::string address,
                                         std::vector<std::string> names) {
  Params params = Params::Of(tenant, address);
  params.AddTexts(names);
  absl::StatusOr<Result> row = co_await database_.QueryFor(tenant, kLeadsTo, std::move(params));
  if (!row.ok()) co_return row.status();
  if (row->empty()) co_return absl::OkStatus();
  co_return MakeFailure(Failure::kInvalidArgument,
                        absl::StrCat("this leads back to ", address, " itself"));
}

Task<absl::StatusOr<DomainRecord>> AdminStore::SetDomain(std::string name, DomainChange change) {
  absl::StatusOr<DomainRecord> domain = co_await GetDomain(name);
  if (!domain.ok()) co_return domain.status();
  for (std::optional<std::string>* setting : {&change.catch_all, &change.postmaster}) {
    if (!setting->has_value()) continue;
    absl::StatusOr<std::string> address = co_await StoredForm(domain->tenant, **setting);
    if (!address.ok()) co_return address.status();
    *setting = *std::move(address);
  }
  std::vector<std::string> hosts;
  for (const std::string& text : change.smart_hosts.value_or(std::vector<std::string>())) {
    absl::StatusOr<std::string> host = SmartHost(text);
    if (!host.ok()) co_return host.status();
    hosts.push_back(*std::move(host));
  }
  if (hosts.size() > kMaxSmartHosts) {
    co_return MakeFailure(Failure::kInvalidArgument, "a domain has at most 10 smart hosts");
  }
  const absl::Status login = CheckSmartHostLogin(change);
  if (!login.ok()) co_return login;
  std::optional<int> suspended;
  if (change.suspended.has_value()) suspended = *change.suspended ? 1 : 0;
  Params params = Params::Of(domain->tenant, domain->name, suspended, change.catch_all,
                             change.postmaster, change.smart_hosts.has_value());
  params.AddTexts(hosts);
  params.Add(change.smart_host_username);
  params.Add(change.smart_host_password);
  params.Add(change.smart_host_tls);
  absl::StatusOr<Result> row =
      co_await database_.QueryFor(domain->tenant, kSetDomain, std::move(params));
  if (!row.ok()) co_return row.status();
  absl::StatusOr<DomainRecord> record = co_await GetDomain(std::move(name));
  co_return record;
}

Task<absl::StatusOr<DomainRecord>> AdminStore::AddDomainAlias(std::string alias,
                                                              std::string domain) {
  absl::StatusOr<std::string> name = ParseDomainName(alias);
  if (!name.ok()) co_return name.status();
  absl::StatusOr<DomainRecord> target = co_await GetDomain(std::move(domain));
  if (!target.ok()) co_return target.status();
  absl::StatusOr<Result> row =
      co_await database_.QueryFor(target->tenant, kInsertDomainAlias,
                                  Params::Of(target->tenant, *name, target->name));
  if (!row.ok()) co_return Taken(row.status());
  absl::StatusOr<Result> added = co_await database_.QueryFor(
      target->tenant, kSelectDomainAlias, Params::Of(target->tenant, *name));
  if (!added.ok()) co_return added.status();
  if (added->empty()) co_return MakeFailure(Failure::kNotFound, "no such domain alias");
  co_return DomainOf(*added, 0);
}

Task<absl::StatusOr<std::vector<DomainRecord>>> AdminStore::ListDomainAliases(std::string domain,
                                                                              Page page) {
  absl::StatusOr<std::vector<TenantId>> tenants = co_await TenantsForDomain(domain);
  if (!tenants.ok()) co_return tenants.status();
  absl::StatusOr<Result> rows = co_await database_.Query(
      *std::move(tenants), kSelectDomainAliases, Params::Of(page.after, domain, LimitOf(page)));
  if (!rows.ok()) co_return rows.status();
  std::vector<DomainRecord> records;
  for (int i = 0; i < rows->rows(); ++i) records.push_back(DomainOf(*rows, i));
  co_return records;
}

Task<absl::Status> AdminStore::RemoveDomainAlias(std::string alias) {
  absl::StatusOr<std::string> name = ParseDomainName(alias);
  if (!name.ok()) co_return name.status();
  absl::StatusOr<TenantId> tenant = co_await TenantOfDomain(*name);
  if (!tenant.ok()) co_return MakeFailure(Failure::kNotFound, "no such domain alias");
  absl::StatusOr<Result> row =
      co_await database_.QueryFor(*tenant, kDeleteDomainAlias, Params::Of(*tenant, *name));
  if (!row.ok()) co_return row.status();
  if (row->affected() == 0) co_return MakeFailure(Failure::kNotFound, "no such domain alias");
  co_return absl::OkStatus();
}

}  // namespace posthorn::mailbox
