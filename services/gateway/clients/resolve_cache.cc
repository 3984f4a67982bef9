#include "services/gateway/clients/resolve_cache.h"

#include <utility>

#include "absl/strings/ascii.h"

namespace posthorn::gateway {
namespace {

constexpr absl::Duration kRemoteAge = absl::Seconds(1);

// What stands for all addresses of a domain: no address begins like this.
std::string DomainKey(const std::string& address) {
  const std::size_t at = address.rfind('@');
  if (at == std::string::npos) return std::string();
  return absl::AsciiStrToLower(address.substr(at));
}

}  // namespace

ResolveCache::ResolveCache(const Clock& clock, absl::Duration max_age, std::size_t max_entries)
    : clock_(clock), max_age_(max_age), max_entries_(max_entries) {}

std::optional<Resolution> ResolveCache::Find(const std::string& address) {
  const absl::Time now = clock_.Now();
  const std::lock_guard<std::mutex> lock(mutex_);
  std::optional<Resolution> found = FindKey(address, now);
  return found.has_value() ? found : FindKey(DomainKey(address), now);
}

std::optional<Resolution> ResolveCache::FindKey(const std::string& key, absl::Time now) {
  const auto it = entries_.find(key);
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
  const bool remote = resolution.kind == AddressKind::kRemote;
  const bool local =
      resolution.kind == AddressKind::kLocal || resolution.kind == AddressKind::kList;
  if (!remote && !local) return;
  const std::string key = remote ? DomainKey(address) : address;
  if (key.empty()) return;
  const absl::Time now = clock_.Now();
  const std::lock_guard<std::mutex> lock(mutex_);
  if (generation != generation_) return;
  if (entries_.size() >= max_entries_) {
    absl::erase_if(entries_, [now](const auto& entry) { return entry.second.until <= now; });
    if (entries_.size() >= max_entries_) entries_.clear();
  }
  entries_.insert_or_assign(key, Entry{resolution, now + (remote ? kRemoteAge : max_age_)});
}

}  // namespace posthorn::gateway
