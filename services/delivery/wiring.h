#ifndef POSTHORN_SERVICES_DELIVERY_WIRING_H_
#define POSTHORN_SERVICES_DELIVERY_WIRING_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace grpc {
class Channel;
class Service;
}  // namespace grpc

namespace posthorn::config::v1 {
class Config;
}

namespace posthorn::delivery {

// The delivery service of one process: workers that lease jobs from the queue and carry them to
// other mail servers or into mailboxes. It holds no state that outlives it: killed at any instant,
// its leases end and another worker takes over. Thread-safe. Serves no RPC of its own.
class DeliveryServer {
 public:
  // `queue` reaches Queue and Bodies of the queue service; `mailbox` reaches Directory,
  // LocalDelivery and Bodies of the mailbox service. A service that can't be reached is waited for
  // with backoff, so the start needs neither. An error names the configuration key.
  static absl::StatusOr<std::unique_ptr<DeliveryServer>> Start(
      const config::v1::Config& config, std::shared_ptr<grpc::Channel> queue,
      std::shared_ptr<grpc::Channel> mailbox, std::string service_token);
  ~DeliveryServer();  // stops
  DeliveryServer(const DeliveryServer&) = delete;
  DeliveryServer& operator=(const DeliveryServer&) = delete;

  // Empty: for symmetry with the other services.
  std::vector<grpc::Service*> services() { return {}; }

  // Leases nothing more, and waits up to `grace` for what is under way to be reported.
  void Drain(absl::Duration grace = absl::Seconds(10));
  // Drops what is under way (its leases end by themselves) and ends the threads.
  void Stop();

 private:
  struct Impl;
  explicit DeliveryServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace posthorn::delivery

#endif  // POSTHORN_SERVICES_DELIVERY_WIRING_H_
