#include "lib/base/manual_executor.h"

namespace posthorn {

void ManualExecutor::Post(absl::AnyInvocable<void()> fn) {
  std::lock_guard lock(mutex_);
  ready_.push_back(std::move(fn));
}

void ManualExecutor::PostAfter(absl::Duration delay, absl::AnyInvocable<void()> fn) {
  std::lock_guard lock(mutex_);
  timers_.emplace(elapsed_ + delay, std::move(fn));
}

bool ManualExecutor::RunOne() {
  absl::AnyInvocable<void()> fn;
  {
    std::lock_guard lock(mutex_);
    if (ready_.empty()) return false;
    fn = std::move(ready_.front());
    ready_.pop_front();
  }
  Scope scope(this);
  std::move(fn)();
  return true;
}

void ManualExecutor::RunUntilIdle() {
  while (RunOne()) {
  }
}

void ManualExecutor::Advance(absl::Duration by) {
  RunUntilIdle();
  absl::Duration until;
  {
    std::lock_guard lock(mutex_);
    until = elapsed_ + by;
  }
  for (;;) {
    {
      std::lock_guard lock(mutex_);
      const auto next = timers_.begin();
      if (next == timers_.end() || next->first > until) {
        elapsed_ = until;
        break;
      }
      elapsed_ = next->first;
      ready_.push_back(std::move(next->second));
      timers_.erase(next);
    }
    RunUntilIdle();
  }
}

bool ManualExecutor::RunVoid(Task<void> task) {
  bool done = false;
  struct Runner {
    static Task<void> Go(Task<void> task, bool& done) {
      co_await std::move(task);
      done = true;
    }
  };
  Spawn(*this, Runner::Go(std::move(task), done));
  RunUntilIdle();
  return done;
}

}  // namespace posthorn
