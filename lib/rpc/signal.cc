#include "lib/rpc/signal.h"

#include <utility>

namespace posthorn::rpc::internal {

void Signal::Notify() {
  Executor* executor = nullptr;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (notified_) return;
    notified_ = true;
    if (!waiter_) return;
    executor = executor_;
  }
  executor->Post([self = shared_from_this()] { self->Resume(); });
}

bool Signal::Suspend(std::coroutine_handle<> handle) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (notified_) {
    notified_ = false;
    return false;
  }
  waiter_ = handle;
  executor_ = Executor::Current();
  return true;
}

void Signal::Resume() {
  std::coroutine_handle<> waiter;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    waiter = std::exchange(waiter_, nullptr);
    if (waiter) notified_ = false;
  }
  if (waiter) waiter.resume();
}

void Signal::Abandon() {
  const std::lock_guard<std::mutex> lock(mutex_);
  waiter_ = nullptr;
}

}  // namespace posthorn::rpc::internal
