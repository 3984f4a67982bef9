#ifndef POSTHORN_TESTS_SUPPORT_TEST_LOOP_H_
#define POSTHORN_TESTS_SUPPORT_TEST_LOOP_H_

#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "absl/time/clock.h"
#include "lib/base/executor.h"
#include "lib/base/task.h"

namespace posthorn::testing {

// For tests with real servers: an executor with a thread of its own, in real time. Run blocks the
// test's thread until the task is done.
class TestLoop final : public Executor {
 public:
  TestLoop() : thread_([this] { Work(); }) {}
  ~TestLoop() override {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

  void Post(absl::AnyInvocable<void()> fn) override {
    {
      std::lock_guard lock(mutex_);
      ready_.push_back(std::move(fn));
    }
    changed_.notify_all();
  }
  void PostAfter(absl::Duration delay, absl::AnyInvocable<void()> fn) override {
    {
      std::lock_guard lock(mutex_);
      timers_.emplace(absl::Now() + delay, std::move(fn));
    }
    changed_.notify_all();
  }

  template <typename T>
  T Run(Task<T> task) {
    std::mutex mutex;
    std::condition_variable done;
    std::optional<T> result;
    absl::AnyInvocable<void(T)> finish = [&](T value) {
      std::lock_guard lock(mutex);
      result.emplace(std::move(value));
      done.notify_all();
    };
    Spawn(*this, Finish(std::move(task), std::move(finish)));
    std::unique_lock lock(mutex);
    done.wait(lock, [&] { return result.has_value(); });
    return *std::move(result);
  }

 private:
  template <typename T>
  static Task<void> Finish(Task<T> task, absl::AnyInvocable<void(T)> finish) {
    T value = co_await std::move(task);
    finish(std::move(value));
  }

  void Work() {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
      while (!timers_.empty() && timers_.begin()->first <= absl::Now()) {
        ready_.push_back(std::move(timers_.begin()->second));
        timers_.erase(timers_.begin());
      }
      if (ready_.empty()) {
        changed_.wait_for(lock, std::chrono::milliseconds(timers_.empty() ? 1000 : 5));
        continue;
      }
      absl::AnyInvocable<void()> fn = std::move(ready_.front());
      ready_.pop_front();
      lock.unlock();
      {
        Scope scope(this);
        fn();
        fn = nullptr;
      }
      lock.lock();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<absl::AnyInvocable<void()>> ready_;
  std::multimap<absl::Time, absl::AnyInvocable<void()>> timers_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace posthorn::testing

#endif  // POSTHORN_TESTS_SUPPORT_TEST_LOOP_H_
