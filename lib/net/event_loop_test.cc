#include "lib/net/event_loop.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <memory>
#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "lib/base/task.h"

namespace posthorn::net {
namespace {

TEST(EventLoopTest, RunsInTheOrderPostedOnItsOwnThread) {
  EventLoop loop;
  std::vector<int> order;
  std::promise<void> done;
  for (int i = 0; i < 3; ++i) {
    loop.Post([&order, &loop, i] {
      EXPECT_EQ(Executor::Current(), &loop);
      order.push_back(i);
    });
  }
  loop.Post([&done] { done.set_value(); });
  done.get_future().wait();
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2}));
  EXPECT_EQ(Executor::Current(), nullptr);
}

TEST(EventLoopTest, PostAfterWaits) {
  EventLoop loop;
  std::promise<absl::Time> ran;
  const absl::Time start = absl::Now();
  loop.PostAfter(absl::Milliseconds(30), [&ran] { ran.set_value(absl::Now()); });
  EXPECT_GE(ran.get_future().get() - start, absl::Milliseconds(30));
}

TEST(EventLoopTest, WhatIsStillPostedAtTheStopIsDestroyedUnrun) {
  auto flag = std::make_shared<std::atomic<int>>(0);
  {
    EventLoop loop;
    loop.PostAfter(absl::Hours(1), [flag] { ++*flag; });
    loop.PostAfter(absl::InfiniteDuration(), [flag] { ++*flag; });
    loop.Stop();
    loop.Post([flag] { ++*flag; });
  }
  EXPECT_EQ(*flag, 0);
  EXPECT_EQ(flag.use_count(), 1);
}

Task<void> Hop(EventLoop& to, std::promise<bool>& moved) {
  co_await SwitchTo(to);
  moved.set_value(Executor::Current() == &to);
}

TEST(EventLoopTest, CoroutinesMoveBetweenLoops) {
  LoopPool pool(2);
  std::promise<bool> moved;
  Spawn(pool.at(0), Hop(pool.at(1), moved));
  EXPECT_TRUE(moved.get_future().get());
  EXPECT_NE(&pool.Next(), &pool.Next());
}

Task<int> One() { co_return 1; }
Task<void> AwaitMany(int count, std::promise<int>& sum) {
  int total = 0;
  for (int i = 0; i < count; ++i) total += co_await One();
  sum.set_value(total);
}

TEST(EventLoopTest, ManyReadyAwaitsDoNotOverflowTheStack) {
  EventLoop loop;
  std::promise<int> sum;
  Spawn(loop, AwaitMany(300000, sum));
  EXPECT_EQ(sum.get_future().get(), 300000);
}

}  // namespace
}  // namespace posthorn::net
