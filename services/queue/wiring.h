#ifndef POSTHORN_SERVICES_QUEUE_WIRING_H_
#define POSTHORN_SERVICES_QUEUE_WIRING_H_

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

namespace posthorn::queue {

// The queue service, assembled: spool in PostgreSQL, schedule in Redis, reconcilers, and the gRPC
// services Queue and Bodies of the spool. Uses config.postgres, config.redis and config.queue;
// postgres.url and redis.address must be filled in (with the embedded servers' addresses too).
// Starts also while PostgreSQL or Redis are away: calls then answer kStorageDown, and accepts work
// without Redis.
class QueueServer {
 public:
  // `service_token` is what callers must present. An error names the wrong configuration key.
  static absl::StatusOr<std::unique_ptr<QueueServer>> Start(const config::v1::Config& config,
                                                            std::string service_token);
  ~QueueServer();

  // For the gRPC server; they belong to this object and live as long as it.
  std::vector<grpc::Service*> services();

  // Whether PostgreSQL answers, for readiness. Thread-safe.
  bool IsStorageUp() const;

  // Ends waiting leases at once and refuses new ones, so that workers go elsewhere; the rest is
  // served until the gRPC server shuts down.
  void Drain();
  // After the gRPC server has shut down: stops all threads. Nothing is lost: what is leased comes
  // back when its lease ends.
  void Stop();

 private:
  struct Parts;
  explicit QueueServer(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace posthorn::queue

#endif  // POSTHORN_SERVICES_QUEUE_WIRING_H_
