#include "services/gateway/session_registry.h"

#include "absl/time/clock.h"

namespace posthorn::gateway {

SessionRegistry::Entry::Entry(SessionRegistry& registry, net::Stream* stream)
    : registry_(registry), stream_(stream) {
  const std::lock_guard<std::mutex> lock(registry_.mutex_);
  registry_.streams_[stream_] = Executor::Current();
}

SessionRegistry::Entry::~Entry() {
  const std::lock_guard<std::mutex> lock(registry_.mutex_);
  registry_.streams_.erase(stream_);
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

void SessionRegistry::CloseAll() {
  const std::lock_guard<std::mutex> lock(mutex_);
  for (const auto& [stream, executor] : streams_) {
    executor->Post([this, stream = stream] {
      // On the stream's executor, so an entry that is still here has its stream.
      const std::lock_guard<std::mutex> inner(mutex_);
      if (streams_.contains(stream)) stream->Close();
    });
  }
}

}  // namespace posthorn::gateway
