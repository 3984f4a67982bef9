#ifndef POSTHORN_LIB_REDIS_REDIS_TEST_SUPPORT_H_
#define POSTHORN_LIB_REDIS_REDIS_TEST_SUPPORT_H_

#include <future>
#include <utility>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "lib/base/task.h"
#include "lib/net/event_loop.h"

namespace posthorn::redis {

template <typename T>
Task<void> Fulfil(Task<T> task, std::promise<T>& promise) {
  promise.set_value(co_await std::move(task));
}

// Runs `task` on `loop` and waits for its value.
template <typename T>
T RunOn(net::EventLoop& loop, Task<T> task) {
  std::promise<T> promise;
  Spawn(loop, Fulfil(std::move(task), promise));
  return promise.get_future().get();
}

template <typename Condition>
bool Eventually(Condition condition) {
  const absl::Time until = absl::Now() + absl::Seconds(20);
  while (absl::Now() < until) {
    if (condition()) return true;
    absl::SleepFor(absl::Milliseconds(5));
  }
  return false;
}

}  // namespace posthorn::redis

#endif  // POSTHORN_LIB_REDIS_REDIS_TEST_SUPPORT_H_
