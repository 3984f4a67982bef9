#ifndef POSTHORN_SERVICES_MAILBOX_WHEN_ALL_H_
#define POSTHORN_SERVICES_MAILBOX_WHEN_ALL_H_

#include <memory>
#include <utility>
#include <vector>

#include "lib/base/executor.h"
#include "lib/base/one_shot.h"
#include "lib/base/task.h"

namespace posthorn::mailbox {

namespace internal {
struct Countdown {
  std::size_t left = 0;  // only touched on the executor
  OneShot<bool> done;
};
inline Task<void> RunAndCount(Task<void> task, Countdown& countdown) {
  co_await std::move(task);
  if (--countdown.left == 0) countdown.done.Set(true);
}
}  // namespace internal

// Runs the tasks side by side on the current executor and returns when all have ended.
inline Task<void> WhenAll(std::vector<Task<void>> tasks) {
  if (tasks.empty()) co_return;
  internal::Countdown countdown;
  countdown.left = tasks.size();
  for (Task<void>& task : tasks) {
    Spawn(*Executor::Current(), internal::RunAndCount(std::move(task), countdown));
  }
  co_await countdown.done;
}

}  // namespace posthorn::mailbox

#endif  // POSTHORN_SERVICES_MAILBOX_WHEN_ALL_H_
