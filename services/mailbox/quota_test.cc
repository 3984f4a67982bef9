// Limits of accounts and tenants, and warnings.

#include <gtest/gtest.h>

#include <thread>

#include "services/mailbox/mail_transfer.h"
#include "services/mailbox/quota_warnings.h"
#include "services/mailbox/store_test.h"

namespace posthorn::mailbox {
namespace {

class QuotaTest : public StoreTest {
 protected:
  static constexpr std::uint64_t kPrefix = 17;

  void Limit(const std::string& address, std::uint64_t octets, std::uint64_t messages) {
    AccountChange change;
    change.quota_bytes = octets;
    change.quota_messages = messages;
    ASSERT_TRUE(loop.Run(admin.SetAccount(address, change)).ok());
  }
  absl::StatusOr<TenantRecord> LimitTenant(std::optional<std::uint64_t> octets,
                                           std::optional<std::uint64_t> messages) {
    TenantChange change;
    change.quota_bytes = octets;
    change.quota_messages = messages;
    return loop.Run(admin.SetTenant("one", change));
  }
  std::string Subjects(Account account) {
    FetchItems items;
    items.header = true;
    FetchCursor cursor(bodies, account, Info(account, "INBOX").id, {UidRange(1, 1000)}, items);
    std::string subjects;
    for (;;) {
      auto batch = loop.Run(cursor.Next());
      if (!batch.ok() || batch->empty()) return subjects;
      for (const FetchedMessage& message : *batch) {
        const std::size_t at = message.header.find("Subject: ");
        if (at == std::string::npos) continue;
        subjects += message.header.substr(at + 9, message.header.find('\r', at) - at - 9) + ";";
      }
    }
  }
};

TEST_F(QuotaTest, ANumberOfMessagesIsALimitToo) {
  Limit("alice@one.test", 0, 2);
  DeliverTo(alice, "a");
  EXPECT_EQ(Deliver(Message(alice, "b"))->uid, 2u);
  EXPECT_EQ(FailureOf(Deliver(Message(alice, "c")).status()), Failure::kOverQuota);
  const MailboxId inbox = Info(alice, "INBOX").id;
  EXPECT_EQ(
      FailureOf(loop.Run(store.Copy(alice, inbox, {UidRange(1, 1)}, "Trash", false)).status()),
      Failure::kOverQuota);
  // Moving takes no room, and neither limit keeps anything from being read or deleted.
  ASSERT_TRUE(loop.Run(store.Copy(alice, inbox, {UidRange(1, 1)}, "Trash", true)).ok());
  ASSERT_TRUE(loop.Run(store.Expunge(alice, inbox, {UidRange(2, 2)}, false)).ok());
  ASSERT_TRUE(Deliver(Message(alice, "c")).ok());
  std::vector<NewMessage> several;
  several.push_back(Message(alice, "d"));
  EXPECT_EQ(FailureOf(loop.Run(deliveries.StoreAll(std::move(several))).status()),
            Failure::kOverQuota);
  // A limit below what is there stops what comes, no more.
  Limit("alice@one.test", 0, 1);
  EXPECT_EQ(FailureOf(Deliver(Message(alice, "e")).status()), Failure::kOverQuota);
  ASSERT_TRUE(
      loop.Run(store.Expunge(alice, Info(alice, "Trash").id, {UidRange(1, 1)}, false)).ok());
  ExpectExactCounts();
}

TEST_F(QuotaTest, OneFullMailboxHoldsUpNobodyElseInItsGroup) {
  Limit("alice@one.test", 0, 5);
  std::vector<NewMessage> messages;
  for (int i = 0; i < 40; ++i)
    messages.push_back(Message(i % 2 == 0 ? alice : bob, absl::StrCat(i)));
  int refused = 0;
  for (const auto& result : DeliverAll(std::move(messages))) {
    if (result.ok()) continue;
    EXPECT_EQ(FailureOf(result.status()), Failure::kOverQuota);
    ++refused;
  }
  EXPECT_EQ(refused, 15);
  EXPECT_EQ(Info(alice, "INBOX").messages, 5u);
  EXPECT_EQ(Info(bob, "INBOX").messages, 20u);
  ExpectExactCounts();
}

TEST_F(QuotaTest, TheAccountsOfATenantShareItsLimits) {
  const Account carol = AddAccount("two", "two.test", "carol@two.test");
  DeliverTo(alice, "before");
  const std::uint64_t size = kPrefix + 6;
  absl::StatusOr<TenantRecord> record = LimitTenant(3 * size, std::nullopt);
  ASSERT_TRUE(record.ok()) << record.status();
  EXPECT_EQ(record->used_bytes, size);
  EXPECT_EQ(record->messages, 1u);
  DeliverTo(bob, "number");
  DeliverTo(alice, "number");
  EXPECT_EQ(FailureOf(Deliver(Message(bob, "number")).status()), Failure::kOverQuota);
  EXPECT_TRUE(Deliver(Message(carol, "number")).ok());
  EXPECT_EQ(loop.Run(admin.GetTenant("one"))->used_bytes, 3 * size);
  // What is left out stays.
  record = LimitTenant(std::nullopt, 4);
  ASSERT_TRUE(record.ok());
  EXPECT_EQ(record->quota_bytes, 3 * size);
  EXPECT_EQ(record->quota_messages, 4u);
  ASSERT_TRUE(LimitTenant(0, std::nullopt).ok());
  DeliverTo(bob, "number");
  EXPECT_EQ(FailureOf(Deliver(Message(bob, "number")).status()), Failure::kOverQuota);
  ASSERT_TRUE(loop.Run(admin.RemoveAccount("alice@one.test")).ok());
  EXPECT_EQ(loop.Run(admin.GetTenant("one"))->messages, 2u);
  DeliverTo(bob, "number");
  ASSERT_TRUE(LimitTenant(0, 0).ok());
  EXPECT_EQ(Superuser("SELECT count(*) FROM mailbox.tenant_quota").Int(0, 0), 0);
  ExpectExactCounts();
}

TEST_F(QuotaTest, NewAccountsShareTheLimitOfTheirTenant) {
  ASSERT_TRUE(LimitTenant(0, 2).ok());
  const Account later = AddAccount("one", "one.test", "later@one.test");
  DeliverTo(later, "a");
  DeliverTo(alice, "b");
  EXPECT_EQ(FailureOf(Deliver(Message(later, "c")).status()), Failure::kOverQuota);
  EXPECT_EQ(loop.Run(admin.GetTenant("one"))->messages, 2u);
  ASSERT_TRUE(LimitTenant(0, 0).ok());
  DeliverTo(later, "c");
  ExpectExactCounts();
}

TEST_F(QuotaTest, AFullTenantOrMailboxIsSeenAtRcpt) {
  Limit("alice@one.test", 0, 1);
  DeliverTo(alice, "x");
  ASSERT_TRUE(LimitTenant(1000, 100).ok());
  const auto room = [&](const std::string& address) {
    auto resolved = loop.Run(directory.Resolve(address));
    return resolved.ok() && !resolved->targets.empty() ? resolved->targets[0].room : std::nullopt;
  };
  EXPECT_EQ(room("alice@one.test"), 0u);
  EXPECT_EQ(room("bob@one.test"), 1000 - kPrefix - 1);
  ASSERT_TRUE(LimitTenant(1000, 1).ok());
  EXPECT_EQ(room("bob@one.test"), 0u);
}

// Deliveries, copies and expunges of several accounts beside changes of the limits: nobody gets
// past a limit, and no counter is ever off.
TEST_F(QuotaTest, LimitsAreExactUnderConcurrency) {
  const std::string body(100, 'x');
  const std::uint64_t size = body.size() + kPrefix;
  Limit("alice@one.test", 20 * size, 0);
  Limit("bob@one.test", 0, 15);
  ASSERT_TRUE(LimitTenant(30 * size, 30).ok());
  std::vector<std::thread> threads;
  std::atomic<int> passed_limits{0};
  std::atomic<int> unexpected{0};
  for (int worker = 0; worker < 4; ++worker) {
    threads.emplace_back([&, worker] {
      testing::TestLoop own;
      const Account account = worker % 2 == 0 ? alice : bob;
      const MailboxId inbox = own.Run(store.Get(account, "INBOX"))->id;
      for (int i = 0; i < 60; ++i) {
        absl::Status status;
        if (worker < 2) {
          status = own.Run(deliveries.Store(Message(account, body))).status();
        } else if (i % 3 == 0) {
          const Uid uid = static_cast<Uid>(i / 3 + 1);
          status = own.Run(store.Expunge(account, inbox, {UidRange(uid, uid)}, false)).status();
        } else {
          status = own.Run(store.Copy(account, inbox, {UidRange(1, 1 + i % 4)}, "Archive", false))
                       .status();
        }
        if (!status.ok() && FailureOf(status) != Failure::kOverQuota) {
          ++unexpected;
          ADD_FAILURE() << status;
        }
      }
    });
  }
  std::atomic<bool> stop{false};
  std::thread changer([&] {
    testing::TestLoop own;
    while (!stop) {
      TenantChange change;
      change.quota_bytes = 0;
      change.quota_messages = 0;
      (void)own.Run(admin.SetTenant("one", change));
      change.quota_bytes = 30 * size;
      change.quota_messages = 30;
      (void)own.Run(admin.SetTenant("one", change));
    }
  });
  std::thread reader([&] {
    while (!stop) {
      postgres::Result over = Superuser(
          "SELECT count(*) FROM mailbox.account WHERE quota_bytes > 0 AND used_bytes > quota_bytes"
          " OR quota_messages > 0 AND messages > quota_messages");
      if (over.Int(0, 0) > 0) ++passed_limits;
    }
  });
  for (std::thread& thread : threads) thread.join();
  stop = true;
  changer.join();
  reader.join();
  EXPECT_EQ(passed_limits, 0);
  EXPECT_EQ(unexpected, 0);
  ExpectExactCounts();
}

TEST_F(QuotaTest, AppendAndDeliveryFillATenantExactlyWhenTheyRace) {
  ASSERT_TRUE(LimitTenant(0, 25).ok());
  std::vector<std::thread> threads;
  std::atomic<int> stored{0};
  for (int worker = 0; worker < 4; ++worker) {
    threads.emplace_back([&, worker] {
      testing::TestLoop own;
      for (int i = 0; i < 15; ++i) {
        NewMessage message = Message(worker % 2 == 0 ? alice : bob, absl::StrCat(worker, i));
        absl::Status status;
        if (worker < 2) {
          status = own.Run(deliveries.Store(std::move(message))).status();
        } else {
          std::vector<NewMessage> one;
          one.push_back(std::move(message));
          status = own.Run(deliveries.StoreAll(std::move(one))).status();
        }
        if (status.ok()) ++stored;
        EXPECT_TRUE(status.ok() || FailureOf(status) == Failure::kOverQuota) << status;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(stored, 25);
  EXPECT_EQ(loop.Run(admin.GetTenant("one"))->messages, 25u);
  ExpectExactCounts();
}

TEST_F(QuotaTest, WarnsOnceACrossing) {
  QuotaWarnings warnings(*database, deliveries, clock, {80, 95});
  const auto round = [&] {
    absl::StatusOr<int> warned = loop.Run(warnings.RunOnce(100));
    EXPECT_TRUE(warned.ok()) << warned.status();
    return warned.value_or(-1);
  };
  Limit("alice@one.test", 100000, 0);
  DeliverTo(alice, std::string(70000, 'x').substr(0, 60000));
  EXPECT_EQ(round(), 0);
  DeliverTo(alice, std::string(21000, 'y'));
  EXPECT_EQ(round(), 1);
  EXPECT_EQ(round(), 0);
  EXPECT_EQ(Subjects(alice), "Your mailbox is 80% full;");
  DeliverTo(alice, "z");  // still above 80
  EXPECT_EQ(round(), 0);
  DeliverTo(alice, std::string(13500, 'z'));
  EXPECT_EQ(round(), 1);
  EXPECT_EQ(round(), 0);
  EXPECT_EQ(Subjects(alice), "Your mailbox is 80% full;Your mailbox is 95% full;");
  // Room again, and full again.
  ASSERT_TRUE(
      loop.Run(store.Expunge(alice, Info(alice, "INBOX").id, {UidRange(1, 1)}, false)).ok());
  EXPECT_EQ(round(), 0);
  DeliverTo(alice, std::string(50000, 'w'));
  EXPECT_EQ(round(), 1);
  EXPECT_EQ(Subjects(alice),
            "Your mailbox is 80% full;Your mailbox is 95% full;Your mailbox is 80% full;");
  EXPECT_EQ(Subjects(bob), "");
  EXPECT_EQ(Superuser("SELECT count(*) FROM mailbox.quota_check").Int(0, 0), 0);
  ExpectExactCounts();
}

TEST_F(QuotaTest, ALostNoteOfAWarningSendsNoSecond) {
  QuotaWarnings warnings(*database, deliveries, clock, {80});
  Limit("alice@one.test", 0, 10);
  for (int i = 0; i < 8; ++i) DeliverTo(alice, absl::StrCat(i));
  EXPECT_EQ(*loop.Run(warnings.RunOnce(100)), 1);
  Superuser("DELETE FROM mailbox.quota_warning");
  DeliverTo(alice, "9");  // 10 with the warning
  EXPECT_EQ(*loop.Run(warnings.RunOnce(100)), 1);
  EXPECT_EQ(Subjects(alice), "Your mailbox is 80% full;");
  EXPECT_EQ(Info(alice, "INBOX").messages, 10u);
}

TEST_F(QuotaTest, AWarningThatDoesNotFitIsDropped) {
  QuotaWarnings warnings(*database, deliveries, clock, {80});
  Limit("alice@one.test", 0, 2);
  DeliverTo(alice, "1");
  DeliverTo(alice, "2");
  EXPECT_TRUE(loop.Run(warnings.RunOnce(100)).ok());
  EXPECT_EQ(*loop.Run(warnings.RunOnce(100)), 0);
  EXPECT_EQ(Info(alice, "INBOX").messages, 2u);
}

}  // namespace
}  // namespace posthorn::mailbox
