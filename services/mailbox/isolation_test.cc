// A tenant never sees another tenant's data.

#include <gtest/gtest.h>

#include "services/mailbox/store_test.h"

namespace posthorn::mailbox {
namespace {

class IsolationTest : public StoreTest {
 protected:
  void SetUp() override {
    StoreTest::SetUp();
    carol = AddAccount("two", "two.test", "carol@two.test");
    DeliverTo(alice, "Subject: secret\r\n\r\nsecret\r\n");
    ASSERT_TRUE(loop.Run(admin.AddAppPassword("alice@one.test", "laptop", {})).ok());
    ASSERT_TRUE(loop.Run(store.AcquirePopLock(alice, "0123456789abcdef", absl::Minutes(1))).ok());
    TenantChange limits;
    limits.quota_messages = 1000;
    ASSERT_TRUE(loop.Run(admin.SetTenant("one", limits)).ok());
    ListChange settings;
    settings.owners.emplace(1, "alice@one.test");
    ASSERT_TRUE(loop.Run(admin.AddList("team@one.test", settings)).ok());
    ASSERT_TRUE(loop.Run(admin.AddListMembers("team@one.test", {"bob@one.test"})).ok());
  }

  std::vector<std::string> TenantTables() {
    postgres::Result rows = Superuser(
        "SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c"
        " JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema')"
        " AND n.nspname NOT LIKE 'pg\\_%' AND format('%I.%I', n.nspname, c.relname)"
        // These belong to the platform, not to a tenant.
        " NOT IN ('posthorn.migration', 'posthorn.secret') ORDER BY 1");
    std::vector<std::string> tables;
    for (int i = 0; i < rows.rows(); ++i) tables.push_back(rows.Text(i, 0));
    return tables;
  }

  Account carol;
};

TEST_F(IsolationTest, EveryTableIsUnderForcedRowLevelSecurityByTenant) {
  const std::vector<std::string> tables = TenantTables();
  EXPECT_GE(tables.size(), 17u);
  for (const std::string& table : tables) {
    postgres::Result row = Superuser(absl::StrCat(
        "SELECT c.relrowsecurity, c.relforcerowsecurity,"
        " (SELECT a.attname::text FROM pg_index i JOIN pg_attribute a"
        "  ON a.attrelid = c.oid AND a.attnum = i.indkey[0]"
        "  WHERE i.indrelid = c.oid AND i.indisprimary)"
        " FROM pg_class c WHERE c.oid = '", table, "'::regclass"));
    EXPECT_TRUE(row.Bool(0, 0)) << table;
    EXPECT_TRUE(row.Bool(0, 1)) << table;
    EXPECT_EQ(row.Text(0, 2), "tenant_id") << table << ": first column of the primary key";
  }
}

TEST_F(IsolationTest, WithoutATenantOrWithAnotherAQueryReturnsNothing) {
  postgres::ConnectionOptions options = ConnectionFor(url);
  absl::StatusOr<std::unique_ptr<postgres::Connection>> connection =
      postgres::Connection::Open(options);
  ASSERT_TRUE(connection.ok()) << connection.status();
  const TenantId stranger[] = {TenantId(424242)};
  const TenantId own[] = {alice.tenant};
  int with_rows = 0;
  for (const std::string& table : TenantTables()) {
    const std::string count = absl::StrCat("SELECT count(*) FROM ", table);
    absl::StatusOr<postgres::Result> never_set = (*connection)->Exec(count);
    ASSERT_TRUE(never_set.ok()) << table << ": " << never_set.status();
    EXPECT_EQ(never_set->Int(0, 0), 0) << table;
    absl::StatusOr<postgres::Result> other = (*connection)->ExecForTenants(stranger, count, {});
    ASSERT_TRUE(other.ok()) << other.status();
    EXPECT_EQ(other->Int(0, 0), 0) << table;
    // After a transaction the setting reads ''.
    absl::StatusOr<postgres::Result> mine = (*connection)->ExecForTenants(own, count, {});
    ASSERT_TRUE(mine.ok()) << mine.status();
    with_rows += mine->Int(0, 0) > 0 ? 1 : 0;
    absl::StatusOr<postgres::Result> after = (*connection)->Exec(count);
    ASSERT_TRUE(after.ok()) << after.status();
    EXPECT_EQ(after->Int(0, 0), 0) << table;
  }
  EXPECT_GE(with_rows, 12);
}

TEST_F(IsolationTest, RolesOwnNothingAndCannotBypass) {
  postgres::Result roles = Superuser(
      "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'posthorn\\_%'"
      " AND (rolsuper OR rolbypassrls OR rolcanlogin)");
  EXPECT_EQ(roles.Int(0, 0), 0);
  postgres::Result owned = Superuser(
      "SELECT count(*) FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner"
      " WHERE r.rolname LIKE 'posthorn\\_%'");
  EXPECT_EQ(owned.Int(0, 0), 0);
}

TEST_F(IsolationTest, SecretsOfThePlatformAreForLookupsOnly) {
  postgres::ConnectionOptions options = ConnectionFor(url);
  absl::StatusOr<std::unique_ptr<postgres::Connection>> connection =
      postgres::Connection::Open(options);
  ASSERT_TRUE(connection.ok()) << connection.status();
  EXPECT_FALSE((*connection)->Exec("SELECT value FROM posthorn.secret").ok());
  EXPECT_TRUE((*connection)->Exec("SELECT salt FROM lookup.scram('x@y.test', 4096)").ok());
  // What is looked up without a tenant is a login, not a list of them.
  absl::StatusOr<postgres::Result> other =
      (*connection)->Exec("SELECT * FROM lookup.credentials('%@one.test')");
  ASSERT_TRUE(other.ok()) << other.status();
  EXPECT_TRUE(other->empty());
}

TEST_F(IsolationTest, AnotherTenantsIdsReadAsNotFound) {
  const MailboxId inbox = Info(alice, "INBOX").id;
  // The right account and mailbox under the wrong tenant, and the right mailbox under another
  // account of the same tenant.
  const Account wrong_tenant(carol.tenant, alice.account);
  for (const Account& stranger : {carol, wrong_tenant, bob}) {
    const std::vector<UidRange> all = {UidRange(1, 100)};
    EXPECT_EQ(FailureOf(loop.Run(store.GetChanges(stranger, inbox, 0, true)).status()),
              Failure::kNotFound);
    EXPECT_EQ(FailureOf(loop.Run(store.StoreFlags(stranger, inbox, all, FlagMode::kAdd, 1, {}))
                            .status()),
              Failure::kNotFound);
    EXPECT_EQ(FailureOf(loop.Run(store.Expunge(stranger, inbox, all, false)).status()),
              Failure::kNotFound);
    EXPECT_EQ(FailureOf(loop.Run(store.Copy(stranger, inbox, all, "INBOX", true)).status()),
              Failure::kNotFound);
    EXPECT_TRUE(loop.Run(store.MoreEntries(stranger, inbox, 0, 100))->empty());
    FetchItems items;
    items.body = true;
    FetchCursor cursor(bodies, stranger, inbox, all, items);
    EXPECT_EQ(FailureOf(loop.Run(cursor.Next()).status()), Failure::kNotFound);
    std::function<Task<bool>(std::string)> sink;
    EXPECT_EQ(FailureOf(loop.Run(ReadMessage(bodies, stranger, inbox, 1, 0, 0, sink))),
              Failure::kNotFound);
  }
  EXPECT_EQ(FailureOf(loop.Run(store.List(wrong_tenant)).status()), Failure::kNotFound);
  EXPECT_EQ(FailureOf(loop.Run(store.Open(wrong_tenant, "INBOX", false)).status()),
            Failure::kNoSuchMailbox);
  EXPECT_EQ(FailureOf(loop.Run(store.Create(wrong_tenant, "x", "")).status()), Failure::kNotFound);
  EXPECT_EQ(*loop.Run(store.Watermarks({wrong_tenant})), (std::vector<ModSeq>{0}));
  EXPECT_EQ(FailureOf(Deliver(Message(wrong_tenant, "x")).status()), Failure::kNoSuchRecipient);
  const std::string sha256 = postgres::Sha256("Subject: secret\r\n\r\nsecret\r\n");
  std::function<Task<bool>(std::string)> sink;
  EXPECT_EQ(FailureOf(loop.Run(bodies.Read(carol.tenant, sha256, 0, 0, sink))), Failure::kNotFound);
  EXPECT_EQ(Info(alice, "INBOX").messages, 1u);
}

}  // namespace
}  // namespace posthorn::mailbox
