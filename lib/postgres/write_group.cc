#include "lib/postgres/write_group.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "absl/time/clock.h"
#include "lib/base/failure.h"
#include "lib/postgres/lazy_connection.h"

namespace posthorn::postgres::internal {

struct GroupCore::Impl {
  using Items = std::vector<std::unique_ptr<Item>>;

  Impl(WriteGroupOptions options_in, Commit commit_in)
      : options(std::move(options_in)), commit(std::move(commit_in)) {
    options.max_group = std::max<std::size_t>(1, options.max_group);
    for (int i = 0; i < std::max(1, options.connections); ++i) {
      threads.emplace_back([this] { Work(); });
    }
  }

  ~Impl() {
    {
      std::lock_guard lock(mutex);
      stopping = true;
    }
    changed.notify_all();
    for (std::thread& thread : threads) thread.join();
    for (std::unique_ptr<Item>& item : waiting) item->Fail(MakeFailure(Failure::kShuttingDown));
  }

  // Takes the next group; empty when stopping. While another group commits, more submissions are
  // awaited for a moment: they would only wait for the disk behind this group.
  Items Take() {
    std::unique_lock lock(mutex);
    changed.wait(lock, [this] { return stopping || !waiting.empty(); });
    changed.wait_until(lock, next_start,
                       [this] { return stopping || waiting.size() >= options.max_group; });
    if (stopping) return {};
    const auto deadline =
        std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(options.max_wait);
    changed.wait_until(lock, deadline, [this] {
      return stopping || committing == 0 || waiting.size() >= options.max_group;
    });
    Items group;
    while (!waiting.empty() && group.size() < options.max_group) {
      group.push_back(std::move(waiting.front()));
      waiting.pop_front();
    }
    if (!group.empty()) {
      ++committing;
      next_start = std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(options.pace);
    }
    return group;
  }

  void Finish(Items busy) {
    const absl::Time now = busy.empty() ? absl::Time() : absl::Now();
    Items expired;
    {
      std::lock_guard lock(mutex);
      --committing;
      for (std::unique_ptr<Item>& item : busy) {
        if (item->first_tried_ == absl::InfinitePast()) item->first_tried_ = now;
        const bool is_late = now - item->first_tried_ > options.busy_timeout;
        (is_late ? expired : retry).push_back(std::move(item));
      }
      // Busy rows lead the next group, so that they don't starve.
      for (; !retry.empty(); retry.pop_back()) waiting.push_front(std::move(retry.back()));
    }
    changed.notify_all();
    for (std::unique_ptr<Item>& item : expired) item->Fail(MakeFailure(Failure::kConflict));
  }

  void Work() {
    LazyConnection connection(options.connection);
    for (;;) {
      Items group = Take();
      if (group.empty()) {
        std::lock_guard lock(mutex);
        if (stopping) return;
        continue;
      }
      Items busy;
      RunGroup(connection, std::move(group), busy);
      const bool only_busy = !busy.empty();
      Finish(std::move(busy));
      // Whoever holds those accounts needs a moment.
      if (only_busy) std::this_thread::sleep_for(std::chrono::microseconds(500));
    }
  }

  void RunGroup(LazyConnection& connection, Items group, Items& busy) {
    absl::Status status = Attempt(connection, group, busy);
    if (status.ok()) return;
    const bool broken = FailureOf(status) == Failure::kStorageDown;
    if (broken || group.size() == 1) {
      for (std::unique_ptr<Item>& item : group) item->Fail(status);
      return;
    }
    for (std::unique_ptr<Item>& item : group) {
      Items alone;
      alone.push_back(std::move(item));
      absl::Status own = Attempt(connection, alone, busy);
      if (!own.ok()) alone.front()->Fail(own);
    }
  }

  // Runs the group, again where that is safe: after a conflict, on a connection that turned out to
  // be dead, and after a commit in doubt if the work is idempotent. On OK `items` are answered or
  // moved to `busy`; on an error they are untouched.
  absl::Status Attempt(LazyConnection& connection, Items& items, Items& busy) {
    std::vector<Item*> pointers;
    for (const std::unique_ptr<Item>& item : items) pointers.push_back(item.get());
    absl::Status status;
    absl::Time give_up = absl::InfiniteFuture();
    for (int attempt = 0; attempt < 5; ++attempt) {
      const bool was_open = connection.IsOpen();
      absl::StatusOr<Connection*> open = connection.Get();
      if (!open.ok()) {
        if (!IsInDoubt(status) || absl::Now() > give_up) return IsInDoubt(status) ? status : open.status();
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
        --attempt;
        continue;
      }
      std::vector<bool> is_busy(items.size(), false);
      status = commit(**open, pointers, is_busy);
      if (status.ok()) {
        for (std::size_t i = 0; i < items.size(); ++i) {
          if (is_busy[i]) busy.push_back(std::move(items[i]));
        }
        return status;
      }
      if (IsInDoubt(status)) {
        if (!options.idempotent) return status;
        if (give_up == absl::InfiniteFuture()) give_up = absl::Now() + options.busy_timeout;
        continue;
      }
      const bool stale = was_open && !(*open)->IsAlive();
      const bool conflict = FailureOf(status) == Failure::kConflict;
      if (!stale && !conflict) return status;
    }
    return status;
  }

  WriteGroupOptions options;
  Commit commit;
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::unique_ptr<Item>> waiting;         // guarded by mutex
  Items retry;                                       // guarded by mutex
  int committing = 0;                                // guarded by mutex
  std::chrono::steady_clock::time_point next_start;  // guarded by mutex
  bool stopping = false;                             // guarded by mutex
  std::vector<std::thread> threads;
};

GroupCore::GroupCore(WriteGroupOptions options, Commit commit)
    : impl_(std::make_unique<Impl>(std::move(options), std::move(commit))) {}

GroupCore::~GroupCore() = default;

void GroupCore::Submit(std::unique_ptr<Item> item) {
  bool accepted = false;
  bool stopping = false;
  {
    std::lock_guard lock(impl_->mutex);
    stopping = impl_->stopping;
    accepted = !stopping && impl_->waiting.size() < impl_->options.max_waiting;
    if (accepted) impl_->waiting.push_back(std::move(item));
  }
  if (accepted) {
    impl_->changed.notify_one();
  } else {
    item->Fail(MakeFailure(stopping ? Failure::kShuttingDown : Failure::kOverloaded));
  }
}

}  // namespace posthorn::postgres::internal
