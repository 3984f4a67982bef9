#ifndef POSTHORN_LIB_POSTGRES_CONNECTION_H_
#define POSTHORN_LIB_POSTGRES_CONNECTION_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "lib/base/ids.h"
#include "lib/postgres/params.h"
#include "lib/postgres/result.h"

struct pg_conn;
struct pg_result;

namespace posthorn::postgres {

// How to connect. `url` is a libpq connection string or URI.
struct ConnectionOptions {
  std::string url;
  // SET ROLE after connecting: the service's role, which owns nothing and cannot bypass row-level
  // security, whatever the login role may be. Empty: none.
  std::string role;
  std::string application_name = "posthorn";
  absl::Duration statement_timeout = absl::Seconds(30);
  absl::Duration connect_timeout = absl::Seconds(5);
  // More settings for the session: {"enable_seqscan", "off"}.
  std::vector<std::pair<std::string, std::string>> settings;
};

struct Query {
  Query(std::string sql_in, Params params_in)
      : sql(std::move(sql_in)), params(std::move(params_in)) {}
  std::string sql;
  Params params;
};

// One connection to PostgreSQL over libpq, blocking, for one thread at a time. Statements are
// prepared once and run with binary arguments and results. After ConnectionLost it is broken for
// good: open another.
class Connection {
 public:
  static absl::StatusOr<std::unique_ptr<Connection>> Open(const ConnectionOptions& options);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // One statement in its own transaction, without tenants.
  absl::StatusOr<Result> Exec(std::string_view sql, const Params& params = {});
  // One statement in its own transaction with the tenants set: one round trip.
  absl::StatusOr<Result> ExecForTenants(absl::Span<const TenantId> tenants, std::string_view sql,
                                        const Params& params);
  // Several statements that see one snapshot (REPEATABLE READ, read and write) in one transaction
  // and one round trip; a result each. kConflict: somebody changed a row that they wanted to change.
  absl::StatusOr<std::vector<Result>> ExecSnapshot(absl::Span<const TenantId> tenants,
                                                   absl::Span<const Query> queries);
  // Statements separated by semicolons, text protocol, no results (migrations, SET).
  absl::Status ExecScript(const std::string& sql);

  // False once the connection is known to be lost; also notices a server that went away while the
  // connection was idle.
  bool IsAlive();
  int backend_pid() const;

 private:
  friend class Transaction;
  struct Statement {
    std::string_view sql;
    const Params* params;
  };
  enum class Effect { kNone, kCommits };

  explicit Connection(pg_conn* connection) : connection_(connection) {}
  // Runs the statements in one round trip and returns their results. The first error ends the
  // rest. With kCommits a loss after sending is in doubt.
  absl::StatusOr<std::vector<Result>> Pipeline(absl::Span<const Statement> statements,
                                               Effect effect);
  absl::Status Send(const Statement& statement, bool& prepares);
  absl::Status Lost();

  pg_conn* connection_;
  bool broken_ = false;
  absl::flat_hash_map<std::string, std::string> prepared_;  // SQL to statement name
};

// A transaction with tenants set (app.t) from BEGIN to COMMIT, READ COMMITTED. BEGIN and the
// setting travel with the first statement. Rolls back when destroyed uncommitted. After an error
// only destruction is left.
class Transaction {
 public:
  Transaction(Connection& connection, std::vector<TenantId> tenants);
  ~Transaction();
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;

  absl::StatusOr<Result> Exec(std::string_view sql, const Params& params = {});
  // As Exec, with COMMIT in the same round trip.
  absl::StatusOr<Result> ExecAndCommit(std::string_view sql, const Params& params = {});
  // An error here with IsInDoubt says that the outcome is unknown. Without a statement before it
  // does nothing; after ExecAndCommit too.
  absl::Status Commit();

 private:
  absl::StatusOr<Result> Run(std::string_view sql, const Params& params, bool commit);

  Connection& connection_;
  std::vector<TenantId> tenants_;
  enum class State { kNew, kOpen, kCommitted, kFailed } state_ = State::kNew;
};

}  // namespace posthorn::postgres

#endif  // POSTHORN_LIB_POSTGRES_CONNECTION_H_
