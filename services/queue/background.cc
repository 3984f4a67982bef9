#include "services/queue/background.h"

#include <utility>

namespace posthorn::queue {

void Background::Alarm::Ring() {
  if (!std::exchange(rung_, true)) done_.Set(true);
}

void Background::Start(Task<void> task) {
  {
    std::lock_guard lock(mutex_);
    if (stopping_) return;
    ++running_;
  }
  Spawn(executor_, Run(std::move(task)));
}

Task<void> Background::Run(Task<void> task) {
  {
    Task<void> owned = std::move(task);
    co_await std::move(owned);
  }  // and its frame is gone, with all it refers to
  // Under the lock: Stop may destroy this as soon as it sees 0.
  std::lock_guard lock(mutex_);
  if (--running_ == 0) ended_.notify_all();
}

Task<void> Background::Sleep(absl::Duration duration, std::shared_ptr<Alarm>* slot) {
  if (stopping_) co_return;
  auto alarm = std::make_shared<Alarm>();
  alarms_.remove_if([](const std::weak_ptr<Alarm>& known) { return known.expired(); });
  alarms_.push_back(alarm);
  if (slot != nullptr) *slot = alarm;
  std::weak_ptr<Alarm> weak = alarm;
  executor_.PostAfter(duration, [weak] {
    if (const std::shared_ptr<Alarm> due = weak.lock()) due->Ring();
  });
  co_await alarm->done_;
  if (slot != nullptr) slot->reset();
}

void Background::Stop() {
  bool first = false;
  {
    std::lock_guard lock(mutex_);
    first = !stopping_.exchange(true);
    if (first) ++running_;  // what is posted here
  }
  if (first) {
    executor_.Post([this] {
      for (const std::weak_ptr<Alarm>& known : alarms_) {
        if (const std::shared_ptr<Alarm> alarm = known.lock()) alarm->Ring();
      }
      std::lock_guard lock(mutex_);
      if (--running_ == 0) ended_.notify_all();
    });
  }
  std::unique_lock lock(mutex_);
  ended_.wait(lock, [this] { return running_ == 0; });
}

}  // namespace posthorn::queue
