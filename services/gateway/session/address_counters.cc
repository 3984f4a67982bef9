#include "services/gateway/session/address_counters.h"

#include <algorithm>
#include <vector>

#include "lib/net/ip_network.h"

namespace posthorn::gateway {

int AddressCounters::Add(const std::string& ip, absl::Time now) {
  if (ip.empty()) return 0;
  const std::string client = net::ClientNetwork(ip);
  const std::lock_guard<std::mutex> lock(mutex_);
  auto it = entries_.find(client);
  if (it == entries_.end()) {
    if (entries_.size() >= max_addresses_) MakeRoom(now);
    it = entries_.try_emplace(client).first;
    it->second.begin = now;
  } else if (now - it->second.begin >= window_) {
    it->second.begin = now;
    it->second.count = 0;
  }
  return ++it->second.count;
}

int AddressCounters::Count(const std::string& ip, absl::Time now) const {
  const std::string client = net::ClientNetwork(ip);
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto it = entries_.find(client);
  return it == entries_.end() || now - it->second.begin >= window_ ? 0 : it->second.count;
}

std::size_t AddressCounters::size() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return entries_.size();
}

void AddressCounters::MakeRoom(absl::Time now) {
  // What is over, and at least the older half, so that a sweep is rare.
  std::vector<absl::Time> begins;
  begins.reserve(entries_.size());
  for (const auto& [ip, entry] : entries_) begins.push_back(entry.begin);
  const auto middle = begins.begin() + static_cast<std::ptrdiff_t>(begins.size() / 2);
  std::nth_element(begins.begin(), middle, begins.end());
  const absl::Time cut = std::max(*middle, now - window_);
  absl::erase_if(entries_, [cut](const auto& item) { return item.second.begin <= cut; });
}

}  // namespace posthorn::gateway
