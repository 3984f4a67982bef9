#include "lib/postgres/write_group.h"

#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <thread>

#include "absl/strings/str_cat.h"
#include "lib/base/failure.h"
#include "lib/postgres/postgres_test.h"
#include "tests/support/test_loop.h"

namespace posthorn::postgres {
namespace {

struct Row {
  explicit Row(std::int64_t value_in) : value(value_in) {}
  std::int64_t value;
};
using Group = WriteGroup<Row, std::int64_t>;
using Results = std::vector<std::optional<absl::StatusOr<std::int64_t>>>;

std::string DatabaseWithTable() {
  const std::string url = TestServer().NewDatabase();
  ConnectionOptions options;
  options.url = url;
  absl::StatusOr<std::unique_ptr<Connection>> c = Connection::Open(options);
  EXPECT_TRUE(c.ok()) << c.status();
  EXPECT_TRUE((*c)->ExecScript("CREATE TABLE t (v bigint CHECK (v <> 13))").ok());
  return url;
}

std::vector<std::int64_t> Rows(const std::string& url) {
  ConnectionOptions options;
  options.url = url;
  absl::StatusOr<std::unique_ptr<Connection>> c = Connection::Open(options);
  EXPECT_TRUE(c.ok()) << c.status();
  absl::StatusOr<Result> r = (*c)->Exec("SELECT coalesce(array_agg(v ORDER BY v), '{}') FROM t");
  EXPECT_TRUE(r.ok()) << r.status();
  return r->Ints(0, 0);
}

absl::StatusOr<Results> InsertAll(Connection& c, absl::Span<Row* const> rows) {
  std::vector<std::int64_t> values;
  for (const Row* row : rows) values.push_back(row->value);
  Params params;
  params.AddInts(values);
  Transaction t(c, {});
  absl::StatusOr<Result> r = t.ExecAndCommit("INSERT INTO t SELECT unnest($1)", params);
  if (!r.ok()) return r.status();
  Results results;
  for (const Row* row : rows) results.emplace_back(row->value);
  return results;
}

// Submits `values` at once and returns their results in order.
std::vector<absl::StatusOr<std::int64_t>> SubmitAll(Group& group,
                                                    const std::vector<std::int64_t>& values) {
  std::vector<absl::StatusOr<std::int64_t>> results(values.size(), absl::UnknownError("pending"));
  testing::TestLoop loop;
  std::atomic<std::size_t> left{values.size()};
  struct Runner {
    static Task<void> Run(Group& group, std::int64_t value, absl::StatusOr<std::int64_t>& result,
                          std::atomic<std::size_t>& left) {
      Row row(value);
      result = co_await group.Submit(std::move(row));
      --left;
    }
  };
  for (std::size_t i = 0; i < values.size(); ++i) {
    Spawn(loop, Runner::Run(group, values[i], results[i], left));
  }
  while (left > 0) absl::SleepFor(absl::Milliseconds(1));
  return results;
}

WriteGroupOptions OptionsFor(const std::string& url) {
  WriteGroupOptions options;
  options.connection.url = url;
  return options;
}

TEST(WriteGroupTest, SharesTransactionsAndAnswersEverybody) {
  const std::string url = DatabaseWithTable();
  std::atomic<int> groups{0};
  Group group(OptionsFor(url), [&](Connection& c, absl::Span<Row* const> rows) {
    ++groups;
    EXPECT_LE(rows.size(), 64u);
    return InsertAll(c, rows);
  });
  std::vector<std::int64_t> values;
  for (int i = 100; i < 1100; ++i) values.push_back(i);
  std::vector<absl::StatusOr<std::int64_t>> results = SubmitAll(group, values);
  for (std::size_t i = 0; i < values.size(); ++i) {
    ASSERT_TRUE(results[i].ok()) << results[i].status();
    EXPECT_EQ(*results[i], values[i]);
  }
  EXPECT_EQ(Rows(url), values);
  EXPECT_LT(groups, 300);
}

TEST(WriteGroupTest, StartsAGroupNoSoonerAfterTheLastThanItsPace) {
  WriteGroupOptions options = OptionsFor(DatabaseWithTable());
  options.pace = absl::Milliseconds(300);
  Group group(options, InsertAll);
  const absl::Time before = absl::Now();
  SubmitAll(group, {100, 101, 102});
  SubmitAll(group, {103});
  EXPECT_GE(absl::Now() - before, options.pace);
}

TEST(WriteGroupTest, ABadRowFailsAlone) {
  const std::string url = DatabaseWithTable();
  Group group(OptionsFor(url), InsertAll);
  std::vector<absl::StatusOr<std::int64_t>> results = SubmitAll(group, {11, 12, 13, 14});
  EXPECT_TRUE(results[0].ok());
  EXPECT_TRUE(results[1].ok());
  EXPECT_EQ(SqlState(results[2].status()), "23514");
  EXPECT_TRUE(results[3].ok());
  EXPECT_EQ(Rows(url), (std::vector<std::int64_t>{11, 12, 14}));
}

TEST(WriteGroupTest, BusyRowsGoToTheNextGroup) {
  const std::string url = DatabaseWithTable();
  std::atomic<int> calls{0};
  Group group(OptionsFor(url), [&](Connection& c, absl::Span<Row* const> rows) {
    const bool first = ++calls < 4;
    std::vector<Row*> ready;
    for (Row* row : rows) {
      if (!first || row->value != 2) ready.push_back(row);
    }
    absl::StatusOr<Results> inserted = InsertAll(c, ready);
    if (!inserted.ok()) return inserted;
    Results results;
    for (Row* row : rows) {
      if (first && row->value == 2) {
        results.emplace_back();
      } else {
        results.emplace_back(row->value);
      }
    }
    return absl::StatusOr<Results>(std::move(results));
  });
  for (const auto& result : SubmitAll(group, {1, 2, 3})) EXPECT_TRUE(result.ok());
  EXPECT_EQ(Rows(url), (std::vector<std::int64_t>{1, 2, 3}));
}

TEST(WriteGroupTest, RowsThatStayBusyEndInAConflict) {
  const std::string url = DatabaseWithTable();
  WriteGroupOptions options = OptionsFor(url);
  options.busy_timeout = absl::Milliseconds(20);
  Group group(options, [](Connection&, absl::Span<Row* const> rows) {
    return absl::StatusOr<Results>(Results(rows.size()));
  });
  EXPECT_EQ(FailureOf(SubmitAll(group, {1})[0].status()), Failure::kConflict);
}

TEST(WriteGroupTest, RunsAgainAfterALostConnectionWhenIdempotent) {
  const std::string url = DatabaseWithTable();
  WriteGroupOptions options = OptionsFor(url);
  options.idempotent = true;
  std::atomic<int> calls{0};
  Group group(options, [&](Connection& c, absl::Span<Row* const> rows) -> absl::StatusOr<Results> {
    if (++calls == 1) {
      absl::StatusOr<Result> r = c.Exec("SELECT pg_terminate_backend(pg_backend_pid())");
      EXPECT_TRUE(IsInDoubt(r.status())) << r.status();
      return r.status();
    }
    return InsertAll(c, rows);
  });
  for (const auto& result : SubmitAll(group, {1, 2})) EXPECT_TRUE(result.ok()) << result.status();
}

TEST(WriteGroupTest, SaysThatTheOutcomeIsInDoubtWhenNotIdempotent) {
  const std::string url = DatabaseWithTable();
  Group group(OptionsFor(url), [](Connection& c, absl::Span<Row* const>) -> absl::StatusOr<Results> {
    return c.Exec("SELECT pg_terminate_backend(pg_backend_pid())").status();
  });
  EXPECT_TRUE(IsInDoubt(SubmitAll(group, {1})[0].status()));
}

}  // namespace
}  // namespace posthorn::postgres
