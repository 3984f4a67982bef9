#ifndef POSTHORN_SERVICES_MAILBOX_STORE_TEST_H_
#define POSTHORN_SERVICES_MAILBOX_STORE_TEST_H_

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "lib/base/clock.h"
#include "lib/base/failure.h"
#include "lib/postgres/body_store.h"
#include "services/mailbox/admin_store.h"
#include "services/mailbox/connection_settings.h"
#include "services/mailbox/deleted_store.h"
#include "services/mailbox/delivery_store.h"
#include "services/mailbox/directory_store.h"
#include "services/mailbox/mailbox_store.h"
#include "services/mailbox/message_reader.h"
#include "services/mailbox/migrations.h"
#include "services/mailbox/when_all.h"
#include "tests/support/postgres_fixture.h"
#include "tests/support/test_loop.h"

namespace posthorn::mailbox {

inline testing::PostgresServer& TestServer() {
  static testing::PostgresServer server;
  return server;
}

// The stores over a fresh database, as the service's role, with one tenant and two accounts.
class StoreTest : public ::testing::Test {
 protected:
  StoreTest() : StoreTest(TestServer().NewDatabase(Migrations())) {}

  explicit StoreTest(std::string url_in)
      : url(std::move(url_in)),
        database(postgres::Database::Open(DatabaseOptionsFor(url))),
        bodies(*database, "mailbox"),
        passwords(1, clock),
        admin(*database, passwords),
        directory(*database, passwords),
        store(*database, hints),
        deliveries(*database, GroupOptionsFor(url), hints),
        deleted(*database, hints) {}

  void SetUp() override {
    alice = AddAccount("one", "one.test", "alice@one.test");
    bob = AddAccount("one", "one.test", "bob@one.test");
  }

  static postgres::DatabaseOptions DatabaseOptionsFor(const std::string& url) {
    postgres::DatabaseOptions options;
    options.connection = ConnectionFor(url);
    options.connections = 4;
    return options;
  }
  static postgres::WriteGroupOptions GroupOptionsFor(const std::string& url) {
    postgres::WriteGroupOptions options;
    options.connection = ConnectionFor(url);
    return options;
  }

  Account AddAccount(const std::string& tenant, const std::string& domain,
                     const std::string& address, std::uint64_t quota = 0) {
    (void)loop.Run(admin.AddTenant(tenant));
    (void)loop.Run(admin.AddDomain(tenant, domain));
    NewAccount account(address, "", quota);
    absl::StatusOr<AccountRecord> record = loop.Run(admin.AddAccount(account));
    EXPECT_TRUE(record.ok()) << record.status();
    return record.ok() ? record->account : Account();
  }

  NewMessage Message(Account account, const std::string& body,
                     MessageId id = MessageId::Generate(absl::Now())) {
    NewMessage message;
    message.body = DeliveryStore::Prepare(account.tenant, body);
    message.account = account.account;
    message.id = id;
    message.prefix = "Return-Path: <>\r\n";
    message.received_at = absl::FromUnixSeconds(1700000000);
    return message;
  }

  absl::StatusOr<StoredMessage> Deliver(NewMessage message) {
    return loop.Run(deliveries.Store(std::move(message)));
  }
  StoredMessage DeliverTo(Account account, const std::string& body) {
    absl::StatusOr<StoredMessage> stored = Deliver(Message(account, body));
    EXPECT_TRUE(stored.ok()) << stored.status();
    return stored.ok() ? *stored : StoredMessage();
  }
  // All at once, from one loop.
  std::vector<absl::StatusOr<StoredMessage>> DeliverAll(std::vector<NewMessage> messages) {
    std::vector<absl::StatusOr<StoredMessage>> results(messages.size(),
                                                       absl::UnknownError("pending"));
    loop.Run(RunAll(deliveries, std::move(messages), results));
    return results;
  }

  MailboxInfo Info(Account account, const std::string& name) {
    absl::StatusOr<MailboxInfo> info = loop.Run(store.Get(account, name));
    EXPECT_TRUE(info.ok()) << name << ": " << info.status();
    return info.ok() ? *info : MailboxInfo();
  }
  OpenedMailbox Open(Account account, const std::string& name, bool claim = false) {
    absl::StatusOr<OpenedMailbox> opened = loop.Run(store.Open(account, name, claim));
    EXPECT_TRUE(opened.ok()) << name << ": " << opened.status();
    return opened.ok() ? *opened : OpenedMailbox();
  }

  // As the superuser, past row-level security.
  postgres::Result Superuser(const std::string& sql) {
    postgres::ConnectionOptions options;
    options.url = url;
    absl::StatusOr<std::unique_ptr<postgres::Connection>> connection =
        postgres::Connection::Open(options);
    EXPECT_TRUE(connection.ok()) << connection.status();
    absl::StatusOr<postgres::Result> result = (*connection)->Exec(sql);
    EXPECT_TRUE(result.ok()) << sql << ": " << result.status();
    return result.ok() ? *std::move(result) : postgres::Result();
  }

  // Every counter against a recount of the rows it counts.
  void ExpectExactCounts() {
    postgres::Result boxes = Superuser(
        "SELECT m.name, m.messages, m.unseen, m.size, m.uid_next, m.highest_modseq,"
        " count(e.uid), count(e.uid) FILTER (WHERE e.flags & 1 = 0),"
        " coalesce(sum(e.size), 0)::bigint, coalesce(max(e.uid), 0),"
        " coalesce(max(e.modseq), 0), m.old_messages,"
        " count(e.uid) FILTER (WHERE e.uid < m.recent_uid) FROM mailbox.mailbox m"
        " LEFT JOIN mailbox.entry e USING (tenant_id, mailbox_id)"
        " GROUP BY m.tenant_id, m.mailbox_id");
    for (int i = 0; i < boxes.rows(); ++i) {
      EXPECT_EQ(boxes.Int(i, 1), boxes.Int(i, 6)) << "messages of " << boxes.Text(i, 0);
      EXPECT_EQ(boxes.Int(i, 2), boxes.Int(i, 7)) << "unseen of " << boxes.Text(i, 0);
      EXPECT_EQ(boxes.Int(i, 3), boxes.Int(i, 8)) << "size of " << boxes.Text(i, 0);
      EXPECT_EQ(boxes.Int(i, 11), boxes.Int(i, 12)) << "old messages of " << boxes.Text(i, 0);
      EXPECT_GT(boxes.Int(i, 4), boxes.Int(i, 9)) << "uid_next of " << boxes.Text(i, 0);
      EXPECT_GE(boxes.Int(i, 5), boxes.Int(i, 10)) << "modseq of " << boxes.Text(i, 0);
    }
    postgres::Result accounts = Superuser(
        "SELECT a.account_id, a.messages, a.used_bytes, count(e.uid),"
        " coalesce(sum(e.size), 0)::bigint FROM mailbox.account a"
        " JOIN mailbox.mailbox m USING (tenant_id, account_id)"
        " LEFT JOIN mailbox.entry e USING (tenant_id, mailbox_id)"
        " GROUP BY a.tenant_id, a.account_id");
    for (int i = 0; i < accounts.rows(); ++i) {
      EXPECT_EQ(accounts.Int(i, 1), accounts.Int(i, 3)) << "messages of account";
      EXPECT_EQ(accounts.Int(i, 2), accounts.Int(i, 4)) << "octets of account";
    }
    postgres::Result emails = Superuser(
        "SELECT count(*) FROM mailbox.email m WHERE entries <> (SELECT count(*) FROM mailbox.entry e"
        " JOIN mailbox.mailbox b USING (tenant_id, mailbox_id) WHERE b.tenant_id = m.tenant_id"
        " AND b.account_id = m.account_id AND e.email_id = m.email_id)"
        " + (SELECT count(*) FROM mailbox.deleted d WHERE d.tenant_id = m.tenant_id"
        "    AND d.account_id = m.account_id AND d.email_id = m.email_id)");
    EXPECT_EQ(emails.Int(0, 0), 0) << "emails with a wrong number of entries";
    postgres::Result refs = Superuser(
        "SELECT count(*) FROM mailbox.body b WHERE refs <> (SELECT count(*) FROM mailbox.email e"
        " WHERE e.tenant_id = b.tenant_id AND e.sha256 = b.sha256)"
        " OR (refs = 0) <> (marked_at IS NOT NULL)");
    EXPECT_EQ(refs.Int(0, 0), 0) << "bodies with a wrong number of references";
    postgres::Result tenants = Superuser(
        "SELECT count(*) FROM mailbox.tenant_quota q WHERE (q.used_bytes, q.messages) <>"
        " (SELECT coalesce(sum(used_bytes), 0), coalesce(sum(messages), 0) FROM mailbox.account a"
        "  WHERE a.tenant_id = q.tenant_id)");
    EXPECT_EQ(tenants.Int(0, 0), 0) << "tenants with a wrong use";
  }

  const std::string url;
  testing::TestLoop loop;
  SystemClock clock;
  NoChangeHints hints;
  std::unique_ptr<postgres::Database> database;
  postgres::BodyStore bodies;
  Passwords passwords;
  AdminStore admin;
  DirectoryStore directory;
  MailboxStore store;
  DeliveryStore deliveries;
  DeletedStore deleted;
  Account alice;
  Account bob;

 private:
  static Task<void> StoreInto(DeliveryStore& deliveries, NewMessage message,
                              absl::StatusOr<StoredMessage>& result) {
    result = co_await deliveries.Store(std::move(message));
  }
  static Task<bool> RunAll(DeliveryStore& deliveries, std::vector<NewMessage> messages,
                           std::vector<absl::StatusOr<StoredMessage>>& results) {
    std::vector<Task<void>> tasks;
    for (std::size_t i = 0; i < messages.size(); ++i) {
      tasks.push_back(StoreInto(deliveries, std::move(messages[i]), results[i]));
    }
    co_await WhenAll(std::move(tasks));
    co_return true;
  }
};

}  // namespace posthorn::mailbox

#endif  // POSTHORN_SERVICES_MAILBOX_STORE_TEST_H_
