#include "lib/postgres/connection.h"

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "lib/base/failure.h"
#include "lib/postgres/postgres_test.h"
#include "lib/postgres/status.h"

namespace posthorn::postgres {
namespace {

std::unique_ptr<Connection> OpenSuperuser() {
  ConnectionOptions options;
  options.url = TestServer().url();
  absl::StatusOr<std::unique_ptr<Connection>> connection = Connection::Open(options);
  EXPECT_TRUE(connection.ok()) << connection.status();
  return *std::move(connection);
}

TEST(ConnectionTest, CarriesEveryTypeBothWays) {
  std::unique_ptr<Connection> c = OpenSuperuser();
  const std::string octets("\0\xff\r\n", 4);
  const absl::Time time = absl::FromUnixMicros(1700000000123456);
  Params params = Params::Of(-5, true, "t\xc3\xa4xt", Bytes(octets), time,
                             std::optional<std::int64_t>(), std::optional<Bytes>());
  params.AddInts({1, -2}).AddTexts({"a", ""}).AddTimes({time});
  const std::optional<std::string_view> array[] = {octets, std::nullopt, ""};
  params.AddBytesArray(array);
  absl::StatusOr<Result> r =
      c->Exec("SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 7::int, 2::smallint", params);
  ASSERT_TRUE(r.ok()) << r.status();
  EXPECT_EQ(r->Int(0, 0), -5);
  EXPECT_TRUE(r->Bool(0, 1));
  EXPECT_EQ(r->Text(0, 2), "t\xc3\xa4xt");
  EXPECT_EQ(r->Bytes(0, 3), octets);
  EXPECT_EQ(r->Time(0, 4), time);
  EXPECT_TRUE(r->IsNull(0, 5));
  EXPECT_TRUE(r->IsNull(0, 6));
  EXPECT_EQ(r->Ints(0, 7), (std::vector<std::int64_t>{1, -2}));
  EXPECT_EQ(r->Texts(0, 8), (std::vector<std::string>{"a", ""}));
  EXPECT_EQ(r->Texts(0, 10), (std::vector<std::string>{octets, "", ""}));
  EXPECT_EQ(r->Int(0, 11), 7);
  EXPECT_EQ(r->Int(0, 12), 2);
}

TEST(ConnectionTest, SanitisesText) {
  std::unique_ptr<Connection> c = OpenSuperuser();
  absl::StatusOr<Result> r = c->Exec("SELECT $1", Params::Of(std::string_view("a\0\xff", 3)));
  ASSERT_TRUE(r.ok()) << r.status();
  EXPECT_EQ(r->Text(0, 0), "a\xef\xbf\xbd\xef\xbf\xbd");
}

TEST(ConnectionTest, AnErrorLeavesTheConnectionUsable) {
  std::unique_ptr<Connection> c = OpenSuperuser();
  for (int i = 0; i < 3; ++i) {
    absl::StatusOr<Result> bad = c->Exec("SELECT 1 / $1", Params::Of(0));
    ASSERT_FALSE(bad.ok());
    EXPECT_EQ(SqlState(bad.status()), "22012");
    absl::StatusOr<Result> syntax = c->Exec("SELEKT 1");
    ASSERT_FALSE(syntax.ok());
    EXPECT_EQ(SqlState(syntax.status()), "42601");
    absl::StatusOr<Result> good = c->Exec("SELECT 6 / $1", Params::Of(2));
    ASSERT_TRUE(good.ok()) << good.status();
    EXPECT_EQ(good->Int(0, 0), 3);
  }
}

TEST(ConnectionTest, SetsTenantsForOneTransactionOnly) {
  std::unique_ptr<Connection> c = OpenSuperuser();
  const TenantId tenants[] = {TenantId(3), TenantId(4)};
  absl::StatusOr<Result> inside =
      c->ExecForTenants(tenants, "SELECT current_setting('app.t', true)", {});
  ASSERT_TRUE(inside.ok()) << inside.status();
  EXPECT_EQ(inside->Text(0, 0), "{3,4}");
  absl::StatusOr<Result> outside = c->Exec("SELECT current_setting('app.t', true)");
  ASSERT_TRUE(outside.ok());
  EXPECT_EQ(outside->Text(0, 0), "");
}

TEST(TransactionTest, CommitsOrRollsBack) {
  std::unique_ptr<Connection> c = OpenSuperuser();
  ASSERT_TRUE(c->ExecScript("DROP TABLE IF EXISTS tx; CREATE TABLE tx (v bigint)").ok());
  {
    Transaction t(*c, {});
    ASSERT_TRUE(t.Exec("INSERT INTO tx VALUES ($1)", Params::Of(1)).ok());
  }
  {
    Transaction t(*c, {});
    ASSERT_TRUE(t.Exec("INSERT INTO tx VALUES ($1)", Params::Of(2)).ok());
    ASSERT_TRUE(t.Commit().ok());
  }
  {
    Transaction t(*c, {});
    ASSERT_TRUE(t.ExecAndCommit("INSERT INTO tx VALUES ($1)", Params::Of(3)).ok());
    EXPECT_TRUE(t.Commit().ok());
  }
  {
    Transaction t(*c, {});
    ASSERT_TRUE(t.Exec("INSERT INTO tx VALUES ($1)", Params::Of(4)).ok());
    ASSERT_FALSE(t.Exec("SELECT 1 / $1", Params::Of(0)).ok());
    EXPECT_FALSE(t.Commit().ok());
  }
  absl::StatusOr<Result> rows = c->Exec("SELECT array_agg(v ORDER BY v) FROM tx");
  ASSERT_TRUE(rows.ok());
  EXPECT_EQ(rows->Ints(0, 0), (std::vector<std::int64_t>{2, 3}));
}

TEST(TransactionTest, ALostConnectionIsInDoubtOnlyFromTheCommitOn) {
  std::unique_ptr<Connection> admin = OpenSuperuser();
  std::unique_ptr<Connection> c = OpenSuperuser();
  ASSERT_TRUE(admin->ExecScript("DROP TABLE IF EXISTS doubt; CREATE TABLE doubt (v bigint)").ok());
  {
    Transaction t(*c, {});
    ASSERT_TRUE(t.Exec("INSERT INTO doubt VALUES (1)").ok());
    absl::StatusOr<Result> lost = t.Exec("SELECT pg_terminate_backend(pg_backend_pid())");
    ASSERT_FALSE(lost.ok());
    EXPECT_EQ(FailureOf(lost.status()), Failure::kStorageDown);
    EXPECT_FALSE(IsInDoubt(lost.status()));
  }
  EXPECT_FALSE(c->IsAlive());
  c = OpenSuperuser();
  // A deferred trigger ends the session while it commits: nobody can say what became of it.
  ASSERT_TRUE(admin->ExecScript(
      "CREATE OR REPLACE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS "
      "'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(5); RETURN NULL; END';"
      "CREATE CONSTRAINT TRIGGER die AFTER INSERT ON doubt DEFERRABLE INITIALLY DEFERRED "
      "FOR EACH ROW EXECUTE FUNCTION die()").ok());
  Transaction t(*c, {});
  ASSERT_TRUE(t.Exec("INSERT INTO doubt VALUES (2)").ok());
  absl::Status status = t.Commit();
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(FailureOf(status), Failure::kStorageDown);
  EXPECT_TRUE(IsInDoubt(status)) << status;
}

TEST(ConnectionTest, NoticesThatTheServerWentAwayWhileIdle) {
  std::unique_ptr<Connection> admin = OpenSuperuser();
  std::unique_ptr<Connection> c = OpenSuperuser();
  EXPECT_TRUE(c->IsAlive());
  ASSERT_TRUE(admin->Exec("SELECT pg_terminate_backend($1::int)", Params::Of(c->backend_pid())).ok());
  for (int i = 0; i < 100 && c->IsAlive(); ++i) ASSERT_TRUE(admin->Exec("SELECT pg_sleep(0.01)").ok());
  EXPECT_FALSE(c->IsAlive());
}

}  // namespace
}  // namespace posthorn::postgres
