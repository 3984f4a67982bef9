#ifndef POSTHORN_LIB_RPC_ACCEPTOR_H_
#define POSTHORN_LIB_RPC_ACCEPTOR_H_

#include <grpcpp/server_builder.h>

#include <memory>
#include <thread>

#include "lib/net/listener.h"

namespace posthorn::rpc::internal {

// Accepts on a socket that was bound elsewhere, such as before privileges were dropped, and hands
// the connections to a gRPC server. One thread. Stops and joins when destroyed, which must be
// before the server is.
class Acceptor {
 public:
  using Target = grpc::experimental::ExternalConnectionAcceptor;

  // The server that `target` belongs to runs already.
  Acceptor(net::BoundSocket socket, std::unique_ptr<Target> target);
  ~Acceptor();
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;

  int port() const { return port_; }

 private:
  void Run();

  const int port_;
  const int listener_;
  const int wake_;  // readable: stop
  const std::unique_ptr<Target> target_;
  std::thread thread_;
};

}  // namespace posthorn::rpc::internal

#endif  // POSTHORN_LIB_RPC_ACCEPTOR_H_
