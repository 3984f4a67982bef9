#ifndef POSTHORN_LIB_RPC_SIGNAL_H_
#define POSTHORN_LIB_RPC_SIGNAL_H_

#include <coroutine>
#include <memory>
#include <mutex>

#include "lib/base/executor.h"

namespace posthorn::rpc::internal {

// An event between gRPC's threads and one coroutine, which continues on its own executor. Unlike a
// OneShot it is used again and again, and the coroutine may be destroyed while it waits.
// Lives in a shared_ptr, because a resumption may be under way when the coroutine is destroyed.
class Signal : public std::enable_shared_from_this<Signal> {
 public:
  // Thread-safe. Wakes the coroutine that waits, or else the next one that does.
  void Notify();

  // co_await signal.Wait(): until Notify, which it consumes. One waiter at a time. Destroying the
  // coroutine that waits is allowed on its executor.
  class Awaiter {
   public:
    explicit Awaiter(Signal& signal) : signal_(signal) {}
    ~Awaiter() {
      if (suspended_) signal_.Abandon();
    }
    Awaiter(const Awaiter&) = delete;
    Awaiter& operator=(const Awaiter&) = delete;
    bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<> handle) {
      suspended_ = true;  // before: another thread may resume and destroy this at once
      if (signal_.Suspend(handle)) return true;
      suspended_ = false;
      return false;
    }
    void await_resume() noexcept { suspended_ = false; }

   private:
    Signal& signal_;
    bool suspended_ = false;
  };
  Awaiter Wait() { return Awaiter(*this); }

  // Nothing will be resumed until the next Wait. On the waiter's executor.
  void Abandon();

 private:
  bool Suspend(std::coroutine_handle<> handle);
  void Resume();

  std::mutex mutex_;
  bool notified_ = false;                // guarded by mutex_
  std::coroutine_handle<> waiter_;       // guarded by mutex_
  Executor* executor_ = nullptr;         // guarded by mutex_
};

}  // namespace posthorn::rpc::internal

#endif  // POSTHORN_LIB_RPC_SIGNAL_H_
