#include "lib/postgres/database.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "lib/base/failure.h"
#include "lib/postgres/lazy_connection.h"

namespace posthorn::postgres {
namespace {

constexpr int kMaxAttempts = 5;
constexpr std::chrono::seconds kProbeEvery(1);

}  // namespace

class Database::Impl {
 public:
  explicit Impl(DatabaseOptions options) : options_(std::move(options)) {
    const int count = std::max(1, options_.connections);
    for (int i = 0; i < count; ++i) threads_.emplace_back([this] { Work(); });
  }

  ~Impl() {
    std::deque<Job> waiting;
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
      waiting.swap(jobs_);
    }
    ready_.notify_all();
    for (Job& job : waiting) job.done(MakeFailure(Failure::kShuttingDown));
    for (std::thread& thread : threads_) thread.join();
  }

  void Submit(std::function<absl::Status(Connection&)> work, bool repeatable,
              absl::AnyInvocable<void(absl::Status)> done) {
    {
      std::lock_guard lock(mutex_);
      if (!stopping_ && jobs_.size() < options_.max_waiting) {
        jobs_.push_back(Job{std::move(work), repeatable, std::move(done)});
        done = nullptr;
      }
    }
    if (done) {
      done(MakeFailure(Failure::kOverloaded));
    } else {
      ready_.notify_one();
    }
  }

  bool IsUp() const { return up_.load(std::memory_order_relaxed); }

 private:
  struct Job {
    std::function<absl::Status(Connection&)> work;
    bool repeatable;
    absl::AnyInvocable<void(absl::Status)> done;
  };

  void Work() {
    LazyConnection connection(options_.connection);
    Probe(connection);
    for (;;) {
      std::unique_lock lock(mutex_);
      const bool wanted = ready_.wait_for(lock, kProbeEvery,
                                          [this] { return stopping_ || !jobs_.empty(); });
      if (!wanted) {
        lock.unlock();
        Probe(connection);
        continue;
      }
      if (jobs_.empty()) return;
      Job job = std::move(jobs_.front());
      jobs_.pop_front();
      lock.unlock();
      absl::Status status = RunJob(job, connection);
      job.work = nullptr;
      job.done(std::move(status));
    }
  }

  // Readiness asks a pool that may have nothing to do.
  void Probe(LazyConnection& connection) { (void)Reach(connection); }

  // A connection that waits after a failure tries at once where another of the pool got through:
  // what that one answers, this one must not refuse.
  absl::StatusOr<Connection*> Reach(LazyConnection& connection) {
    const bool was_open = connection.IsOpen();
    if (!was_open && up_.load(std::memory_order_relaxed)) connection.EndBackoff();
    absl::StatusOr<Connection*> open = connection.Get();
    up_.store(open.ok(), std::memory_order_relaxed);
    return open;
  }

  absl::Status RunJob(const Job& job, LazyConnection& connection) {
    absl::Status status;
    for (int attempt = 0; attempt < kMaxAttempts; ++attempt) {
      const bool was_open = connection.IsOpen();
      absl::StatusOr<Connection*> open = Reach(connection);
      if (!open.ok()) return open.status();
      status = job.work(**open);
      if (status.ok() || !job.repeatable || IsInDoubt(status)) return status;
      const bool stale = was_open && !(*open)->IsAlive();
      const bool conflict = FailureOf(status) == Failure::kConflict && !SqlState(status).empty();
      if (!stale && !conflict) return status;
    }
    return status;
  }

  const DatabaseOptions options_;
  std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<Job> jobs_;   // guarded by mutex_
  bool stopping_ = false;  // guarded by mutex_
  std::atomic<bool> up_{false};
  std::vector<std::thread> threads_;
};

std::unique_ptr<Database> Database::Open(DatabaseOptions options) {
  return std::unique_ptr<Database>(new Database(std::make_unique<Impl>(std::move(options))));
}

Database::Database(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Database::~Database() = default;

void Database::Submit(std::function<absl::Status(Connection&)> work, bool repeatable,
                      absl::AnyInvocable<void(absl::Status)> done) {
  impl_->Submit(std::move(work), repeatable, std::move(done));
}

Task<absl::StatusOr<Result>> Database::Query(std::vector<TenantId> tenants, std::string sql,
                                             Params params) {
  std::function<absl::StatusOr<Result>(Connection&)> query = [&](Connection& connection) {
    return connection.ExecForTenants(tenants, sql, params);
  };
  absl::StatusOr<Result> result = co_await Run<Result>(std::move(query));
  co_return result;
}

Task<absl::StatusOr<std::vector<Result>>> Database::Snapshot(TenantId tenant,
                                                             std::vector<postgres::Query> queries) {
  std::optional<absl::StatusOr<std::vector<Result>>> results;
  const TenantId tenants[] = {tenant};
  std::function<absl::Status(Connection&)> work = [&](Connection& connection) {
    results.emplace(connection.ExecSnapshot(tenants, queries));
    return results->status();
  };
  OneShot<absl::Status> done;
  Submit(std::move(work), true, [&done](absl::Status status) { done.Set(std::move(status)); });
  absl::Status status = co_await done;
  if (!status.ok()) co_return status;
  co_return *std::move(results);
}

bool Database::IsUp() const { return impl_->IsUp(); }

}  // namespace posthorn::postgres
