#include "services/gateway/smtp/trusted_network.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstring>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "lib/base/failure.h"

namespace posthorn::gateway {
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

absl::Status Invalid(std::string_view text, std::string_view why) {
  return MakeFailure(Failure::kInvalidArgument,
                     absl::StrCat("trusted network \"", absl::string_view(text.data(), text.size()),
                                  "\": ", absl::string_view(why.data(), why.size())));
}

}  // namespace

absl::StatusOr<TrustedNetwork> TrustedNetwork::Parse(std::string_view text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos || equals + 1 == text.size()) {
    return Invalid(text, "needs \"=tenant\"");
  }
  TrustedNetwork network;
  network.tenant_ = std::string(text.substr(equals + 1));
  const std::string_view cidr = text.substr(0, equals);
  const std::size_t slash = cidr.find('/');
  bool four = false;
  if (!ParseIp(std::string(cidr.substr(0, slash)), network.network_, four)) {
    return Invalid(text, "not an IP address");
  }
  if (slash != std::string_view::npos) {
    const std::string_view digits = cidr.substr(slash + 1);
    int bits = 0;
    if (!absl::SimpleAtoi(absl::string_view(digits.data(), digits.size()), &bits) || bits < 0 ||
        bits > (four ? 32 : 128)) {
      return Invalid(text, "invalid prefix length");
    }
    network.prefix_bits_ = four ? 96 + bits : bits;
  }
  if (Mask(network.network_, network.prefix_bits_) != network.network_) {
    return Invalid(text, "bits are set below the prefix");
  }
  return network;
}

bool TrustedNetwork::Contains(const std::string& ip) const {
  Address address{};
  bool four = false;
  return ParseIp(ip, address, four) && Mask(address, prefix_bits_) == network_;
}

}  // namespace posthorn::gateway
