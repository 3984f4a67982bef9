#ifndef POSTHORN_LIB_REDIS_CONNECT_H_
#define POSTHORN_LIB_REDIS_CONNECT_H_

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lib/base/task.h"
#include "lib/net/stream.h"
#include "lib/redis/options.h"
#include "lib/redis/reply.h"

namespace posthorn::redis {

// Where a server listens.
struct Endpoint {
  Endpoint() = default;
  Endpoint(std::string host_in, int port_in) : host(std::move(host_in)), port(port_in) {}
  std::string host;  // name or IP address; a path that begins with "/": a unix socket
  int port = 6379;

  std::string ToString() const;  // "host:port", "[address]:port", the path
  friend bool operator==(const Endpoint&, const Endpoint&) = default;
};

// "host:port", "[host]:port" or a path; the port may be left out.
absl::StatusOr<Endpoint> ParseEndpoint(const std::string& address);

// The functions below run on the current loop, and end within a few times options.connect_timeout.

// Connected, with TLS if the options have it, and authenticated as `user`.
Task<absl::StatusOr<std::unique_ptr<net::Stream>>> OpenConnection(const Options& options,
                                                                  Endpoint endpoint,
                                                                  std::string user,
                                                                  std::string password);

// One command on a connection that nobody else uses; an error of the server is a status.
Task<absl::StatusOr<Reply>> Ask(net::Stream& stream, std::vector<std::string> command,
                                absl::Duration timeout);

// Opens a connection, asks, and closes it.
Task<absl::StatusOr<Reply>> AskOnce(const Options& options, Endpoint endpoint, std::string user,
                                    std::string password, std::vector<std::string> command);

// The master that the first sentinel which answers names. `first` is the index of the one to ask
// first, and becomes that of the one that answered. Ends early once `wanted` says no.
Task<absl::StatusOr<Endpoint>> FindMaster(const Options& options, std::size_t& first,
                                          std::function<bool()> wanted);

// Connects to the master. A server that is none (any more), whatever sentinels say, is refused.
Task<absl::StatusOr<std::unique_ptr<net::Stream>>> OpenMaster(const Options& options,
                                                              Endpoint endpoint);

// Connects to a node of a cluster; refused if that node has lost the others.
Task<absl::StatusOr<std::unique_ptr<net::Stream>>> OpenClusterNode(const Options& options,
                                                                   Endpoint endpoint);

}  // namespace posthorn::redis

#endif  // POSTHORN_LIB_REDIS_CONNECT_H_
