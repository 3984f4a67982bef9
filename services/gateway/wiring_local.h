#ifndef POSTHORN_SERVICES_GATEWAY_WIRING_LOCAL_H_
#define POSTHORN_SERVICES_GATEWAY_WIRING_LOCAL_H_

#include <memory>

#include "absl/status/statusor.h"
#include "lib/base/task.h"
#include "lib/net/event_loop.h"
#include "lib/net/stream.h"
#include "services/gateway/maildrop/pickup.h"
#include "services/gateway/session/session_registry.h"
#include "services/gateway/smtp/server.h"

namespace posthorn::config::v1 {
class Config;
}

namespace posthorn::gateway {

// Mail of users of this machine: over the socket, and what was left while the platform was away. Part
// of the wiring.
class LocalSubmission {
 public:
  // Makes the maildrop; everything in `parts` but the listener is set, and outlives it. nullptr: the
  // configuration names no domain. Errors name the key.
  static absl::StatusOr<std::unique_ptr<LocalSubmission>> Make(const config::v1::Config& config,
                                                               net::EventLoop& loop,
                                                               PickupDependencies parts);
  void Start() { pickup_->Start(); }
  // No more is taken from the maildrop; waits for what is under way, at most `limit`.
  void Stop(absl::Duration limit) { pickup_->Stop(limit); }
  // One connection to the socket.
  Task<void> Serve(SessionRegistry& registry, SmtpServer& server,
                   std::unique_ptr<net::Stream> stream) const;

 private:
  explicit LocalSubmission(SmtpListenerOptions options) : options_(std::move(options)) {}

  const SmtpListenerOptions options_;
  std::shared_ptr<Pickup> pickup_;
};

}  // namespace posthorn::gateway

#endif  // POSTHORN_SERVICES_GATEWAY_WIRING_LOCAL_H_
