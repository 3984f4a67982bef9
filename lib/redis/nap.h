#ifndef POSTHORN_LIB_REDIS_NAP_H_
#define POSTHORN_LIB_REDIS_NAP_H_

#include <memory>
#include <utility>

#include "absl/time/time.h"
#include "lib/base/one_shot.h"
#include "lib/base/task.h"
#include "lib/net/event_loop.h"

namespace posthorn::redis {

// A sleep that can be cut short, so that whoever stops need not wait for it. Only on its loop.
class Nap {
 public:
  // One at a time.
  Task<void> Sleep(net::EventLoop& loop, absl::Duration duration) {
    auto state = std::make_shared<State>();
    state_ = state;
    loop.PostAfter(duration, [state] { state->Wake(); });
    co_await state->done;
    state_.reset();
  }
  // Who sleeps wakes; otherwise nothing.
  void Wake() {
    if (state_) state_->Wake();
  }

 private:
  struct State {
    void Wake() {
      if (!std::exchange(woken, true)) done.Set(true);
    }
    bool woken = false;
    OneShot<bool> done;
  };
  std::shared_ptr<State> state_;
};

}  // namespace posthorn::redis

#endif  // POSTHORN_LIB_REDIS_NAP_H_
