#include "services/gateway/session/session_registry.h"

#include "absl/time/clock.h"

namespace posthorn::gateway {

SessionRegistry::Entry::Entry(SessionRegistry& registry, net::Stream* stream)
    : registry_(registry), stream_(stream) {
  const std::lock_guard<std::mutex> lock(registry_.mutex_);
  registry_.streams_[stream_] = Executor::Current();
  if (registry_.gauge_ != nullptr) registry_.gauge_->Increment();
}

SessionRegistry::Entry::~Entry() {
  const std::lock_guard<std::mutex> lock(registry_.mutex_);
  registry_.streams_.erase(stream_);
  if (registry_.gauge_ != nullptr) registry_.gauge_->Decrement();
}

std::size_t SessionRegistry::size() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return streams_.size();
}

bool SessionRegistry::WaitUntilEmpty(absl::Duration limit) const {
  const absl::Time end = absl::Now() + limit;
  while (size() != 0) {
    if (absl::Now() >= end) return false;
    absl::SleepFor(absl::Milliseconds(5));
  }
  return true;
}

void SessionRegistry::InterruptAll() {
  ForEach([](net::Stream& stream) { stream.Interrupt(); });
}

void SessionRegistry::CloseAll() {
  ForEach([](net::Stream& stream) { stream.Close(); });
}

void SessionRegistry::ForEach(void (*action)(net::Stream&)) {
  const std::lock_guard<std::mutex> lock(mutex_);
  for (const auto& [stream, executor] : streams_) {
    executor->Post([this, action, stream = stream] {
      bool open = false;
      {
        const std::lock_guard<std::mutex> inner(mutex_);
        open = streams_.contains(stream);
      }
      // Entries leave on this executor only, so this one stays.
      if (open) action(*stream);
    });
  }
}

}  // namespace posthorn::gateway
