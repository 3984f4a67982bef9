#ifndef POSTHORN_LIB_BASE_EXECUTOR_H_
#define POSTHORN_LIB_BASE_EXECUTOR_H_

#include <coroutine>
#include <memory>

#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"

namespace posthorn {

// Runs functions one at a time, in the order posted, on one thread: a coroutine that was started
// on an executor is always resumed there, so the state it owns needs no lock. Post and PostAfter
// may be called from any thread; the executor must outlive everything posted to it. lib/net has
// the real one (EventLoop); unit tests use ManualExecutor.
class Executor {
 public:
  virtual ~Executor() = default;

  virtual void Post(absl::AnyInvocable<void()> fn) = 0;

  // Runs `fn` once, not before `delay` has passed. There is no cancellation: `fn` checks whether
  // it is still wanted.
  virtual void PostAfter(absl::Duration delay, absl::AnyInvocable<void()> fn) = 0;

  // The executor whose function is running on this thread; nullptr outside of one.
  static Executor* Current();

 protected:
  // Implementations hold one of these while they run a posted function.
  class Scope {
   public:
    explicit Scope(Executor* executor);
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    Executor* previous_;
    int previous_depth_;
  };
};

// co_await SleepFor(d): resumes on the same executor after `d`.
class SleepFor {
 public:
  explicit SleepFor(absl::Duration delay) : delay_(delay) {}
  bool await_ready() const noexcept { return delay_ <= absl::ZeroDuration(); }
  void await_suspend(std::coroutine_handle<> handle) const {
    Executor::Current()->PostAfter(delay_, [handle] { handle.resume(); });
  }
  void await_resume() const noexcept {}

 private:
  absl::Duration delay_;
};

// co_await YieldNow(): everything else that is due on this executor has its turn first.
class YieldNow {
 public:
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> handle) const {
    Executor::Current()->Post([handle] { handle.resume(); });
  }
  void await_resume() const noexcept {}
};

// co_await SwitchTo(executor): continues on `executor`.
class SwitchTo {
 public:
  explicit SwitchTo(Executor& executor) : executor_(executor) {}
  bool await_ready() const noexcept { return Executor::Current() == &executor_; }
  void await_suspend(std::coroutine_handle<> handle) const {
    executor_.Post([handle] { handle.resume(); });
  }
  void await_resume() const noexcept {}

 private:
  Executor& executor_;
};

namespace internal {
// Counts completions without a real suspension on this thread; see task.h.
int& SynchronousDepth();
}  // namespace internal

}  // namespace posthorn

#endif  // POSTHORN_LIB_BASE_EXECUTOR_H_
