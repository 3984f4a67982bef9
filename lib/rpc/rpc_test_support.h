#ifndef POSTHORN_LIB_RPC_RPC_TEST_SUPPORT_H_
#define POSTHORN_LIB_RPC_RPC_TEST_SUPPORT_H_

// For lib/rpc's tests: a loop, services behind a guard, and ways to run a task and wait for it.

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <future>
#include <memory>
#include <string>
#include <utility>

#include "lib/base/task.h"
#include "lib/net/event_loop.h"
#include "lib/rpc/client.h"
#include "lib/rpc/server.h"

namespace posthorn::rpc {

inline constexpr char kToken[] = "the service token";

template <typename T>
Task<void> Deliver(Task<T> task, std::promise<T>& promise) {
  promise.set_value(co_await std::move(task));
}

template <typename T>
T RunOn(Executor& executor, Task<T> task) {
  std::promise<T> promise;
  std::future<T> future = promise.get_future();
  Spawn(executor, Deliver(std::move(task), promise));
  return future.get();
}

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    char path[] = "/tmp/rpc-test-XXXXXX";
    EXPECT_NE(mkdtemp(path), nullptr);
    path_ = path;
  }
  ~TemporaryDirectory() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace posthorn::rpc

#endif  // POSTHORN_LIB_RPC_RPC_TEST_SUPPORT_H_
