#ifndef POSTHORN_TESTS_SUPPORT_POSTGRES_FIXTURE_H_
#define POSTHORN_TESTS_SUPPORT_POSTGRES_FIXTURE_H_

#include <sys/types.h>

#include <string>
#include <vector>

#include "lib/postgres/migrate.h"

namespace posthorn::testing {

// A private PostgreSQL on a unix socket in a temporary directory, for one test binary or suite. As
// root it runs as the user postgres. initdb runs once a machine: later servers start from a copy.
// It survives kill -9 of its processes, not of the machine (fsync is off unless `durable`). Ends
// the test run with a message if PostgreSQL cannot be started. Not thread-safe.
class PostgresServer {
 public:
  explicit PostgresServer(bool durable = false);
  ~PostgresServer();  // stops it and removes the directory
  PostgresServer(const PostgresServer&) = delete;
  PostgresServer& operator=(const PostgresServer&) = delete;

  // libpq connection string of the superuser, for the database `postgres` or another.
  std::string url(const std::string& database = "postgres") const;
  // Makes a database with these migrations applied and returns its url. Those with the same
  // migrations are copies of one template and take milliseconds.
  std::string NewDatabase(const std::vector<postgres::Migration>& migrations = {});

  void Start();  // returns when it accepts connections
  void Stop();   // fast shutdown
  void Kill();   // as kill -9 of all its processes

 private:
  std::string directory_;
  bool durable_;
  pid_t pid_ = -1;
  int databases_ = 0;
  std::vector<std::pair<std::string, std::string>> templates_;  // key to database
};

}  // namespace posthorn::testing

#endif  // POSTHORN_TESTS_SUPPORT_POSTGRES_FIXTURE_H_
