#ifndef POSTHORN_SERVICES_GATEWAY_API_API_SERVER_H_
#define POSTHORN_SERVICES_GATEWAY_API_API_SERVER_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lib/net/event_loop.h"
#include "lib/net/listener.h"
#include "lib/redis/lockouts.h"
#include "lib/rpc/channel.h"
#include "services/gateway/api/send_handler.h"

namespace posthorn::gateway {

struct ApiOptions {
  rpc::TlsFiles tls;  // empty: clear text
  std::string admin_token;
  std::string service_token;  // for the calls that are forwarded
};

// The API: posthorn.send.v1 with API keys, posthorn.admin.v1 with the administrator token,
// and gRPC's health service without a credential. Calls run on the loops; what it is given outlives
// it.
class ApiServer {
 public:
  static absl::StatusOr<std::unique_ptr<ApiServer>> Start(
      net::BoundSocket socket, ApiOptions options, SendHandler& send,
      std::shared_ptr<grpc::Channel> mailbox, std::shared_ptr<grpc::Channel> queue,
      redis::Lockouts& lockouts, net::LoopPool& loops);
  ~ApiServer();

  int port() const;
  // Takes no more calls and waits for those that run. Once, while the loops run.
  void Shutdown(absl::Duration limit);

 private:
  struct Impl;
  explicit ApiServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace posthorn::gateway

#endif  // POSTHORN_SERVICES_GATEWAY_API_API_SERVER_H_
