#include "services/delivery/mail_router.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstdint>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "lib/base/failure.h"

namespace posthorn::delivery {
namespace {

constexpr std::size_t kMaxCached = 10000;
constexpr absl::Duration kMaxCacheTime = absl::Minutes(1);

bool IsIpAddress(const std::string& text) {
  unsigned char buffer[16];
  return inet_pton(AF_INET, text.c_str(), buffer) == 1 ||
         inet_pton(AF_INET6, text.c_str(), buffer) == 1;
}

absl::Status Temporary(const std::string& domain, const std::string& error) {
  return MakeFailure(Failure::kDnsTemporary,
                     absl::StrCat("DNS lookup of ", domain, " failed: ", error));
}

}  // namespace

std::string Host::ToString() const {
  return port == 0 ? name : absl::StrCat(name, "[", ip, "]:", port);
}

MailRouter::MailRouter(MailRouterOptions options, RouteTable routes, dns::Resolver& resolver,
                       const Clock& clock)
    : options_(std::move(options)),
      routes_(std::move(routes)),
      resolver_(resolver),
      clock_(clock) {}

Task<absl::StatusOr<std::vector<HostPort>>> MailRouter::SmartHostsFor(const std::string& domain,
                                                                      Sender sender) {
  if (options_.smart_hosts == nullptr || routes_.FindSpecific(domain, sender.tenant) != nullptr) {
    co_return std::vector<HostPort>();
  }
  co_return co_await options_.smart_hosts->For(std::move(sender));
}

Task<absl::StatusOr<std::vector<Host>>> MailRouter::HostsFor(std::string domain, Sender sender) {
  absl::StatusOr<std::vector<HostPort>> smart_hosts =
      co_await SmartHostsFor(domain, sender);
  if (!smart_hosts.ok()) co_return smart_hosts.status();
  if (smart_hosts->empty()) {
    const std::vector<HostPort>* const route = routes_.Find(domain, sender.tenant);
    if (route != nullptr) *smart_hosts = *route;
  }
  // No domain begins with a blank.
  std::string key = smart_hosts->empty() ? domain : std::string();
  for (const HostPort& host : *smart_hosts) {
    // Access is part of the plan: another login, another plan.
    absl::StrAppend(&key, " ", static_cast<int>(host.protocol), " ", host.host, ":", host.port, " ",
                    absl::Hex(reinterpret_cast<std::uintptr_t>(host.access.get())));
  }
  if (options_.cache) {
    const auto it = cache_.find(key);
    if (it != cache_.end() && clock_.Now() < it->second.until) co_return Order(it->second.plan);
  }
  Task<absl::StatusOr<Plan>> work =
      smart_hosts->empty() ? PlanFor(domain) : PlanByRoute(*smart_hosts);
  absl::StatusOr<Plan> plan = co_await std::move(work);
  if (!plan.ok()) co_return plan.status();
  if (options_.cache && plan->ttl > absl::ZeroDuration()) {
    if (cache_.size() >= kMaxCached) cache_.clear();
    Cached& entry = cache_[key];
    entry.until = clock_.Now() + std::min(plan->ttl, kMaxCacheTime);
    entry.plan = *std::move(plan);
    co_return Order(entry.plan);
  }
  co_return Order(*plan);
}

Task<absl::StatusOr<std::vector<Host>>> MailRouter::HostsOf(std::vector<std::string> route) {
  std::vector<HostPort> hosts;
  for (const std::string& host : route) {
    absl::StatusOr<HostPort> parsed = ParseHostPort(host, options_.smtp_port);
    if (!parsed.ok()) co_return Temporary(host, "it is no host");
    hosts.push_back(*std::move(parsed));
  }
  const absl::StatusOr<Plan> plan = co_await PlanByRoute(hosts);
  if (!plan.ok()) co_return plan.status();
  co_return Order(*plan);
}

Task<absl::StatusOr<MailRouter::Plan>> MailRouter::PlanFor(std::string domain) {
  // RFC 5321 section 4.1.3: an address literal is the server itself.
  if (domain.size() > 2 && domain.front() == '[' && domain.back() == ']') {
    std::string ip = domain.substr(1, domain.size() - 2);
    if (absl::StartsWithIgnoreCase(ip, "ipv6:")) ip.erase(0, 5);
    if (!IsIpAddress(ip)) {
      co_return MakeFailure(Failure::kDnsNoSuchDomain, "malformed address literal");
    }
    std::vector<HostPort> literal(1);
    literal[0].host = ip;
    literal[0].port = options_.smtp_port;
    co_return co_await PlanByRoute(literal);
  }
  co_return co_await PlanByMx(std::move(domain));
}

// The hosts of a route are tried in the order given; a name means its addresses, not its MX.
Task<absl::StatusOr<MailRouter::Plan>> MailRouter::PlanByRoute(
    const std::vector<HostPort>& hosts) {
  Plan plan;
  absl::Status failure = absl::OkStatus();
  int preference = 0;
  for (const HostPort& host : hosts) {
    Addresses found = co_await LookUp(host.host, host.port);
    plan.ttl = std::min(plan.ttl, found.ttl);
    for (Host& address : found.hosts) {
      address.protocol = host.protocol;
      address.access = host.access;
    }
    if (!found.hosts.empty()) {
      Group group;
      group.preference = preference++;
      group.servers.push_back(std::move(found.hosts));
      plan.groups.push_back(std::move(group));
    } else {
      // A smart host is our own setting: what is wrong with it never bounces mail.
      failure = Temporary(host.host, found.temporary ? found.error : "it has no address");
    }
  }
  if (plan.groups.empty()) co_return failure;
  co_return plan;
}

Task<absl::StatusOr<MailRouter::Plan>> MailRouter::PlanByMx(std::string domain) {
  dns::Answer<dns::MxRecord> mx = co_await resolver_.QueryMx(domain);
  if (mx.outcome == dns::Outcome::kTemporary) co_return Temporary(domain, mx.error);
  if (mx.outcome == dns::Outcome::kNoSuchName) {
    co_return MakeFailure(Failure::kDnsNoSuchDomain,
                          absl::StrCat("the domain ", domain, " does not exist"));
  }
  if (mx.outcome == dns::Outcome::kNoData) {
    // No MX: the domain itself, as if with preference 0.
    dns::MxRecord implicit;
    implicit.host = domain;
    mx.records.push_back(std::move(implicit));
  } else if (mx.records.size() == 1 && mx.records[0].host.empty()) {
    co_return MakeFailure(Failure::kNullMx,
                          absl::StrCat("the domain ", domain, " does not accept mail"));
  }
  std::stable_sort(
      mx.records.begin(), mx.records.end(),
      [](const dns::MxRecord& a, const dns::MxRecord& b) { return a.preference < b.preference; });
  // Where we are in the list ourselves, only better servers count, or mail would go round.
  const auto own =
      std::find_if(mx.records.begin(), mx.records.end(), [this](const dns::MxRecord& record) {
        return absl::EqualsIgnoreCase(record.host, options_.hostname);
      });
  if (own != mx.records.end()) {
    const int limit = own->preference;
    std::erase_if(mx.records,
                  [limit](const dns::MxRecord& r) { return r.preference >= limit; });
    if (mx.records.empty()) {
      co_return MakeFailure(Failure::kMailLoop, absl::StrCat("mail for ", domain,
                                                             " is meant for this server, which "
                                                             "does not know the domain"));
    }
  }
  Plan plan;
  plan.ttl = mx.ttl;
  bool temporary = false;
  std::string error;
  std::size_t addresses = 0;
  for (const dns::MxRecord& record : mx.records) {
    if (record.host.empty()) continue;
    if (addresses >= options_.max_hosts) break;
    Addresses found = co_await LookUp(record.host, options_.smtp_port);
    plan.ttl = std::min(plan.ttl, found.ttl);
    if (found.hosts.empty()) {
      temporary |= found.temporary;
      if (found.temporary) error = found.error;
      continue;
    }
    addresses += found.hosts.size();
    for (Host& host : found.hosts) {
      host.by_mx = true;
      host.secure = host.secure && mx.secure;
    }
    if (plan.groups.empty() || plan.groups.back().preference != record.preference) {
      plan.groups.emplace_back();
      plan.groups.back().preference = record.preference;
    }
    plan.groups.back().servers.push_back(std::move(found.hosts));
  }
  if (!plan.groups.empty()) co_return plan;
  if (temporary) co_return Temporary(domain, error);
  co_return MakeFailure(Failure::kDnsNoSuchDomain,
                        absl::StrCat("the domain ", domain, " has no mail server with an address"));
}

// IPv4 before IPv6: RFC 5321 leaves the order open, and reputation of senders is kept by IPv4.
Task<MailRouter::Addresses> MailRouter::LookUp(std::string name, int port) {
  Addresses result;
  bool secure = false;
  std::string canonical = name;
  const auto add = [&](const std::string& ip) {
    Host host;
    host.name = name;
    host.ip = ip;
    host.port = port;
    host.secure = secure;
    host.canonical_name = canonical;
    result.hosts.push_back(std::move(host));
  };
  if (IsIpAddress(name) || absl::StartsWith(name, "/")) {
    add(name);
    co_return result;
  }
  const dns::Answer<std::string> v4 = co_await resolver_.QueryA(name);
  const dns::Answer<std::string> v6 = co_await resolver_.QueryAaaa(name);
  // RFC 7672 section 2.2.2: one without an answer, or with one that nobody vouches for, is enough to
  // leave the host without TLSA records.
  secure = v4.secure && v6.secure;
  for (const dns::Answer<std::string>* answer : {&v4, &v6}) {
    if (answer->outcome == dns::Outcome::kAnswer) canonical = answer->canonical_name;
    for (const std::string& ip : answer->records) add(ip);
    if (answer->outcome == dns::Outcome::kTemporary) {
      result.temporary = true;
      result.error = absl::StrCat(name, ": ", answer->error);
    }
    // Half an answer is good enough to deliver by, not to remember.
    result.ttl = answer->outcome == dns::Outcome::kTemporary ? absl::ZeroDuration()
                                                             : std::min(result.ttl, answer->ttl);
  }
  co_return result;
}

std::vector<Host> MailRouter::Order(const Plan& plan) {
  std::vector<Host> hosts;
  for (const Group& group : plan.groups) {
    std::vector<const std::vector<Host>*> servers;
    for (const std::vector<Host>& server : group.servers) servers.push_back(&server);
    for (std::size_t i = servers.size(); i > 1; --i) {
      std::swap(servers[i - 1], servers[options_.random(i)]);
    }
    for (const std::vector<Host>* server : servers) {
      for (const Host& host : *server) {
        hosts.push_back(host);
        hosts.back().preference = group.preference;
      }
    }
  }
  if (hosts.size() > options_.max_hosts) hosts.resize(options_.max_hosts);
  return hosts;
}

}  // namespace posthorn::delivery
