#ifndef POSTHORN_SERVICES_GATEWAY_WIRING_H_
#define POSTHORN_SERVICES_GATEWAY_WIRING_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace grpc {
class Channel;
}
namespace posthorn::config::v1 {
class Config;
}

namespace posthorn::gateway {

struct BoundSockets;  // bound_sockets.h

// What the gateway gets from the process it runs in.
struct GatewayDependencies {
  std::shared_ptr<grpc::Channel> mailbox;  // the mailbox service
  std::shared_ptr<grpc::Channel> queue;    // the queue service
  std::string service_token;               // carried by every internal call
};

// Opens a socket for every mail listener of `config`, while the process may still bind ports below
// 1024. An error is one line with address, port and key: "cannot listen on 0.0.0.0:25
// (gateway.smtp_listeners[0].port): Address already in use".
absl::StatusOr<BoundSockets> BindListeners(const config::v1::Config& config);

// Where the gateway listens.
struct ListeningAddress {
  std::string key;      // "gateway.smtp_listeners[0].port", "gateway.api_port"
  std::string role;     // "mx", "imaps", ..., "api"
  std::string address;  // "127.0.0.1"
  int port = 0;         // the real one, also where the configuration says 0
};

// The gateway service: SMTP, IMAP, POP3 and the API, on their own threads. After Start the stores
// may still be down: the protocols answer with temporary errors until they are there. Not
// thread-safe, except Ready.
class GatewayServer {
 public:
  // `config` is complete: defaults filled in, paths and the addresses of embedded servers set
  // (tls.*, redis.address, gateway.admin_token_file, gateway.staging_dir). `sockets` are those of
  // BindListeners, one for each listener of the configuration in its order. An error is one line
  // that names the key.
  static absl::StatusOr<std::unique_ptr<GatewayServer>> Start(const config::v1::Config& config,
                                                              BoundSockets sockets,
                                                              GatewayDependencies dependencies);
  ~GatewayServer();  // stops at once

  const std::vector<ListeningAddress>& listeners() const;

  // OK: listeners are open and the mailbox and queue services are connected. Else the reason in
  // one line. Thread-safe, does not block.
  absl::Status Ready() const;

  // Certificates are read again; on an error the old ones stay.
  absl::Status ReloadCertificates();

  // Stops accepting, lets sessions end (idle ones are told: 421, BYE), and returns when all are
  // gone, at the latest after `limit`; what is left is cut off.
  void Drain(absl::Duration limit);

 private:
  struct Impl;
  explicit GatewayServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace posthorn::gateway

#endif  // POSTHORN_SERVICES_GATEWAY_WIRING_H_
