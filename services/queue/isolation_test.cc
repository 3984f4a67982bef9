// A tenant never sees another tenant's data (I6).

#include "services/queue/queue_test_base.h"

namespace posthorn::queue {
namespace {

class QueueIsolationTest : public QueueTest {
 protected:
  std::unique_ptr<postgres::Connection> ServiceConnection() {
    auto connection = postgres::Connection::Open(Spool::ConnectTo(url_));
    EXPECT_TRUE(connection.ok()) << connection.status();
    return *std::move(connection);
  }
};

TEST_F(QueueIsolationTest, WithoutTenantsNothingIsSeen) {
  queue_->Enqueue(To({"a@one.example"}, 1));
  queue_->Enqueue(To({"a@one.example"}, 2));
  const auto connection = ServiceConnection();
  for (const char* table : {"message", "job", "recipient", "accepted", "usage", "event",
                            "body", "body_chunk"}) {
    const std::string sql = std::string("SELECT count(*) FROM queue.") + table;
    auto rows = connection->Exec(sql);
    ASSERT_TRUE(rows.ok()) << table << ": " << rows.status();
    EXPECT_EQ(rows->Int(0, 0), 0) << table;
  }
  const TenantId first[] = {TenantId(1)};
  auto rows = connection->ExecForTenants(first, "SELECT count(*) FROM queue.message", {});
  ASSERT_TRUE(rows.ok());
  EXPECT_EQ(rows->Int(0, 0), 1);
  // And not afterwards.
  rows = connection->Exec("SELECT count(*) FROM queue.message");
  ASSERT_TRUE(rows.ok());
  EXPECT_EQ(rows->Int(0, 0), 0);
}

// But for what other domains publish, which belongs to no tenant.
TEST_F(QueueIsolationTest, EveryTableForcesRowLevelSecurity) {
  EXPECT_EQ(Count("SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
                  " WHERE n.nspname = 'queue' AND c.relkind IN ('r', 'p')"
                  " AND c.relname <> 'sts_policy' AND c.relname !~ '^tls_'"
                  " AND NOT (c.relrowsecurity AND c.relforcerowsecurity)"),
            0);
  EXPECT_EQ(Count("SELECT count(*) FROM pg_roles WHERE rolname IN ('posthorn_queue',"
                  " 'posthorn_lookup') AND (rolcanlogin OR rolbypassrls OR rolsuper)"),
            0);
  EXPECT_EQ(Count("SELECT count(*) FROM pg_class WHERE relowner = 'posthorn_queue'::regrole"), 0);
}

TEST_F(QueueIsolationTest, TenantIsTheFirstColumnOfEveryPrimaryKey) {
  EXPECT_EQ(Count("SELECT count(*) FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid"
                  " JOIN pg_namespace n ON n.oid = c.relnamespace"
                  " JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]"
                  " WHERE n.nspname = 'queue' AND c.relname <> 'sts_policy'"
                  " AND c.relname !~ '^tls_' AND i.indisprimary"
                  " AND a.attname <> 'tenant_id'"),
            0);
}

TEST_F(QueueIsolationTest, OneTenantsIdsAreUnknownToAnother) {
  const Message message = To({"a@one.example"}, 1);
  queue_->Enqueue(message);
  Filter filter;
  filter.tenant = TenantId(2);
  filter.message = message.id;
  EXPECT_TRUE(queue_->List(filter).empty());
  EXPECT_EQ(*queue_->Run(queue_->core().Cancel(filter)), 0);
  EXPECT_EQ(*queue_->Run(queue_->core().Retry(filter)), 0);

  const std::vector<LeasedJob> jobs = queue_->Lease();
  ASSERT_EQ(jobs.size(), 1u);
  JobReport forged = Outcome(jobs[0], RecipientState::kDelivered);
  forged.key.ref.tenant = TenantId(2);
  queue_->Report({forged});
  EXPECT_EQ(queue_->List().size(), 1u);
  LeaseKey key;
  key.ref = forged.key.ref;
  key.attempt = jobs[0].attempt;
  EXPECT_EQ(queue_->Run(queue_->core().Heartbeat({key}))->size(), 1u);
}

}  // namespace
}  // namespace posthorn::queue
