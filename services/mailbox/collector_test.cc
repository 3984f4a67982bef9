// Collecting bodies beside deliveries, and finding what contradicts itself.

#include <gtest/gtest.h>

#include <thread>

#include "services/mailbox/store_check.h"
#include "services/mailbox/store_test.h"

namespace posthorn::mailbox {
namespace {

class CollectorTest : public StoreTest {
 protected:
  std::string Findings() {
    postgres::ConnectionOptions options;
    options.url = url;
    options.role = "posthorn_mailbox";
    auto connection = postgres::Connection::Open(options);
    EXPECT_TRUE(connection.ok()) << connection.status();
    absl::StatusOr<std::vector<Finding>> findings = CheckStore(**connection);
    EXPECT_TRUE(findings.ok()) << findings.status();
    std::string text;
    for (const Finding& finding : *findings) absl::StrAppend(&text, finding.count, " ", finding.what, ";");
    return text;
  }
  static Task<absl::StatusOr<postgres::StoredBody>> Put(postgres::BodyStore& bodies,
                                                        TenantId tenant, std::string body) {
    postgres::BodyWriter writer(bodies, tenant);
    std::string info = PackFacts(FactsOf(body));
    absl::Status status = co_await writer.Write(std::move(body));
    if (!status.ok()) co_return status;
    absl::StatusOr<postgres::StoredBody> stored = co_await writer.Finish(std::move(info));
    co_return stored;
  }
  static Task<bool> Append(std::string& out, std::string piece) {
    out += piece;
    co_return true;
  }
};

// A few bodies, small and large, that all workers store, copy and expunge again and again while
// collectors with next to no grace take whatever is unreferenced: what is there can be read in full.
TEST_F(CollectorTest, TakesNothingThatADeliveryUses) {
  std::vector<std::string> texts;
  for (int i = 0; i < 4; ++i) texts.push_back(absl::StrCat("Subject: ", i, "\r\n\r\nsmall\r\n"));
  for (int i = 0; i < 2; ++i) texts.push_back("Subject: l\r\n\r\n" + std::string(400000, 'a' + i));
  std::atomic<bool> stop{false};
  std::atomic<int> collected{0};
  std::vector<std::thread> collectors;
  for (int i = 0; i < 2; ++i) {
    collectors.emplace_back([&] {
      testing::TestLoop own;
      while (!stop) {
        absl::StatusOr<int> count =
            own.Run(bodies.Collect(alice.tenant, absl::Milliseconds(5), 100));
        if (!count.ok() && FailureOf(count.status()) != Failure::kConflict) {
          ADD_FAILURE() << count.status();
        }
        collected += count.value_or(0);
        // Else a body that was stored ahead would never live until its delivery.
        absl::SleepFor(absl::Milliseconds(3));
      }
    });
  }
  std::vector<std::thread> workers;
  for (int worker = 0; worker < 3; ++worker) {
    workers.emplace_back([&, worker] {
      testing::TestLoop own;
      const Account account = worker % 2 == 0 ? alice : bob;
      const MailboxId inbox = own.Run(store.Get(account, "INBOX"))->id;
      for (int i = 0; i < 60; ++i) {
        const std::string& text = texts[static_cast<std::size_t>(worker + i) % texts.size()];
        NewMessage message = Message(account, "");
        message.prefix.clear();
        absl::StatusOr<StoredMessage> stored = absl::UnknownError("not tried");
        // A body that was collected between the two is stored again, as the gateway does.
        const absl::Time deadline = absl::Now() + absl::Minutes(1);
        while (!stored.ok() && absl::Now() < deadline) {
          if (text.size() > postgres::kInlineOctets) {
            auto put = own.Run(Put(bodies, account.tenant, text));
            if (!put.ok()) continue;
            auto prepared = own.Run(deliveries.PrepareStored(account.tenant, put->sha256));
            if (!prepared.ok()) continue;
            message.body = *prepared;
          } else {
            message.body = DeliveryStore::Prepare(account.tenant, text);
          }
          stored = own.Run(deliveries.Store(message));
        }
        ASSERT_TRUE(stored.ok()) << stored.status();
        std::string read;
        std::function<Task<bool>(std::string)> sink = [&read](std::string piece) {
          return Append(read, std::move(piece));
        };
        absl::Status whole =
            own.Run(ReadMessage(bodies, account, inbox, stored->uid, 0, 0, std::move(sink)));
        // Alice's other worker may have expunged it.
        EXPECT_TRUE(whole.ok() || FailureOf(whole) == Failure::kNotFound) << whole;
        EXPECT_TRUE(!whole.ok() || read == text);
        if (i % 4 != 3) {
          auto expunged = own.Run(store.Expunge(account, inbox, {UidRange(1, stored->uid)}, false));
          EXPECT_TRUE(expunged.ok()) << expunged.status();
        }
      }
    });
  }
  for (std::thread& thread : workers) thread.join();
  stop = true;
  for (std::thread& thread : collectors) thread.join();
  EXPECT_GT(collected, 0);
  ExpectExactCounts();
  EXPECT_EQ(Findings(), "");
}

TEST_F(CollectorTest, TheCheckFindsOrphansAndWrongCounts) {
  DeliverTo(alice, "Subject: a\r\n\r\nx\r\n");
  DeliverTo(bob, "Subject: b\r\n\r\ny\r\n");
  ASSERT_TRUE(loop.Run(Put(bodies, alice.tenant, std::string(300000, 'z'))).ok());
  EXPECT_EQ(Findings(), "");
  const std::pair<const char*, const char*> damages[] = {
      {"UPDATE mailbox.body SET refs = refs + 1 WHERE refs = 1",
       "2 bodies with a wrong count of references;"},
      {"UPDATE mailbox.body SET marked_at = NULL",
       "1 orphaned bodies: nothing refers to them and nothing will collect them;"},
      {"UPDATE mailbox.body SET marked_at = now()",
       "2 bodies that are used and marked to be collected;"},
      {"DELETE FROM mailbox.body_chunk WHERE number = 1", "1 bodies without all of their content;"},
      {"DELETE FROM mailbox.body WHERE refs = 0", "2 orphaned pieces of bodies;"},
      {"DELETE FROM mailbox.body WHERE refs > 0", "2 messages whose body is missing;"},
      {"UPDATE mailbox.email SET entries = 2", "2 messages with a wrong count of mailboxes;"},
      {"UPDATE mailbox.mailbox SET unseen = 7 WHERE name = 'INBOX'",
       "2 mailboxes with wrong counts;"},
      {"UPDATE mailbox.mailbox SET old_messages = old_messages + 1 WHERE name = 'INBOX'",
       "2 mailboxes with wrong counts;"},
      {"UPDATE mailbox.account SET used_bytes = used_bytes + 1", "2 accounts with a wrong use;"},
  };
  postgres::ConnectionOptions options;
  options.url = url;
  auto connection = postgres::Connection::Open(options);
  ASSERT_TRUE(connection.ok());
  for (const auto& [damage, finding] : damages) {
    // Restored from copies: the checks are of committed data.
    for (const char* table : {"body", "body_chunk", "email", "mailbox", "account"}) {
      ASSERT_TRUE((*connection)->Exec(absl::StrCat("CREATE TEMP TABLE saved_", table, " AS TABLE mailbox.", table)).ok());
    }
    Superuser(damage);
    EXPECT_EQ(Findings(), finding) << damage;
    ASSERT_TRUE((*connection)->ExecScript("SET session_replication_role = replica").ok());
    for (const char* table : {"body", "body_chunk", "email", "mailbox", "account"}) {
      ASSERT_TRUE((*connection)->ExecScript(absl::StrCat(
          "DELETE FROM mailbox.", table, "; INSERT INTO mailbox.", table, " TABLE saved_", table,
          "; DROP TABLE saved_", table)).ok());
    }
    EXPECT_EQ(Findings(), "") << damage;
  }
}

}  // namespace
}  // namespace posthorn::mailbox
