#ifndef POSTHORN_SERVICES_GATEWAY_SESSION_PROXY_HEADER_H_
#define POSTHORN_SERVICES_GATEWAY_SESSION_PROXY_HEADER_H_

#include <vector>

#include "lib/base/task.h"
#include "lib/net/ip_network.h"
#include "lib/net/stream.h"

namespace posthorn::gateway {

// Before a session begins: where the peer is one of the balancers in `proxies`, reads the PROXY
// protocol header that it must send; from others nothing is read. False: there was none, or not in
// time; the connection is worthless and nobody is told anything. `stream` and `proxies` outlive it.
Task<bool> TakeProxyHeader(net::Stream& stream, const std::vector<net::IpNetwork>& proxies);

}  // namespace posthorn::gateway

#endif  // POSTHORN_SERVICES_GATEWAY_SESSION_PROXY_HEADER_H_
