#ifndef POSTHORN_SERVICES_DELIVERY_ROUTE_TABLE_H_
#define POSTHORN_SERVICES_DELIVERY_ROUTE_TABLE_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "lib/base/ids.h"
#include "services/delivery/host_access.h"

namespace posthorn::delivery {

struct HostPort {
  std::string host;  // a name or an IP address, or the path of a unix socket
  int port = 0;      // 0: a unix socket
  Protocol protocol = Protocol::kSmtp;
  std::shared_ptr<const HostAccess> access;  // nullptr: nothing special
  friend bool operator==(const HostPort&, const HostPort&) = default;
};

// "host", "host:port", "192.0.2.1:25", "[2001:db8::1]:25", the same after "smtp://", "smtps://" (port
// 465 by default) or "lmtp://" (port 24), or a unix socket as in "lmtp:///run/lmtp".
absl::StatusOr<HostPort> ParseHostPort(std::string_view text, int default_port);

// `pattern`: "example.net", "*.example.net" (all below, not itself) or "*"; both in lower case.
bool DomainMatches(std::string_view pattern, std::string_view domain);

// Static routes and smart hosts; the first pattern that matches counts. Immutable.
class RouteTable {
 public:
  // `pattern`: "example.net", "*.example.net" (all below, not itself) or "*". The error names the
  // pattern.
  absl::Status Add(std::string pattern, const std::vector<std::string>& hosts, int default_port,
                   std::shared_ptr<const HostAccess> access = nullptr, TenantId tenant = TenantId());

  // The hosts to try in order for mail of that tenant; nullptr: no route, use MX.
  const std::vector<HostPort>* Find(std::string_view domain, TenantId tenant) const;
  // The same without the pattern "*".
  const std::vector<HostPort>* FindSpecific(std::string_view domain, TenantId tenant) const;

 private:
  struct Route {
    bool Fits(std::string_view domain, TenantId sender) const;
    std::string pattern;
    std::vector<HostPort> hosts;
    TenantId tenant;  // none: of all
  };
  std::vector<Route> routes_;
};

}  // namespace posthorn::delivery

#endif  // POSTHORN_SERVICES_DELIVERY_ROUTE_TABLE_H_
