#ifndef POSTHORN_SERVICES_QUEUE_BACKLOG_H_
#define POSTHORN_SERVICES_QUEUE_BACKLOG_H_

#include <cstdint>
#include <mutex>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "lib/base/ids.h"

namespace posthorn::queue {

// How much may wait; 0: no limit. Octets are those of bodies.
struct BacklogLimits {
  std::int64_t messages = 0;
  std::int64_t octets = 0;
  std::int64_t tenant_messages = 0;
  std::int64_t tenant_octets = 0;

  bool any() const { return messages + octets + tenant_messages + tenant_octets > 0; }
};

// Decides whether another message may be taken: by what PostgreSQL counted last, and what this
// replica has taken since. Costs no statement a message, and concurrent calls of a replica never
// pass a limit together; several replicas may, by what the others take between two counts.
// Thread-safe.
class Backlog {
 public:
  explicit Backlog(BacklogLimits limits) : limits_(limits) {}
  const BacklogLimits& limits() const { return limits_; }

  // Reserves room for a message. kQueueFull: there is none. Whatever becomes of it, Settle follows.
  absl::Status Reserve(TenantId tenant, std::int64_t octets);
  // A message was committed, or not.
  void Settle(TenantId tenant, std::int64_t octets, bool committed);

  struct Count {
    TenantId tenant;
    std::int64_t messages = 0;
    std::int64_t octets = 0;
  };
  // Around a count in PostgreSQL: what is committed in between is in it or not, and is taken to be
  // not, so that the limit errs on the safe side until the next one.
  void BeginCount();
  void EndCount(const std::vector<Count>& counts);

 private:
  struct Tally {
    std::int64_t messages = 0;
    std::int64_t octets = 0;
    void Add(std::int64_t octets_in, std::int64_t sign) {
      messages += sign;
      octets += sign * octets_in;
    }
    void Add(const Tally& other) {
      messages += other.messages;
      octets += other.octets;
    }
  };
  using Tallies = absl::flat_hash_map<TenantId, Tally>;
  bool HasRoom(const Tally& counted, const Tally& added, std::int64_t octets,
               std::int64_t max_messages, std::int64_t max_octets) const;

  const BacklogLimits limits_;
  std::mutex mutex_;
  // All guarded by mutex_.
  Tallies counted_;
  Tallies pending_;       // reserved, not yet settled
  Tallies since_;         // committed since the last count began
  Tallies during_;        // committed since the count under way began
  bool counting_ = false;
  Tally all_counted_, all_pending_, all_since_, all_during_;
};

}  // namespace posthorn::queue

#endif  // POSTHORN_SERVICES_QUEUE_BACKLOG_H_
