#ifndef POSTHORN_LIB_POSTGRES_DATABASE_H_
#define POSTHORN_LIB_POSTGRES_DATABASE_H_

#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lib/base/ids.h"
#include "lib/base/one_shot.h"
#include "lib/base/task.h"
#include "lib/postgres/connection.h"
#include "lib/postgres/status.h"

namespace posthorn::postgres {

// The value of a Run or Transact that has none: T = Nothing, return Nothing().
using Nothing = std::monostate;

struct DatabaseOptions {
  ConnectionOptions connection;
  int connections = 4;
  // Calls waiting for a connection; more answer kOverloaded.
  std::size_t max_waiting = 10000;
};

// A pool of connections, each with a thread of its own that runs one function at a time.
// Thread-safe. Opening never fails: while the database is away every call answers kStorageDown at
// once, and connecting is tried again with backoff. Functions run on a pool thread and must not
// touch state of the calling executor; the coroutine continues on its own executor.
class Database {
 public:
  static std::unique_ptr<Database> Open(DatabaseOptions options);
  // Finishes the functions that run, fails those that wait with kShuttingDown.
  ~Database();

  // `fn` uses the connection outside of a transaction or manages its own.
  template <typename T>
  Task<absl::StatusOr<T>> Run(std::function<absl::StatusOr<T>(Connection&)> fn) {
    std::optional<absl::StatusOr<T>> value;
    std::function<absl::Status(Connection&)> work = [&value, &fn](Connection& connection) {
      value.emplace(fn(connection));
      return value->status();
    };
    OneShot<absl::Status> done;
    Submit(std::move(work), false, [&done](absl::Status status) { done.Set(std::move(status)); });
    absl::Status status = co_await done;
    if (!status.ok()) co_return status;
    co_return *std::move(value);
  }

  // `fn` in one transaction with `tenants` set; committed when it returns OK, rolled back when
  // not. On kConflict (deadlock), or when an idle connection turns out to be dead, `fn` runs again
  // from the start, so it must not have effects outside of the transaction. If the outcome of the
  // commit is unknown, the status IsInDoubt.
  template <typename T>
  Task<absl::StatusOr<T>> Transact(std::vector<TenantId> tenants,
                                   std::function<absl::StatusOr<T>(Transaction&)> fn) {
    std::optional<absl::StatusOr<T>> value;
    std::function<absl::Status(Connection&)> work = [&value, &fn, &tenants](Connection& c) {
      Transaction transaction(c, tenants);
      value.emplace(fn(transaction));
      if (!value->ok()) return value->status();
      return transaction.Commit();
    };
    OneShot<absl::Status> done;
    Submit(std::move(work), true, [&done](absl::Status status) { done.Set(std::move(status)); });
    absl::Status status = co_await done;
    if (!status.ok()) co_return status;
    co_return *std::move(value);
  }

  template <typename T>
  Task<absl::StatusOr<T>> TransactFor(TenantId tenant,
                                      std::function<absl::StatusOr<T>(Transaction&)> fn) {
    return Transact<T>(std::vector<TenantId>{tenant}, std::move(fn));
  }

  // One statement in its own transaction with `tenants` set: one round trip.
  Task<absl::StatusOr<Result>> Query(std::vector<TenantId> tenants, std::string sql,
                                     Params params);
  Task<absl::StatusOr<Result>> QueryFor(TenantId tenant, std::string sql, Params params) {
    return Query(std::vector<TenantId>{tenant}, std::move(sql), std::move(params));
  }

  // Connection::ExecSnapshot, again after a conflict.
  Task<absl::StatusOr<std::vector<Result>>> Snapshot(TenantId tenant,
                                                     std::vector<postgres::Query> queries);

  // Whether a connection stands or could be made lately (for readiness checks).
  bool IsUp() const;

 private:
  class Impl;
  explicit Database(std::unique_ptr<Impl> impl);
  void Submit(std::function<absl::Status(Connection&)> work, bool repeatable,
              absl::AnyInvocable<void(absl::Status)> done);

  std::unique_ptr<Impl> impl_;
};

}  // namespace posthorn::postgres

#endif  // POSTHORN_LIB_POSTGRES_DATABASE_H_
