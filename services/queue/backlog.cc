#include "services/queue/backlog.h"

#include <utility>

#include "lib/base/failure.h"

namespace posthorn::queue {

bool Backlog::HasRoom(const Tally& counted, const Tally& added, std::int64_t octets,
                      std::int64_t max_messages, std::int64_t max_octets) const {
  if (max_messages > 0 && counted.messages + added.messages + 1 > max_messages) return false;
  return max_octets <= 0 || counted.octets + added.octets + octets <= max_octets;
}

absl::Status Backlog::Reserve(TenantId tenant, std::int64_t octets) {
  if (!limits_.any()) return absl::OkStatus();
  const std::lock_guard lock(mutex_);
  Tally added = since_[tenant];
  added.Add(pending_[tenant]);
  Tally all_added = all_since_;
  all_added.Add(all_pending_);
  if (!HasRoom(counted_[tenant], added, octets, limits_.tenant_messages, limits_.tenant_octets) ||
      !HasRoom(all_counted_, all_added, octets, limits_.messages, limits_.octets)) {
    return MakeFailure(Failure::kQueueFull);
  }
  pending_[tenant].Add(octets, 1);
  all_pending_.Add(octets, 1);
  return absl::OkStatus();
}

void Backlog::Settle(TenantId tenant, std::int64_t octets, bool committed) {
  if (!limits_.any()) return;
  const std::lock_guard lock(mutex_);
  pending_[tenant].Add(octets, -1);
  all_pending_.Add(octets, -1);
  if (!committed) return;
  since_[tenant].Add(octets, 1);
  all_since_.Add(octets, 1);
  if (!counting_) return;
  during_[tenant].Add(octets, 1);
  all_during_.Add(octets, 1);
}

void Backlog::BeginCount() {
  const std::lock_guard lock(mutex_);
  counting_ = true;
  during_.clear();
  all_during_ = Tally();
}

void Backlog::EndCount(const std::vector<Count>& counts) {
  const std::lock_guard lock(mutex_);
  counted_.clear();
  all_counted_ = Tally();
  for (const Count& count : counts) {
    Tally& tally = counted_[count.tenant];
    tally.messages = count.messages;
    tally.octets = count.octets;
    all_counted_.Add(tally);
  }
  since_ = std::exchange(during_, Tallies());
  all_since_ = std::exchange(all_during_, Tally());
  counting_ = false;
  for (auto it = pending_.begin(); it != pending_.end();) {
    if (it->second.messages == 0) {
      pending_.erase(it++);
    } else {
      ++it;
    }
  }
}

}  // namespace posthorn::queue
