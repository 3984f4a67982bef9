#ifndef POSTHORN_SERVICES_GATEWAY_SESSION_SESSION_REGISTRY_H_
#define POSTHORN_SERVICES_GATEWAY_SESSION_SESSION_REGISTRY_H_

#include <cstddef>
#include <mutex>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "lib/base/executor.h"
#include "lib/net/stream.h"
#include "lib/telemetry/metrics.h"

namespace posthorn::gateway {

// The open connections of a server, so that a drain can tell them, wait for them, and end those
// that do not end themselves. Thread-safe; outlives its entries.
class SessionRegistry {
 public:
  // `gauge`, if any, shows how many there are.
  explicit SessionRegistry(metrics::Gauge* gauge = nullptr) : gauge_(gauge) {}

  // In the coroutine that owns the stream: made before the session runs, destroyed when it has
  // ended, both on the stream's executor.
  class Entry {
   public:
    Entry(SessionRegistry& registry, net::Stream* stream);
    ~Entry();
    Entry(const Entry&) = delete;
    Entry& operator=(const Entry&) = delete;

   private:
    SessionRegistry& registry_;
    net::Stream* const stream_;
  };

  std::size_t size() const;
  // Waits until there is none, at most `limit`; true if so. Not on an executor.
  bool WaitUntilEmpty(absl::Duration limit) const;
  // Interrupts what every session waits for, so that it looks around: is the server draining?
  void InterruptAll();
  // Closes every stream.
  void CloseAll();

 private:
  // On each stream's executor.
  void ForEach(void (*action)(net::Stream&));

  metrics::Gauge* const gauge_;
  mutable std::mutex mutex_;
  // Guarded by mutex_.
  absl::flat_hash_map<net::Stream*, Executor*> streams_;
};

}  // namespace posthorn::gateway

#endif  // POSTHORN_SERVICES_GATEWAY_SESSION_SESSION_REGISTRY_H_
