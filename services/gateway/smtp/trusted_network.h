#ifndef POSTHORN_SERVICES_GATEWAY_SMTP_TRUSTED_NETWORK_H_
#define POSTHORN_SERVICES_GATEWAY_SMTP_TRUSTED_NETWORK_H_

#include <string>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"
#include "lib/net/ip_network.h"

namespace posthorn::gateway {

// Clients that may relay without authentication, for one tenant.
class TrustedNetwork {
 public:
  // "10.0.0.0/8=tenant", "2001:db8::/32=tenant", a single address without "/". kInvalidArgument
  // says what is wrong; bits below the prefix must be 0.
  static absl::StatusOr<TrustedNetwork> Parse(std::string_view text);

  bool Contains(const std::string& ip) const { return network_.Contains(ip); }
  const std::string& tenant() const { return tenant_; }

 private:
  TrustedNetwork(net::IpNetwork network, std::string tenant)
      : network_(network), tenant_(std::move(tenant)) {}
  net::IpNetwork network_;
  std::string tenant_;
};

}  // namespace posthorn::gateway

#endif  // POSTHORN_SERVICES_GATEWAY_SMTP_TRUSTED_NETWORK_H_
