#ifndef POSTHORN_SERVICES_GATEWAY_SMTP_TRUSTED_NETWORK_H_
#define POSTHORN_SERVICES_GATEWAY_SMTP_TRUSTED_NETWORK_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace posthorn::gateway {

// Clients that may relay without authentication, for one tenant. IPv4 addresses are kept in their
// IPv6-mapped form, so that a mapped client address matches too.
class TrustedNetwork {
 public:
  // "10.0.0.0/8=tenant", "2001:db8::/32=tenant", a single address without "/". kInvalidArgument
  // says what is wrong; bits below the prefix must be 0.
  static absl::StatusOr<TrustedNetwork> Parse(std::string_view text);

  bool Contains(const std::string& ip) const;
  const std::string& tenant() const { return tenant_; }

 private:
  TrustedNetwork() = default;
  std::array<std::uint8_t, 16> network_{};
  int prefix_bits_ = 128;
  std::string tenant_;
};

}  // namespace posthorn::gateway

#endif  // POSTHORN_SERVICES_GATEWAY_SMTP_TRUSTED_NETWORK_H_
