#ifndef POSTHORN_LIB_RPC_GRPC_SERVER_H_
#define POSTHORN_LIB_RPC_GRPC_SERVER_H_

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lib/net/listener.h"
#include "lib/rpc/channel.h"

namespace grpc {
class Service;
}

namespace posthorn::rpc {

struct ServerOptions {
  // "host:port" (port 0 picks one), "unix:/path". Empty: only in-process channels.
  std::vector<std::string> listen;
  // A socket that is bound already, served beside those.
  std::optional<net::BoundSocket> socket;
  // Certificate and key; with a CA, clients need a certificate it signed (mutual TLS). All empty:
  // no TLS. Rotated files are picked up.
  TlsFiles tls;
  // gRPC clients look for new replicas only when a connection ends, so each ends sometime.
  absl::Duration max_connection_age = absl::Minutes(5);
  absl::Duration max_connection_age_grace = absl::Minutes(1);
  // For all messages under way together; beyond it the server stops reading. 0: no bound.
  std::size_t max_memory_octets = 0;
};

// A running gRPC server with the standard health service, which alone answers without a
// credential; the services check theirs (server.h). The services outlive it.
class Server {
 public:
  // An error names the address that could not be bound.
  static absl::StatusOr<std::unique_ptr<Server>> Start(const std::vector<grpc::Service*>& services,
                                                       ServerOptions options);
  ~Server();  // Shutdown at once

  // The port of listen[index]; 0 for a unix socket.
  int port(std::size_t index) const;
  // The port of `socket`; 0 without one.
  int socket_port() const;
  // A channel that crosses no socket. Who calls through it stops before Shutdown: it cuts such
  // calls at once (their handlers still run to their end), and gRPC does not survive later ones.
  std::shared_ptr<grpc::Channel> InProcessChannel();
  // What the health service answers; true after Start.
  void SetServing(bool serving);
  // Takes no more calls, waits up to `limit` for those that run and cancels the rest. Returns when
  // no handler runs any more. Once.
  void Shutdown(absl::Duration limit);

 private:
  struct Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace posthorn::rpc

#endif  // POSTHORN_LIB_RPC_GRPC_SERVER_H_
