#include "lib/postgres/database.h"

#include <gtest/gtest.h>

#include "lib/base/failure.h"
#include "lib/postgres/postgres_test.h"
#include "tests/support/test_loop.h"

namespace posthorn::postgres {
namespace {

DatabaseOptions OptionsFor(const std::string& url) {
  DatabaseOptions options;
  options.connection.url = url;
  options.connections = 2;
  return options;
}

TEST(DatabaseTest, TransactsAndRollsBackOnError) {
  testing::TestLoop loop;
  std::unique_ptr<Database> db = Database::Open(OptionsFor(TestServer().NewDatabase()));
  std::function<absl::StatusOr<Nothing>(Connection&)> create = [](Connection& c) {
    absl::Status s = c.ExecScript("CREATE TABLE t (v bigint)");
    return s.ok() ? absl::StatusOr<Nothing>(Nothing()) : s;
  };
  ASSERT_TRUE(loop.Run(db->Run<Nothing>(create)).ok());
  std::function<absl::StatusOr<Nothing>(Transaction&)> fails =
      [](Transaction& t) -> absl::StatusOr<Nothing> {
    absl::StatusOr<Result> r = t.Exec("INSERT INTO t VALUES (1)");
    if (!r.ok()) return r.status();
    return MakeFailure(Failure::kOverQuota);
  };
  EXPECT_EQ(FailureOf(loop.Run(db->Transact<Nothing>({}, fails)).status()), Failure::kOverQuota);
  std::function<absl::StatusOr<int>(Transaction&)> works = [](Transaction& t) -> absl::StatusOr<int> {
    absl::StatusOr<Result> r = t.Exec("INSERT INTO t VALUES (2) RETURNING v");
    if (!r.ok()) return r.status();
    return static_cast<int>(r->Int(0, 0));
  };
  absl::StatusOr<int> worked = loop.Run(db->Transact<int>({}, works));
  ASSERT_TRUE(worked.ok()) << worked.status();
  EXPECT_EQ(*worked, 2);
  absl::StatusOr<Result> rows = loop.Run(db->Query({}, "SELECT array_agg(v) FROM t", {}));
  ASSERT_TRUE(rows.ok());
  EXPECT_EQ(rows->Ints(0, 0), (std::vector<std::int64_t>{2}));
}

TEST(DatabaseTest, AnswersStorageDownAtOnceAndRecovers) {
  testing::TestLoop loop;
  testing::PostgresServer server;
  std::unique_ptr<Database> db = Database::Open(OptionsFor(server.url()));
  EXPECT_TRUE(loop.Run(db->Query({}, "SELECT 1", {})).ok());
  server.Stop();
  for (int i = 0; i < 20; ++i) {
    absl::StatusOr<Result> r = loop.Run(db->Query({}, "SELECT 1", {}));
    EXPECT_EQ(FailureOf(r.status()), Failure::kStorageDown);
  }
  EXPECT_FALSE(db->IsUp());
  server.Start();
  bool recovered = false;
  for (int i = 0; i < 100 && !recovered; ++i) {
    recovered = loop.Run(db->Query({}, "SELECT 1", {})).ok();
    if (!recovered) absl::SleepFor(absl::Milliseconds(50));
  }
  EXPECT_TRUE(recovered);
}

TEST(DatabaseTest, WhatOneConnectionReachesNoneRefuses) {
  testing::TestLoop loop;
  testing::PostgresServer server;
  DatabaseOptions options = OptionsFor(server.url());
  options.connections = 8;
  std::unique_ptr<Database> db = Database::Open(options);
  server.Stop();
  // Enough for every connection to have failed, and for the longest waits.
  for (int i = 0; i < 200; ++i) {
    EXPECT_FALSE(loop.Run(db->Query({}, "SELECT 1", {})).ok());
    absl::SleepFor(absl::Milliseconds(10));
  }
  server.Start();
  bool recovered = false;
  for (int i = 0; i < 100 && !recovered; ++i) {
    recovered = loop.Run(db->Query({}, "SELECT 1", {})).ok();
    if (!recovered) absl::SleepFor(absl::Milliseconds(50));
  }
  ASSERT_TRUE(recovered);
  for (int i = 0; i < 50; ++i) {
    const absl::StatusOr<Result> r = loop.Run(db->Query({}, "SELECT 1", {}));
    EXPECT_TRUE(r.ok()) << i << ": " << r.status();
  }
}

TEST(DatabaseTest, AnIdleConnectionThatDiedIsReplacedUnnoticed) {
  testing::TestLoop loop;
  testing::PostgresServer server;
  std::unique_ptr<Database> db = Database::Open(OptionsFor(server.url()));
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(loop.Run(db->Query({}, "SELECT 1", {})).ok());
  server.Stop();
  server.Start();
  for (int i = 0; i < 4; ++i) {
    absl::StatusOr<Result> r = loop.Run(db->Query({}, "SELECT 1", {}));
    EXPECT_TRUE(r.ok()) << r.status();
  }
}

}  // namespace
}  // namespace posthorn::postgres
