#ifndef POSTHORN_SERVICES_DELIVERY_HOST_ACCESS_H_
#define POSTHORN_SERVICES_DELIVERY_HOST_ACCESS_H_

#include <optional>
#include <string>
#include <string_view>

#include "services/delivery/tls_rule.h"

namespace posthorn::delivery {

enum class Protocol {
  kSmtp,
  kSmtps,  // TLS from the start (RFC 8314 section 3.3)
  kLmtp,   // RFC 2033
};

// How somebody has said that the servers of a route want to be talked to.
struct HostAccess {
  std::optional<TlsLevel> tls;  // not set: as to any other server
  std::string username;         // empty: without a login
  std::string password;
};

// "off", "opportunistic", "required", "verified"; nullopt: none of them, or empty.
std::optional<TlsLevel> TlsLevelFrom(std::string_view text);

}  // namespace posthorn::delivery

#endif  // POSTHORN_SERVICES_DELIVERY_HOST_ACCESS_H_
