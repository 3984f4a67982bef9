#ifndef POSTHORN_LIB_NET_EVENT_LOOP_IMPL_H_
#define POSTHORN_LIB_NET_EVENT_LOOP_IMPL_H_

// For lib/net's own .cc files only: Asio costs seconds to compile.

#include <boost/asio/io_context.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/steady_timer.hpp>

#include <thread>
#include <utility>

#include "lib/net/event_loop.h"

namespace posthorn::net {

struct EventLoop::Impl {
  explicit Impl(EventLoop& owner) : loop(owner) {}

  // Asio handlers run their body through this, so that Executor::Current() is right in it.
  template <typename Fn>
  void Enter(Fn&& fn) {
    const Scope scope(&loop);
    std::forward<Fn>(fn)();
  }

  EventLoop& loop;
  boost::asio::io_context io{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work{io.get_executor()};
  std::thread thread;
};

}  // namespace posthorn::net

#endif  // POSTHORN_LIB_NET_EVENT_LOOP_IMPL_H_
