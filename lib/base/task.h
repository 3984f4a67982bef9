#ifndef POSTHORN_LIB_BASE_TASK_H_
#define POSTHORN_LIB_BASE_TASK_H_

#include <coroutine>
#include <cstdlib>
#include <exception>
#include <functional>
#include <optional>
#include <utility>

#include "lib/base/executor.h"

// The only coroutine type of the project.
//
// A Task is lazy: nothing runs until it is awaited, or handed to Spawn. It is awaited at most once
// and owns its frame, so destroying an unfinished Task that has been started is only allowed while
// it is suspended with nothing left that would resume it. A coroutine owns its parameters: pass by
// value, or by reference only to the object that owns the coroutine, and say so.
//
// Exceptions do not cross tasks: one that leaves a coroutine body ends the process, because
// adapters turn them into absl::Status (see ARCHITECTURE.md).
//
// g++ 12 destroys an aggregate temporary or a capturing lambda twice when it appears in the same
// expression as co_await. Name it first and std::move it; tests/lint looks for the rest.

namespace posthorn {

template <typename T = void>
class Task;

namespace internal {

// Symmetric transfer is no tail call in debug and ASan builds, so a long run of awaits that
// complete at once would overflow the stack. After this many the chain goes through the executor.
inline constexpr int kMaxSynchronousCompletions = 64;

class PromiseBase {
 public:
  std::suspend_always initial_suspend() noexcept { return {}; }
  void unhandled_exception() noexcept { std::terminate(); }
  void SetContinuation(std::coroutine_handle<> continuation) noexcept {
    continuation_ = continuation;
  }

 protected:
  struct FinalAwaiter {
    bool await_ready() const noexcept { return false; }
    template <typename Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> handle) noexcept {
      std::coroutine_handle<> next = handle.promise().continuation_;
      if (!next) return std::noop_coroutine();
      int& depth = SynchronousDepth();
      Executor* executor = Executor::Current();
      if (++depth >= kMaxSynchronousCompletions && executor != nullptr) {
        depth = 0;
        executor->Post([next] { next.resume(); });
        return std::noop_coroutine();
      }
      return next;
    }
    void await_resume() const noexcept {}
  };

  std::coroutine_handle<> continuation_;
};

template <typename T>
class Promise final : public PromiseBase {
 public:
  Task<T> get_return_object() noexcept;
  FinalAwaiter final_suspend() noexcept { return {}; }
  template <typename U>
  void return_value(U&& value) {
    value_.emplace(std::forward<U>(value));
  }
  T TakeValue() { return *std::move(value_); }

 private:
  friend PromiseBase::FinalAwaiter;
  std::optional<T> value_;
};

template <>
class Promise<void> final : public PromiseBase {
 public:
  Task<void> get_return_object() noexcept;
  FinalAwaiter final_suspend() noexcept { return {}; }
  void return_void() noexcept {}
  void TakeValue() noexcept {}

 private:
  friend PromiseBase::FinalAwaiter;
};

}  // namespace internal

template <typename T>
class [[nodiscard]] Task {
 public:
  using promise_type = internal::Promise<T>;

  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Task& operator=(Task&& other) noexcept {
    if (this != &other) {
      if (handle_) handle_.destroy();
      handle_ = std::exchange(other.handle_, nullptr);
    }
    return *this;
  }
  ~Task() {
    if (handle_) handle_.destroy();
  }

  bool await_ready() const noexcept { return false; }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> continuation) noexcept {
    handle_.promise().SetContinuation(continuation);
    return handle_;
  }
  T await_resume() { return handle_.promise().TakeValue(); }

 private:
  friend promise_type;
  explicit Task(std::coroutine_handle<promise_type> handle) noexcept : handle_(handle) {}

  std::coroutine_handle<promise_type> handle_;
};

namespace internal {

template <typename T>
Task<T> Promise<T>::get_return_object() noexcept {
  return Task<T>(std::coroutine_handle<Promise<T>>::from_promise(*this));
}
inline Task<void> Promise<void>::get_return_object() noexcept {
  return Task<void>(std::coroutine_handle<Promise<void>>::from_promise(*this));
}

// Owns itself from start to end.
struct Detached {
  struct promise_type {
    Detached get_return_object() noexcept { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() noexcept {}
    void unhandled_exception() noexcept { std::terminate(); }
  };
};

inline Detached RunDetached(Task<void> task) { co_await std::move(task); }

}  // namespace internal

// Starts `task` on `executor` and lets it run to its end on its own. Whoever spawns must make sure
// that what the task refers to lives that long.
inline void Spawn(Executor& executor, Task<void> task) {
  executor.Post([task = std::move(task)]() mutable { internal::RunDetached(std::move(task)); });
}

}  // namespace posthorn

#endif  // POSTHORN_LIB_BASE_TASK_H_
