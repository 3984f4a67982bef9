#ifndef POSTHORN_LIB_REDIS_OPTIONS_H_
#define POSTHORN_LIB_REDIS_OPTIONS_H_

#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "lib/net/tls.h"

namespace posthorn::redis {

enum class Topology {
  kStandalone,
  kSentinel,  // `addresses` are sentinels, which know the master
  kCluster,   // `addresses` are some nodes, which know all
};

// How to reach Redis. Addresses are "host:port", "[address]:port" or the path of a unix socket; a
// name is looked up at every connection, and each of its addresses tried.
struct Options {
  Options() = default;
  Options(std::string address_in, std::string password_in)
      : address(std::move(address_in)), password(std::move(password_in)) {}

  Topology topology = Topology::kStandalone;
  std::string address;                 // kStandalone
  std::vector<std::string> addresses;  // the others: at least one
  std::string user;                    // empty: the default user
  std::string password;                // empty: none

  // Null: no TLS. For every connection but those to unix sockets; files are read again for each.
  std::shared_ptr<net::TlsContext> tls;
  // What certificates must name. Empty: the host of the address that is connected to.
  std::string tls_server_name;

  std::string master_name;  // kSentinel, as are these
  std::string sentinel_user;
  std::string sentinel_password;
  // How often sentinels are asked whether the master is still the one.
  absl::Duration master_check = absl::Seconds(2);

  absl::Duration connect_timeout = absl::Seconds(2);
  // A command without an answer for this long breaks the connection. In a cluster it is also how
  // long a command waits for a slot that is moving.
  absl::Duration command_timeout = absl::Seconds(5);
  absl::Duration max_backoff = absl::Seconds(1);  // between attempts to connect; starts at 20 ms
  std::size_t max_pending = 100000;               // commands waiting; more answer kOverloaded
};

}  // namespace posthorn::redis

#endif  // POSTHORN_LIB_REDIS_OPTIONS_H_
