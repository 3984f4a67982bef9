#include "services/gateway/api/api_server.h"

#include <utility>

#include "lib/rpc/grpc_server.h"
#include "services/gateway/api/admin_service.h"
#include "services/gateway/api/send_service.h"

namespace posthorn::gateway {
namespace {

// Messages arrive whole in gRPC's memory before a handler sees them: a bound for all together.
// Beyond it gRPC stops reading from connections.
constexpr std::size_t kMaxMemoryOctets = 512 * 1024 * 1024;

}  // namespace

struct ApiServer::Impl {
  Impl(const ApiOptions& options, SendHandler& send_handler,
       const std::shared_ptr<grpc::Channel>& mailbox, const std::shared_ptr<grpc::Channel>& queue,
       redis::Lockouts& lockouts, net::LoopPool& loops)
      : send(send_handler, loops, !options.tls.empty()),
        admin(options.admin_token, options.service_token, mailbox, queue, lockouts, loops) {}

  SendService send;
  AdminService admin;
  std::unique_ptr<rpc::Server> server;
};

absl::StatusOr<std::unique_ptr<ApiServer>> ApiServer::Start(net::BoundSocket socket,
                                                            ApiOptions options, SendHandler& send,
                                                            std::shared_ptr<grpc::Channel> mailbox,
                                                            std::shared_ptr<grpc::Channel> queue,
                                                            redis::Lockouts& lockouts,
                                                            net::LoopPool& loops) {
  auto impl = std::make_unique<Impl>(options, send, mailbox, queue, lockouts, loops);
  rpc::ServerOptions server_options;
  server_options.socket.emplace(std::move(socket));
  server_options.tls = options.tls;
  server_options.max_memory_octets = kMaxMemoryOctets;
  absl::StatusOr<std::unique_ptr<rpc::Server>> server =
      rpc::Server::Start({&impl->send, &impl->admin}, std::move(server_options));
  if (!server.ok()) return server.status();
  impl->server = *std::move(server);
  return std::unique_ptr<ApiServer>(new ApiServer(std::move(impl)));
}

ApiServer::ApiServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ApiServer::~ApiServer() = default;

int ApiServer::port() const { return impl_->server->socket_port(); }

void ApiServer::Shutdown(absl::Duration limit) { impl_->server->Shutdown(limit); }

}  // namespace posthorn::gateway
