#ifndef POSTHORN_SERVICES_GATEWAY_CLIENTS_COALESCER_H_
#define POSTHORN_SERVICES_GATEWAY_CLIENTS_COALESCER_H_

#include <algorithm>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lib/base/executor.h"
#include "lib/base/one_shot.h"
#include "lib/base/task.h"

namespace posthorn::gateway {

// Sends what concurrent coroutines submit in batches: while `max_in_flight` calls are under way,
// the rest gathers for the next one. A single submission leaves at once. Thread-safe across
// executors; outlives everything submitted.
//
// If a call fails as a whole, what has gathered meanwhile fails with it instead of waiting for its
// own deadline: callers have another way to go (a delivery falls back to the queue).
template <typename Item, typename Result>
class Coalescer {
 public:
  // Answers one result an item, in order; does not throw.
  using Send = std::function<Task<absl::StatusOr<std::vector<Result>>>(std::vector<Item>)>;

  struct Limits {
    int max_in_flight = 2;
    std::size_t max_items = 64;
    std::size_t max_octets = 8 * 1024 * 1024;
  };

  Coalescer(Send send, Limits limits) : send_(std::move(send)), limits_(limits) {}

  // `octets` is about what the item weighs on the wire.
  Task<absl::StatusOr<Result>> Submit(Item item, std::size_t octets) {
    Waiting waiting(std::move(item), octets);
    bool start = false;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      pending_.push_back(&waiting);
      start = in_flight_ < limits_.max_in_flight;
      if (start) ++in_flight_;
    }
    // Posted, not called: what else is ready on this executor joins the batch.
    if (start) Spawn(*Executor::Current(), SendAll());
    co_return co_await waiting.done;
  }

 private:
  struct Waiting {
    Waiting(Item item_in, std::size_t octets_in) : item(std::move(item_in)), octets(octets_in) {}
    Item item;
    std::size_t octets;
    OneShot<absl::StatusOr<Result>> done;
  };

  // Empty: nothing is left, and the caller's place among the calls in flight is free.
  std::vector<Waiting*> TakeBatch() {
    const std::lock_guard<std::mutex> lock(mutex_);
    std::vector<Waiting*> batch;
    std::size_t octets = 0;
    while (!pending_.empty() && batch.size() < limits_.max_items) {
      Waiting* next = pending_.front();
      if (!batch.empty() && octets + next->octets > limits_.max_octets) break;
      octets += next->octets;
      batch.push_back(next);
      pending_.pop_front();
    }
    if (batch.empty()) --in_flight_;
    return batch;
  }

  Task<void> SendAll() {
    for (;;) {
      std::vector<Waiting*> batch = TakeBatch();
      if (batch.empty()) co_return;
      std::vector<Item> items;
      items.reserve(batch.size());
      for (Waiting* waiting : batch) items.push_back(std::move(waiting->item));
      absl::StatusOr<std::vector<Result>> results = co_await send_(std::move(items));
      if (results.ok() && results->size() != batch.size()) {
        results = absl::InternalError("answer has another number of results");
      }
      if (!results.ok()) {
        const std::lock_guard<std::mutex> lock(mutex_);
        batch.insert(batch.end(), pending_.begin(), pending_.end());
        pending_.clear();
      }
      // A waiter may be gone as soon as it is told.
      for (std::size_t i = 0; i < batch.size(); ++i) {
        if (results.ok()) {
          batch[i]->done.Set(std::move((*results)[i]));
        } else {
          batch[i]->done.Set(results.status());
        }
      }
    }
  }

  const Send send_;
  const Limits limits_;
  std::mutex mutex_;
  std::deque<Waiting*> pending_;  // guarded by mutex_; each lives in its Submit
  int in_flight_ = 0;             // guarded by mutex_
};

}  // namespace posthorn::gateway

#endif  // POSTHORN_SERVICES_GATEWAY_CLIENTS_COALESCER_H_
