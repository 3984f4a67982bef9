#ifndef POSTHORN_LIB_NET_EVENT_LOOP_H_
#define POSTHORN_LIB_NET_EVENT_LOOP_H_

#include <atomic>
#include <cstddef>
#include <memory>
#include <vector>

#include "lib/base/executor.h"

namespace posthorn::net {

// One thread with one Boost.Asio io_context: the executor all network coroutines run on. A session
// stays on the loop that accepted it, so session state needs no lock. Create, then use from any
// thread through Post; Stop ends the thread after the function that is running (what is still
// posted is destroyed unrun). The destructor stops and joins.
class EventLoop final : public Executor {
 public:
  EventLoop();
  ~EventLoop() override;
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  void Post(absl::AnyInvocable<void()> fn) override;
  void PostAfter(absl::Duration delay, absl::AnyInvocable<void()> fn) override;
  void Stop();

  // For lib/net only: the Asio context.
  struct Impl;
  Impl& impl() { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

// A fixed set of loops, handed out in turn. Thread-safe.
class LoopPool {
 public:
  explicit LoopPool(int threads);  // at least 1
  ~LoopPool();
  EventLoop& Next();
  EventLoop& at(std::size_t index) { return *loops_[index]; }
  std::size_t size() const { return loops_.size(); }
  void Stop();

 private:
  std::vector<std::unique_ptr<EventLoop>> loops_;
  std::atomic<std::size_t> next_{0};
};

}  // namespace posthorn::net

#endif  // POSTHORN_LIB_NET_EVENT_LOOP_H_
