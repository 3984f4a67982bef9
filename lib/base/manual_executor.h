#ifndef POSTHORN_LIB_BASE_MANUAL_EXECUTOR_H_
#define POSTHORN_LIB_BASE_MANUAL_EXECUTOR_H_

#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <utility>

#include "lib/base/executor.h"
#include "lib/base/task.h"

namespace posthorn {

// For unit tests: runs what was posted when the test says so, with a time of its own, so that a
// test of timeouts takes no time. Post is thread-safe, the rest belongs to the test's thread.
class ManualExecutor final : public Executor {
 public:
  void Post(absl::AnyInvocable<void()> fn) override;
  void PostAfter(absl::Duration delay, absl::AnyInvocable<void()> fn) override;

  // Runs until nothing is ready.
  void RunUntilIdle();
  // Moves time forward and runs what becomes due, in order.
  void Advance(absl::Duration by);

  // Runs `task` and returns its value; nullopt if it still waits when nothing is ready.
  template <typename T>
  std::optional<T> Run(Task<T> task) {
    std::optional<T> result;
    Spawn(*this, Store(std::move(task), result));
    RunUntilIdle();
    return result;
  }
  // As Run, for a task without a value: whether it finished.
  bool RunVoid(Task<void> task);

 private:
  template <typename T>
  static Task<void> Store(Task<T> task, std::optional<T>& result) {
    result.emplace(co_await std::move(task));
  }
  bool RunOne();

  std::mutex mutex_;
  std::deque<absl::AnyInvocable<void()>> ready_;                       // guarded by mutex_
  std::multimap<absl::Duration, absl::AnyInvocable<void()>> timers_;   // guarded by mutex_
  absl::Duration elapsed_ = absl::ZeroDuration();                      // guarded by mutex_
};

}  // namespace posthorn

#endif  // POSTHORN_LIB_BASE_MANUAL_EXECUTOR_H_
