#include "services/gateway/clients/resolve_cache.h"

#include <utility>

namespace posthorn::gateway {

ResolveCache::ResolveCache(const Clock& clock, absl::Duration max_age, std::size_t max_entries)
    : clock_(clock), max_age_(max_age), max_entries_(max_entries) {}

std::optional<Resolution> ResolveCache::Find(const std::string& address) {
  const absl::Time now = clock_.Now();
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto it = entries_.find(address);
  if (it == entries_.end()) return std::nullopt;
  if (it->second.until <= now) {
    entries_.erase(it);
    return std::nullopt;
  }
  return it->second.resolution;
}

std::uint64_t ResolveCache::Generation() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return generation_;
}

void ResolveCache::Clear() {
  const std::lock_guard<std::mutex> lock(mutex_);
  ++generation_;
  entries_.clear();
}

void ResolveCache::Store(const std::string& address, const Resolution& resolution,
                         std::uint64_t generation) {
  if (resolution.kind != AddressKind::kLocal && resolution.kind != AddressKind::kList) return;
  const absl::Time now = clock_.Now();
  const std::lock_guard<std::mutex> lock(mutex_);
  if (generation != generation_) return;
  if (entries_.size() >= max_entries_) {
    absl::erase_if(entries_, [now](const auto& entry) { return entry.second.until <= now; });
    if (entries_.size() >= max_entries_) entries_.clear();
  }
  entries_.insert_or_assign(address, Entry{resolution, now + max_age_});
}

}  // namespace posthorn::gateway
