#include "services/gateway/session/connection_limiter.h"

#include <utility>

#include "lib/base/failure.h"

namespace posthorn::gateway {

ConnectionLimiter::Slot::Slot(ConnectionLimiter* limiter, std::string ip)
    : limiter_(limiter), ip_(std::move(ip)) {}

ConnectionLimiter::Slot::Slot(Slot&& other) noexcept
    : limiter_(std::exchange(other.limiter_, nullptr)), ip_(std::move(other.ip_)) {}

ConnectionLimiter::Slot::~Slot() {
  if (limiter_ != nullptr) limiter_->Release(ip_);
}

ConnectionLimiter::ConnectionLimiter(int max_connections, int max_per_address)
    : max_connections_(max_connections), max_per_address_(max_per_address) {}

absl::StatusOr<ConnectionLimiter::Slot> ConnectionLimiter::Acquire(const std::string& ip) {
  std::lock_guard lock(mutex_);
  if (connections_ >= max_connections_) return MakeFailure(Failure::kTooManyConnections);
  if (!ip.empty()) {
    int& count = by_address_[ip];
    if (count >= max_per_address_) {
      return MakeFailure(Failure::kTooManyConnections, "Too many connections from your address");
    }
    ++count;
  }
  ++connections_;
  return Slot(this, ip);
}

int ConnectionLimiter::connections() const {
  std::lock_guard lock(mutex_);
  return connections_;
}

void ConnectionLimiter::Release(const std::string& ip) {
  std::lock_guard lock(mutex_);
  --connections_;
  if (ip.empty()) return;
  const auto it = by_address_.find(ip);
  if (it != by_address_.end() && --it->second <= 0) by_address_.erase(it);
}

}  // namespace posthorn::gateway
