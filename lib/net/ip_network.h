#ifndef POSTHORN_LIB_NET_IP_NETWORK_H_
#define POSTHORN_LIB_NET_IP_NETWORK_H_

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace posthorn::net {

// A range of IP addresses. IPv4 addresses are kept in their IPv6-mapped form, so that a mapped
// client address matches too.
class IpNetwork {
 public:
  // "10.0.0.0/8", "2001:db8::/32", a single address without "/". kInvalidArgument says what is
  // wrong; bits below the prefix must be 0.
  static absl::StatusOr<IpNetwork> Parse(std::string_view cidr);

  // False for what is no IP address.
  bool Contains(const std::string& ip) const;

 private:
  IpNetwork() = default;
  std::array<std::uint8_t, 16> network_{};
  int prefix_bits_ = 128;
};

bool AnyContains(const std::vector<IpNetwork>& networks, const std::string& ip);

// What counts as one client: the address itself, or an IPv6 address's /64, which one host has
// whole.
std::string ClientNetwork(const std::string& ip);

}  // namespace posthorn::net

#endif  // POSTHORN_LIB_NET_IP_NETWORK_H_
