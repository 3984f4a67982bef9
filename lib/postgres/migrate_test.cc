#include "lib/postgres/migrate.h"

#include <gtest/gtest.h>

#include <thread>

#include "lib/postgres/connection.h"
#include "lib/postgres/postgres_test.h"

namespace posthorn::postgres {
namespace {

const std::vector<Migration> kTwo = {{2, "0002_b", "INSERT INTO a VALUES (2)"},
                                     {1, "0001_a", "CREATE TABLE a (v int); SELECT 1"}};

std::int64_t Count(const std::string& url) {
  ConnectionOptions options;
  options.url = url;
  absl::StatusOr<std::unique_ptr<Connection>> c = Connection::Open(options);
  absl::StatusOr<Result> r = (*c)->Exec("SELECT count(*) FROM a");
  return r.ok() ? r->Int(0, 0) : -1;
}

TEST(MigrateTest, AppliesEachOnceInOrderAlsoWhenRunTwiceAtATime) {
  const std::string url = TestServer().NewDatabase();
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] { EXPECT_TRUE(Migrate(url, kTwo).ok()); });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(Count(url), 1);
}

TEST(MigrateTest, AFailingStepChangesNothing) {
  const std::string url = TestServer().NewDatabase();
  std::vector<Migration> steps = kTwo;
  steps.push_back({3, "0003_c", "INSERT INTO a VALUES (3); SELECT 1 / 0"});
  EXPECT_FALSE(Migrate(url, steps).ok());
  EXPECT_EQ(Count(url), 1);
}

TEST(MigrateTest, RefusesAnAppliedStepThatChanged) {
  const std::string url = TestServer().NewDatabase();
  ASSERT_TRUE(Migrate(url, kTwo).ok());
  std::vector<Migration> changed = kTwo;
  changed[0].sql = "INSERT INTO a VALUES (5)";
  EXPECT_FALSE(Migrate(url, changed).ok());
  EXPECT_FALSE(Migrate(url, {{1, "0001_a", ""}, {1, "0001_b", ""}}).ok());
}

}  // namespace
}  // namespace posthorn::postgres
