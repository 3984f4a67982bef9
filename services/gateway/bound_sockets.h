#ifndef POSTHORN_SERVICES_GATEWAY_BOUND_SOCKETS_H_
#define POSTHORN_SERVICES_GATEWAY_BOUND_SOCKETS_H_

#include <optional>
#include <vector>

#include "lib/net/listener.h"

namespace posthorn::gateway {

// The sockets of the gateway, bound while the process may still bind ports below 1024 and moved
// into GatewayServer::Start: one for each listener of the configuration, in its order, that
// of users of this machine, and the API's.
struct BoundSockets {
  std::vector<net::BoundSocket> smtp;
  std::vector<net::BoundSocket> imap;
  std::vector<net::BoundSocket> pop3;
  std::optional<net::BoundSocket> local;  // with gateway.local_submission.domain
  std::optional<net::BoundSocket> api;  // never empty in Start
};

}  // namespace posthorn::gateway

#endif  // POSTHORN_SERVICES_GATEWAY_BOUND_SOCKETS_H_
