#ifndef POSTHORN_SERVICES_MAILBOX_WIRING_H_
#define POSTHORN_SERVICES_MAILBOX_WIRING_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace grpc {
class Service;
}
namespace posthorn::config::v1 {
class Config;
}

namespace posthorn::mailbox {

// The mailbox service, assembled: directory, mailbox store, local delivery and body collection over
// PostgreSQL, and the gRPC services Directory, Admin (without its queue calls), LocalDelivery,
// Mailboxes and Bodies. Uses config.postgres, config.redis and config.mailbox; postgres.url and
// redis.address must be filled in (with the embedded servers' addresses too; an empty redis.address
// means no change hints). Starts also while PostgreSQL or Redis are away: calls then answer
// kStorageDown. Applies no migrations: see migrations.h.
class MailboxServer {
 public:
  // `service_token` is what callers must present. An error names the wrong configuration key.
  static absl::StatusOr<std::unique_ptr<MailboxServer>> Start(const config::v1::Config& config,
                                                              std::string service_token);
  ~MailboxServer();

  // For the gRPC server; they belong to this object and live as long as it.
  std::vector<grpc::Service*> services();

  // Whether PostgreSQL answers, for readiness. Thread-safe.
  bool IsStorageUp() const;

  // Background work ends; calls are served until the gRPC server shuts down.
  void Drain();
  // After the gRPC server has shut down: stops all threads.
  void Stop();

 private:
  struct Parts;
  explicit MailboxServer(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace posthorn::mailbox

#endif  // POSTHORN_SERVICES_MAILBOX_WIRING_H_
