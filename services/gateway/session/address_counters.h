#ifndef POSTHORN_SERVICES_GATEWAY_SESSION_ADDRESS_COUNTERS_H_
#define POSTHORN_SERVICES_GATEWAY_SESSION_ADDRESS_COUNTERS_H_

#include <cstddef>
#include <mutex>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"

namespace posthorn::gateway {

// How often something happened lately, by client (net::ClientNetwork). An address's window begins
// with its first event and is forgotten as a whole when it is over. Bounded: with too many
// addresses the oldest windows go first, in one sweep. Thread-safe.
class AddressCounters {
 public:
  AddressCounters(absl::Duration window, std::size_t max_addresses)
      : window_(window), max_addresses_(max_addresses) {}

  // Counts one more and returns how many there are in the window. Not counted, and 0: an empty
  // address (unix socket, memory).
  int Add(const std::string& ip, absl::Time now);
  int Count(const std::string& ip, absl::Time now) const;
  std::size_t size() const;

 private:
  struct Entry {
    absl::Time begin;
    int count = 0;
  };
  void MakeRoom(absl::Time now);

  const absl::Duration window_;
  const std::size_t max_addresses_;
  mutable std::mutex mutex_;
  absl::flat_hash_map<std::string, Entry> entries_;  // guarded by mutex_
};

}  // namespace posthorn::gateway

#endif  // POSTHORN_SERVICES_GATEWAY_SESSION_ADDRESS_COUNTERS_H_
