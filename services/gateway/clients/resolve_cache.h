#ifndef POSTHORN_SERVICES_GATEWAY_CLIENTS_RESOLVE_CACHE_H_
#define POSTHORN_SERVICES_GATEWAY_CLIENTS_RESOLVE_CACHE_H_

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "lib/base/clock.h"
#include "services/gateway/clients/directory.h"

namespace posthorn::gateway {

// Keeps where mail for local addresses goes for a few seconds, and for a second which domains are
// not ours, so that a burst asks once. Nothing is kept of addresses that don't exist: one that is
// added works at once, in a new domain within that second. Thread-safe.
class ResolveCache {
 public:
  ResolveCache(const Clock& clock, absl::Duration max_age, std::size_t max_entries);

  std::optional<Resolution> Find(const std::string& address);
  // `generation`: what Generation said before the question was asked. An answer that was under way
  // while the cache was cleared is not kept.
  void Store(const std::string& address, const Resolution& resolution, std::uint64_t generation);
  std::uint64_t Generation() const;
  void Clear();

 private:
  struct Entry {
    Resolution resolution;
    absl::Time until;
  };

  std::optional<Resolution> FindKey(const std::string& key, absl::Time now);

  const Clock& clock_;
  const absl::Duration max_age_;
  const std::size_t max_entries_;
  mutable std::mutex mutex_;
  std::uint64_t generation_ = 0;                     // guarded by mutex_
  absl::flat_hash_map<std::string, Entry> entries_;  // by address, or "@domain"; guarded by mutex_
};

}  // namespace posthorn::gateway

#endif  // POSTHORN_SERVICES_GATEWAY_CLIENTS_RESOLVE_CACHE_H_
