#include "lib/net/event_loop.h"

#include <boost/asio/post.hpp>

#include <algorithm>
#include <chrono>

#include "absl/time/time.h"
#include "lib/net/event_loop_impl.h"

namespace posthorn::net {

EventLoop::EventLoop() : impl_(std::make_unique<Impl>(*this)) {
  impl_->thread = std::thread([impl = impl_.get()] { impl->io.run(); });
}

EventLoop::~EventLoop() { Stop(); }

void EventLoop::Post(absl::AnyInvocable<void()> fn) {
  boost::asio::post(impl_->io, [impl = impl_.get(), fn = std::move(fn)]() mutable {
    impl->Enter(fn);
  });
}

void EventLoop::PostAfter(absl::Duration delay, absl::AnyInvocable<void()> fn) {
  // An endless delay would overflow the clock.
  delay = std::min(delay, absl::Hours(24 * 365));
  auto timer = std::make_unique<boost::asio::steady_timer>(impl_->io);
  timer->expires_after(absl::ToChronoNanoseconds(delay));
  boost::asio::steady_timer& waiting = *timer;
  waiting.async_wait([impl = impl_.get(), timer = std::move(timer),
                      fn = std::move(fn)](const boost::system::error_code& error) mutable {
    if (!error) impl->Enter(fn);
  });
}

void EventLoop::Stop() {
  impl_->io.stop();
  if (impl_->thread.joinable() && impl_->thread.get_id() != std::this_thread::get_id()) {
    impl_->thread.join();
  }
}

LoopPool::LoopPool(int threads) {
  loops_.reserve(static_cast<std::size_t>(std::max(threads, 1)));
  for (int i = 0; i < std::max(threads, 1); ++i) loops_.push_back(std::make_unique<EventLoop>());
}

LoopPool::~LoopPool() { Stop(); }

EventLoop& LoopPool::Next() {
  return *loops_[next_.fetch_add(1, std::memory_order_relaxed) % loops_.size()];
}

void LoopPool::Stop() {
  for (const std::unique_ptr<EventLoop>& loop : loops_) loop->Stop();
}

}  // namespace posthorn::net
