#ifndef POSTHORN_SERVICES_GATEWAY_SESSION_CONNECTION_LIMITER_H_
#define POSTHORN_SERVICES_GATEWAY_SESSION_CONNECTION_LIMITER_H_

#include <mutex>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"

namespace posthorn::gateway {

// Counts the connections of a gateway, in all and by client address. Thread-safe; outlives its
// slots. Addresses that are empty (unix sockets, memory) count only towards the total.
class ConnectionLimiter {
 public:
  // Frees its place when destroyed.
  class Slot {
   public:
    Slot(Slot&& other) noexcept;
    Slot& operator=(Slot&&) = delete;
    ~Slot();

   private:
    friend class ConnectionLimiter;
    Slot(ConnectionLimiter* limiter, std::string ip);
    ConnectionLimiter* limiter_;
    std::string ip_;
  };

  ConnectionLimiter(int max_connections, int max_per_address);

  // kTooManyConnections when either limit is reached.
  absl::StatusOr<Slot> Acquire(const std::string& ip);
  int connections() const;

 private:
  void Release(const std::string& ip);

  const int max_connections_;
  const int max_per_address_;
  mutable std::mutex mutex_;
  int connections_ = 0;                                // guarded by mutex_
  absl::flat_hash_map<std::string, int> by_address_;   // guarded by mutex_
};

}  // namespace posthorn::gateway

#endif  // POSTHORN_SERVICES_GATEWAY_SESSION_CONNECTION_LIMITER_H_
