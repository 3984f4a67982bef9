#include "services/gateway/session/proxy_header.h"

#include "lib/telemetry/log.h"

namespace posthorn::gateway {
namespace {

// A balancer sends the header before anything else.
constexpr absl::Duration kTimeout = absl::Seconds(10);

}  // namespace

Task<bool> TakeProxyHeader(net::Stream& stream, const std::vector<net::IpNetwork>& proxies) {
  if (proxies.empty() || !net::AnyContains(proxies, stream.peer().ip)) co_return true;
  const std::string balancer = stream.peer().ip;
  const absl::Status status = co_await stream.AcceptProxyHeader(kTimeout);
  if (!status.ok()) {
    log::Info("proxy", "no header from a balancer", {{"balancer", balancer}, {"error", status}});
  }
  co_return status.ok();
}

}  // namespace posthorn::gateway
