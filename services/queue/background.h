#ifndef POSTHORN_SERVICES_QUEUE_BACKGROUND_H_
#define POSTHORN_SERVICES_QUEUE_BACKGROUND_H_

#include <atomic>
#include <condition_variable>
#include <list>
#include <memory>
#include <mutex>

#include "absl/time/time.h"
#include "lib/base/executor.h"
#include "lib/base/one_shot.h"
#include "lib/base/task.h"

namespace posthorn::queue {

// Tasks that run by themselves on one executor, and an end that waits for them: after Stop nothing
// of them runs any more, and what they refer to may be destroyed.
class Background {
 public:
  explicit Background(Executor& executor) : executor_(executor) {}
  ~Background() { Stop(); }

  Executor& executor() { return executor_; }

  // Thread-safe. After Stop the task is dropped unrun.
  void Start(Task<void> task);

  // A sleep that Wake or Stop cuts short. For the executor's tasks.
  class Alarm {
   public:
    void Ring();

   private:
    friend class Background;
    OneShot<bool> done_;
    bool rung_ = false;
  };
  // At most one sleeper an `slot`; whoever rings the alarm in it wakes the sleeper.
  Task<void> Sleep(absl::Duration duration, std::shared_ptr<Alarm>* slot = nullptr);

  // True once Stop was called: tasks end soon.
  bool stopping() const { return stopping_.load(std::memory_order_relaxed); }

  // Not on the executor's thread.
  void Stop();

 private:
  Task<void> Run(Task<void> task);

  Executor& executor_;
  std::atomic<bool> stopping_{false};
  std::list<std::weak_ptr<Alarm>> alarms_;  // of the executor

  std::mutex mutex_;
  std::condition_variable ended_;
  int running_ = 0;  // guarded by mutex_
};

}  // namespace posthorn::queue

#endif  // POSTHORN_SERVICES_QUEUE_BACKGROUND_H_
