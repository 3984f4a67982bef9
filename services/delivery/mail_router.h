#ifndef POSTHORN_SERVICES_DELIVERY_MAIL_ROUTER_H_
#define POSTHORN_SERVICES_DELIVERY_MAIL_ROUTER_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "lib/base/clock.h"
#include "lib/base/task.h"
#include "lib/dns/resolver.h"
#include "services/delivery/route_table.h"
#include "services/delivery/smart_hosts.h"

namespace posthorn::delivery {

// One server to try.
struct Host {
  std::string name;  // as DNS or the route names it
  std::string ip;
  int port = 25;
  Protocol protocol = Protocol::kSmtp;
  std::shared_ptr<const HostAccess> access;  // of a server that somebody has named
  bool by_mx = false;                        // found by MX or as the domain's own address
  // All of DNS that led here was validated by DNSSEC, the last name included.
  bool secure = false;
  std::string canonical_name;     // where the name's CNAMEs ended
  int preference = 0;             // as in the MX record, or its place in a route
  std::string ToString() const;  // "mx.example.net[192.0.2.1]:25", "/run/lmtp"
};

struct MailRouterOptions {
  std::string hostname;  // ours: an MX that names it is where mail already is
  int smtp_port = 25;
  bool cache = true;  // keep results for their TTL, at most a minute
  std::size_t max_hosts = 10;
  // Asked for the sender's; nullptr: there are none. Outlives the router.
  SmartHosts* smart_hosts = nullptr;
  // A number below its argument; tests make it known.
  std::function<std::size_t(std::size_t)> random;
};

// Which servers take mail for a domain (RFC 5321 section 5.1): the operator's routes for it first,
// then the smart hosts of the sender's domain, then the operator's route for all, then MX records
// by preference, in random order among equals, then the domain's own addresses. Belongs to one
// executor; `resolver` and `clock` outlive it.
class MailRouter {
 public:
  MailRouter(MailRouterOptions options, RouteTable routes, dns::Resolver& resolver,
             const Clock& clock);

  // In the order to try, at least one. `domain` is lower case, or an address literal in brackets.
  // Failures: kDnsTemporary, kDnsNoSuchDomain, kNullMx (RFC 7505), kMailLoop (all servers are
  // ours), kUnavailable (the sender's smart hosts are not known now).
  Task<absl::StatusOr<std::vector<Host>>> HostsFor(std::string domain, Sender sender = Sender());
  // The same for hosts that somebody has named, "host" or "host:port", in their order. What is
  // wrong with them is kDnsTemporary: never a reason to return mail.
  Task<absl::StatusOr<std::vector<Host>>> HostsOf(std::vector<std::string> route);

 private:
  // Hosts of one preference, any order.
  struct Group {
    int preference = 0;
    std::vector<std::vector<Host>> servers;  // the addresses of each
  };
  struct Plan {
    std::vector<Group> groups;
    absl::Duration ttl = absl::InfiniteDuration();
  };
  struct Cached {
    Plan plan;
    absl::Time until;
  };
  struct Addresses {
    std::vector<Host> hosts;
    bool temporary = false;
    std::string error;
    absl::Duration ttl = absl::InfiniteDuration();
  };

  Task<absl::StatusOr<std::vector<HostPort>>> SmartHostsFor(const std::string& domain,
                                                            Sender sender);
  Task<absl::StatusOr<Plan>> PlanFor(std::string domain);
  Task<absl::StatusOr<Plan>> PlanByRoute(const std::vector<HostPort>& hosts);
  Task<absl::StatusOr<Plan>> PlanByMx(std::string domain);
  Task<Addresses> LookUp(std::string name, int port);
  std::vector<Host> Order(const Plan& plan);

  const MailRouterOptions options_;
  const RouteTable routes_;
  dns::Resolver& resolver_;
  const Clock& clock_;
  absl::flat_hash_map<std::string, Cached> cache_;
};

}  // namespace posthorn::delivery

#endif  // POSTHORN_SERVICES_DELIVERY_MAIL_ROUTER_H_
