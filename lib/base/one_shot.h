#ifndef POSTHORN_LIB_BASE_ONE_SHOT_H_
#define POSTHORN_LIB_BASE_ONE_SHOT_H_

#include <atomic>
#include <coroutine>
#include <optional>
#include <utility>

#include "lib/base/executor.h"

namespace posthorn {

// Suspends until somebody calls Set; then the awaiter continues on the executor it was suspended
// on. Set may come before the await, from any thread, once. The OneShot must outlive both.
// It adapts callback APIs: pass a OneShot's Set as the callback and co_await the OneShot.
template <typename T>
class OneShot {
 public:
  OneShot() = default;
  OneShot(const OneShot&) = delete;
  OneShot& operator=(const OneShot&) = delete;

  // Thread-safe, at most once. The OneShot may be destroyed by its awaiter as soon as this has
  // published the value, so nothing here touches it afterwards.
  void Set(T value) {
    value_.emplace(std::move(value));
    if (state_.exchange(kSet, std::memory_order_acq_rel) == kAwaited) {
      executor_->Post([handle = handle_] { handle.resume(); });
    }
  }

  bool await_ready() const noexcept { return state_.load(std::memory_order_acquire) == kSet; }
  bool await_suspend(std::coroutine_handle<> handle) {
    handle_ = handle;
    executor_ = Executor::Current();
    int expected = kEmpty;
    return state_.compare_exchange_strong(expected, kAwaited, std::memory_order_acq_rel);
  }
  T await_resume() { return *std::move(value_); }

 private:
  enum : int { kEmpty, kAwaited, kSet };

  std::atomic<int> state_{kEmpty};
  std::optional<T> value_;
  std::coroutine_handle<> handle_;
  Executor* executor_ = nullptr;
};

}  // namespace posthorn

#endif  // POSTHORN_LIB_BASE_ONE_SHOT_H_
