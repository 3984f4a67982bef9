#include "lib/net/ip_network.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstring>

#include "absl/strings/numbers.h"
#include "lib/base/failure.h"

namespace posthorn::net {
namespace {

using Address = std::array<std::uint8_t, 16>;

// IPv4 as ::ffff:a.b.c.d; false if `ip` is no address.
bool ParseIp(const std::string& ip, Address& address, bool& four) {
  std::uint8_t v4[4];
  four = inet_pton(AF_INET, ip.c_str(), v4) == 1;
  if (!four) return inet_pton(AF_INET6, ip.c_str(), address.data()) == 1;
  address.fill(0);
  address[10] = address[11] = 0xff;
  std::memcpy(address.data() + 12, v4, 4);
  return true;
}

// The first `bits` bits of `address`, the rest 0.
Address Mask(Address address, int bits) {
  for (int i = 0; i < 16; ++i) {
    const int keep = std::min(8, std::max(0, bits - 8 * i));
    address[i] &= static_cast<std::uint8_t>(0xff00 >> keep);
  }
  return address;
}

absl::Status Invalid(std::string_view why) { return MakeFailure(Failure::kInvalidArgument, why); }

}  // namespace

absl::StatusOr<IpNetwork> IpNetwork::Parse(std::string_view cidr) {
  IpNetwork network;
  const std::size_t slash = cidr.find('/');
  bool four = false;
  if (!ParseIp(std::string(cidr.substr(0, slash)), network.network_, four)) {
    return Invalid("not an IP address");
  }
  if (slash != std::string_view::npos) {
    const std::string_view digits = cidr.substr(slash + 1);
    int bits = 0;
    // absl's reading of numbers takes spaces and signs too.
    if (digits.find_first_not_of("0123456789") != std::string_view::npos ||
        !absl::SimpleAtoi(absl::string_view(digits.data(), digits.size()), &bits) ||
        bits > (four ? 32 : 128)) {
      return Invalid("invalid prefix length");
    }
    network.prefix_bits_ = four ? 96 + bits : bits;
  }
  if (Mask(network.network_, network.prefix_bits_) != network.network_) {
    return Invalid("bits are set below the prefix");
  }
  return network;
}

bool IpNetwork::Contains(const std::string& ip) const {
  Address address{};
  bool four = false;
  return ParseIp(ip, address, four) && Mask(address, prefix_bits_) == network_;
}

bool AnyContains(const std::vector<IpNetwork>& networks, const std::string& ip) {
  return std::any_of(networks.begin(), networks.end(),
                     [&ip](const IpNetwork& network) { return network.Contains(ip); });
}

std::string ClientNetwork(const std::string& ip) {
  Address address{};
  bool four = false;
  if (!ParseIp(ip, address, four) || four) return ip;
  const Address network = Mask(address, 64);
  char text[INET6_ADDRSTRLEN];
  return inet_ntop(AF_INET6, network.data(), text, sizeof(text)) != nullptr ? text : ip;
}

}  // namespace posthorn::net
