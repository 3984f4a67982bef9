#include "lib/postgres/connection.h"

#include <postgresql/libpq-fe.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/base/failure.h"
#include "lib/postgres/status.h"

// A round trip is one pipeline: the statements are sent together, followed by a Sync, and the
// server runs them in order. Statements between two Syncs without BEGIN are one transaction that
// commits at the Sync, and each has its own snapshot.

namespace posthorn::postgres {
namespace {

constexpr char kSetTenants[] = "SELECT set_config('app.t', $1, true)";

absl::Status ErrorOf(const PGresult* result) {
  const char* state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  const char* message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
  if (state == nullptr) return ConnectionLost(PQresultErrorMessage(result));
  return FromSqlState(state, message == nullptr ? "" : message);
}

bool IsError(const PGresult* result) {
  const ExecStatusType status = PQresultStatus(result);
  return status == PGRES_FATAL_ERROR || status == PGRES_BAD_RESPONSE;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Connection>> Connection::Open(const ConnectionOptions& options) {
  const std::string timeout =
      absl::StrCat(std::max<std::int64_t>(2, absl::ToInt64Seconds(options.connect_timeout)));
  const char* keywords[] = {"dbname",           "connect_timeout", "application_name",
                            "client_encoding",  "keepalives_idle", "keepalives_interval",
                            "keepalives_count", nullptr};
  const char* values[] = {options.url.c_str(), timeout.c_str(), options.application_name.c_str(),
                          "UTF8",              "30",            "10",
                          "3",                 nullptr};
  pg_conn* raw = PQconnectdbParams(keywords, values, 1);
  std::unique_ptr<Connection> connection(new Connection(raw));
  if (PQstatus(raw) != CONNECTION_OK) {
    return ConnectionLost(raw == nullptr ? "out of memory" : PQerrorMessage(raw));
  }
  PQsetNoticeProcessor(raw, [](void*, const char*) {}, nullptr);
  std::string setup = absl::StrCat(
      "SET statement_timeout = ", absl::ToInt64Milliseconds(options.statement_timeout),
      "; SET idle_in_transaction_session_timeout = '60s'; SET synchronous_commit = on; SET jit = "
      "off");
  for (const auto& [name, value] : options.settings) {
    absl::StrAppend(&setup, "; SET ", name, " = ", value);
  }
  if (!options.role.empty()) absl::StrAppend(&setup, "; SET ROLE ", options.role);
  absl::Status status = connection->ExecScript(setup);
  if (!status.ok()) return status;
  return connection;
}

Connection::~Connection() { PQfinish(connection_); }

int Connection::backend_pid() const { return PQbackendPID(connection_); }

absl::Status Connection::Lost() {
  broken_ = true;
  return ConnectionLost(PQerrorMessage(connection_));
}

bool Connection::IsAlive() {
  if (broken_ || PQstatus(connection_) != CONNECTION_OK) return false;
  char byte;
  const ssize_t n = recv(PQsocket(connection_), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  if (n > 0) {
    // A notice, or the server's word that it ends this session.
    if (PQconsumeInput(connection_) == 0) broken_ = true;
    PQisBusy(connection_);  // parses what came
    if (PQstatus(connection_) != CONNECTION_OK) broken_ = true;
    const ssize_t after = recv(PQsocket(connection_), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (after == 0) broken_ = true;
    return !broken_;
  }
  if (n == 0 || (errno != EAGAIN && errno != EWOULDBLOCK)) broken_ = true;
  return !broken_;
}

absl::Status Connection::ExecScript(const std::string& sql) {
  PGresult* result = PQexec(connection_, sql.c_str());
  absl::Status status;
  if (result == nullptr || IsError(result)) status = ErrorOf(result);
  PQclear(result);
  if (PQstatus(connection_) != CONNECTION_OK) return Lost();
  return status;
}

absl::Status Connection::Send(const Statement& statement, bool& prepares) {
  prepares = false;
  auto found = prepared_.find(absl::string_view(statement.sql.data(), statement.sql.size()));
  const std::vector<Params::Value>& values = statement.params->values_;
  const int count = static_cast<int>(values.size());
  if (found == prepared_.end()) {
    std::vector<Oid> types;
    for (const Params::Value& value : values) types.push_back(value.type);
    std::string name = absl::StrCat("s", prepared_.size());
    found = prepared_.emplace(std::string(statement.sql), std::move(name)).first;
    prepares = true;
    if (PQsendPrepare(connection_, found->second.c_str(), found->first.c_str(), count,
                      types.data()) != 1) {
      return Lost();
    }
  }
  std::vector<const char*> data(values.size());
  std::vector<int> sizes(values.size());
  std::vector<int> formats(values.size(), 1);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::string_view view = values[i].view();
    data[i] = values[i].null ? nullptr : view.data();
    sizes[i] = static_cast<int>(view.size());
  }
  if (PQsendQueryPrepared(connection_, found->second.c_str(), count, data.data(), sizes.data(),
                          formats.data(), 1) != 1) {
    return Lost();
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Result>> Connection::Pipeline(absl::Span<const Statement> statements,
                                                         Effect effect) {
  if (broken_ || PQenterPipelineMode(connection_) != 1) return Lost();
  std::vector<std::size_t> owner;  // of each expected result: its statement
  std::vector<bool> is_prepare;
  for (std::size_t i = 0; i < statements.size(); ++i) {
    bool prepares = false;
    absl::Status status = Send(statements[i], prepares);
    if (!status.ok()) return status;
    if (prepares) {
      owner.push_back(i);
      is_prepare.push_back(true);
    }
    owner.push_back(i);
    is_prepare.push_back(false);
  }
  if (PQpipelineSync(connection_) != 1) return Lost();

  std::vector<Result> results(statements.size());
  absl::Status error;
  const auto lost = [&]() -> absl::Status {
    broken_ = true;
    const std::string detail = PQerrorMessage(connection_);
    // An error of a statement means that it was not committed. The end of the session can come
    // also after the commit: a server told to stop while it waits for a standby has committed.
    const bool failed_before = !error.ok() && FailureOf(error) != Failure::kStorageDown;
    if (effect == Effect::kCommits && !failed_before) return CommitInDoubt(detail);
    return ConnectionLost(detail);
  };
  for (std::size_t i = 0; i < owner.size(); ++i) {
    PGresult* raw = PQgetResult(connection_);
    if (raw == nullptr) return lost();
    Result result(raw);
    const ExecStatusType status = PQresultStatus(raw);
    const bool aborted = status == PGRES_PIPELINE_ABORTED;
    if (IsError(raw) && PQresultErrorField(raw, PG_DIAG_SQLSTATE) == nullptr) return lost();
    if (error.ok() && IsError(raw)) error = ErrorOf(raw);
    if (is_prepare[i] && (aborted || IsError(raw))) {
      prepared_.erase(absl::string_view(statements[owner[i]].sql.data(),
                                        statements[owner[i]].sql.size()));
    }
    if (!is_prepare[i]) results[owner[i]] = std::move(result);
    PQclear(PQgetResult(connection_));  // the end of this one
    if (PQstatus(connection_) != CONNECTION_OK) return lost();
  }
  PGresult* sync = PQgetResult(connection_);
  const bool synced = sync != nullptr && PQresultStatus(sync) == PGRES_PIPELINE_SYNC;
  if (sync != nullptr && IsError(sync) && error.ok() &&
      PQresultErrorField(sync, PG_DIAG_SQLSTATE) != nullptr) {
    error = ErrorOf(sync);  // the commit itself failed
  }
  PQclear(sync);
  if (!synced) {
    if (error.ok() || PQstatus(connection_) != CONNECTION_OK) return lost();
    PQclear(PQgetResult(connection_));
    PGresult* next = PQgetResult(connection_);
    const bool recovered = next != nullptr && PQresultStatus(next) == PGRES_PIPELINE_SYNC;
    PQclear(next);
    if (!recovered) return lost();
  }
  if (PQexitPipelineMode(connection_) != 1) return lost();
  if (!error.ok()) {
    if (FailureOf(error) == Failure::kStorageDown) return lost();
    return error;
  }
  return results;
}

absl::StatusOr<Result> Connection::Exec(std::string_view sql, const Params& params) {
  const Statement statement{sql, &params};
  absl::StatusOr<std::vector<Result>> results = Pipeline({&statement, 1}, Effect::kCommits);
  if (!results.ok()) return results.status();
  return std::move(results->front());
}

absl::StatusOr<Result> Connection::ExecForTenants(absl::Span<const TenantId> tenants,
                                                  std::string_view sql, const Params& params) {
  const Params setting = Params::Of(TenantArray(tenants));
  const Statement statements[] = {{kSetTenants, &setting}, {sql, &params}};
  absl::StatusOr<std::vector<Result>> results = Pipeline(statements, Effect::kCommits);
  if (!results.ok()) return results.status();
  return std::move(results->back());
}

absl::StatusOr<std::vector<Result>> Connection::ExecSnapshot(absl::Span<const TenantId> tenants,
                                                             absl::Span<const Query> queries) {
  const Params none;
  const Params setting = Params::Of(TenantArray(tenants));
  std::vector<Statement> statements = {{"BEGIN ISOLATION LEVEL REPEATABLE READ", &none},
                                       {kSetTenants, &setting}};
  for (const Query& query : queries) statements.push_back({query.sql, &query.params});
  statements.push_back({"COMMIT", &none});
  absl::StatusOr<std::vector<Result>> results = Pipeline(statements, Effect::kCommits);
  if (!results.ok()) {
    // The error left the transaction open.
    if (!broken_) (void)ExecScript("ROLLBACK");
    return results.status();
  }
  results->erase(results->begin(), results->begin() + 2);
  results->pop_back();
  return results;
}

Transaction::Transaction(Connection& connection, std::vector<TenantId> tenants)
    : connection_(connection), tenants_(std::move(tenants)) {}

Transaction::~Transaction() {
  const bool in_transaction = state_ == State::kOpen || state_ == State::kFailed;
  if (!in_transaction || !connection_.IsAlive()) return;
  if (PQtransactionStatus(connection_.connection_) == PQTRANS_IDLE) return;
  (void)connection_.ExecScript("ROLLBACK");
}

absl::StatusOr<Result> Transaction::Run(std::string_view sql, const Params& params, bool commit) {
  if (state_ != State::kNew && state_ != State::kOpen) {
    return absl::InternalError("statement on a finished transaction");
  }
  const Params none;
  const Params setting = Params::Of(TenantArray(tenants_));
  std::vector<Connection::Statement> statements;
  if (state_ == State::kNew) {
    statements.push_back({"BEGIN", &none});
    statements.push_back({kSetTenants, &setting});
  }
  const std::size_t wanted = statements.size();
  statements.push_back({sql, &params});
  if (commit) statements.push_back({"COMMIT", &none});
  absl::StatusOr<std::vector<Result>> results = connection_.Pipeline(
      statements, commit ? Connection::Effect::kCommits : Connection::Effect::kNone);
  state_ = !results.ok() ? State::kFailed : commit ? State::kCommitted : State::kOpen;
  if (!results.ok()) return results.status();
  return std::move((*results)[wanted]);
}

absl::StatusOr<Result> Transaction::Exec(std::string_view sql, const Params& params) {
  return Run(sql, params, false);
}

absl::StatusOr<Result> Transaction::ExecAndCommit(std::string_view sql, const Params& params) {
  return Run(sql, params, true);
}

absl::Status Transaction::Commit() {
  if (state_ == State::kNew || state_ == State::kCommitted) return absl::OkStatus();
  if (state_ == State::kFailed) return absl::InternalError("commit of a failed transaction");
  const Params none;
  const Connection::Statement statement{"COMMIT", &none};
  absl::StatusOr<std::vector<Result>> result =
      connection_.Pipeline({&statement, 1}, Connection::Effect::kCommits);
  state_ = result.ok() ? State::kCommitted : State::kFailed;
  return result.status();
}

}  // namespace posthorn::postgres
