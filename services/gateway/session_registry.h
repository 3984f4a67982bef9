#ifndef POSTHORN_SERVICES_GATEWAY_SESSION_REGISTRY_H_
#define POSTHORN_SERVICES_GATEWAY_SESSION_REGISTRY_H_

#include <cstddef>
#include <mutex>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "lib/base/executor.h"
#include "lib/net/stream.h"

namespace posthorn::gateway {

// The open connections of all protocols, so that a drain can wait for them and end those that do
// not end themselves. Thread-safe; outlives its entries.
class SessionRegistry {
 public:
  // In the coroutine that owns the session: made before the session runs, destroyed after the
  // stream is gone, both on the stream's executor.
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
  // Closes every stream, on its executor.
  void CloseAll();

 private:
  mutable std::mutex mutex_;
  // Guarded by mutex_.
  absl::flat_hash_map<net::Stream*, Executor*> streams_;
};

}  // namespace posthorn::gateway

#endif  // POSTHORN_SERVICES_GATEWAY_SESSION_REGISTRY_H_
