#ifndef POSTHORN_SERVICES_QUEUE_QUEUE_TEST_BASE_H_
#define POSTHORN_SERVICES_QUEUE_QUEUE_TEST_BASE_H_

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "lib/base/clock.h"
#include "lib/net/event_loop.h"
#include "lib/postgres/connection.h"
#include "services/queue/core.h"
#include "tests/support/postgres_fixture.h"
#include "tests/support/redis_fixture.h"

namespace posthorn::queue {

// Stands still until told, for any thread.
class TestClock final : public Clock {
 public:
  explicit TestClock(absl::Time start) : micros_(absl::ToUnixMicros(start)) {}
  absl::Time Now() const override { return absl::FromUnixMicros(micros_.load()); }
  void Advance(absl::Duration by) { micros_ += absl::ToInt64Microseconds(by); }

 private:
  std::atomic<std::int64_t> micros_;
};

// One replica of the queue. Time in the queue is the test's; waiting is real.
class Replica {
 public:
  Replica(const Clock& clock, Core::Options options) : core_(loop_, clock, std::move(options)) {}

  Core& core() { return core_; }
  net::EventLoop& caller() { return caller_; }

  // Runs a task as an RPC would and waits for its value.
  template <typename T>
  T Run(Task<T> task) {
    std::promise<T> promise;
    Spawn(caller_, Fulfil(std::move(task), promise));
    return promise.get_future().get();
  }

  Accepted Enqueue(Message message);
  absl::Status TryEnqueue(Message message);
  std::vector<LeasedJob> Lease(int max = 100, absl::Duration wait = absl::ZeroDuration());
  void Report(std::vector<JobReport> reports);
  std::vector<QueuedMessage> List(Filter filter = {});
  Reconciler::Pass Reconcile();

 private:
  template <typename T>
  static Task<void> Fulfil(Task<T> task, std::promise<T>& promise) {
    promise.set_value(co_await std::move(task));
  }
  Task<bool> Settled();

  net::EventLoop loop_;
  net::EventLoop caller_;
  Core core_;
};

// A fresh database and Redis for each test, and one replica. The reconciler runs when asked.
class QueueTest : public ::testing::Test {
 protected:
  QueueTest();
  ~QueueTest() override;

  Core::Options Options() const;
  // Another replica on the same stores.
  std::unique_ptr<Replica> Another();
  static testing::PostgresServer& Postgres();
  // A connection of the superuser, who sees everything.
  std::int64_t Count(const std::string& sql);
  std::unique_ptr<postgres::Connection> Superuser();

  // From a@sender.test to these, with a body of its own.
  static Message To(std::vector<std::string> addresses, std::int64_t tenant = 1);
  // A report of the job's attempt with one outcome for all its recipients.
  static JobReport Outcome(const LeasedJob& job, RecipientState outcome,
                           absl::Time retry_at = absl::InfinitePast());

  std::string url_;
  testing::RedisServer redis_server_;
  TestClock clock_;
  std::unique_ptr<Replica> queue_;
};

template <typename Condition>
bool Eventually(Condition condition) {
  for (int i = 0; i < 4000; ++i) {
    if (condition()) return true;
    absl::SleepFor(absl::Milliseconds(5));
  }
  return false;
}

}  // namespace posthorn::queue

#endif  // POSTHORN_SERVICES_QUEUE_QUEUE_TEST_BASE_H_
