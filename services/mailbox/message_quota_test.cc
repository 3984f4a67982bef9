// A quota by number of messages, replacing a message, and what is counted on request.
#include <gtest/gtest.h>

#include <optional>

#include "services/mailbox/store_test.h"

namespace posthorn::mailbox {
namespace {

class MessageQuotaTest : public StoreTest {
 protected:
  void Limit(std::optional<std::uint64_t> octets, std::optional<std::uint64_t> messages) {
    AccountChange change;
    change.quota_bytes = octets;
    change.quota_messages = messages;
    absl::StatusOr<AccountRecord> record = loop.Run(admin.SetAccount("alice@one.test", change));
    ASSERT_TRUE(record.ok()) << record.status();
    if (messages) {
      EXPECT_EQ(record->quota_messages, *messages);
    }
  }
  absl::StatusOr<StoredMessage> Replace(const std::string& body, Uid old_uid,
                                        const std::string& from = "INBOX") {
    NewMessage message = Message(alice, body);
    message.mailbox = Info(alice, "INBOX").id;
    return loop.Run(deliveries.Replace(std::move(message), Info(alice, from).id, old_uid));
  }
  std::vector<Uid> Uids(const std::string& mailbox) {
    std::vector<Uid> uids;
    for (const Entry& entry : Open(alice, mailbox).entries) uids.push_back(entry.uid);
    return uids;
  }
};

TEST_F(MessageQuotaTest, IsExactForDeliveriesAtTheSameTime) {
  Limit(std::nullopt, 20);
  std::vector<NewMessage> messages;
  for (int i = 0; i < 50; ++i) messages.push_back(Message(alice, absl::StrCat("body ", i)));
  int stored = 0;
  for (const absl::StatusOr<StoredMessage>& result : DeliverAll(std::move(messages))) {
    if (result.ok()) {
      ++stored;
    } else {
      EXPECT_EQ(FailureOf(result.status()), Failure::kOverQuota);
    }
  }
  EXPECT_EQ(stored, 20);
  EXPECT_EQ(Info(alice, "INBOX").messages, 20u);
  absl::StatusOr<Quota> quota = loop.Run(store.GetQuota(alice));
  ASSERT_TRUE(quota.ok());
  EXPECT_EQ(quota->used_messages, 20u);
  EXPECT_EQ(quota->limit_messages, 20u);
  EXPECT_EQ(quota->limit_octets, 0u);
  EXPECT_EQ(quota->used_octets, Info(alice, "INBOX").size);
  ExpectExactCounts();
}

TEST_F(MessageQuotaTest, HoldsForCopiesAndWholeAppendsButNotForMoves) {
  Limit(std::nullopt, 3);
  DeliverTo(alice, "one");
  DeliverTo(alice, "two");
  const MailboxId inbox = Info(alice, "INBOX").id;
  EXPECT_EQ(FailureOf(loop.Run(store.Copy(alice, inbox, {UidRange(1, 2)}, "Sent", false)).status()),
            Failure::kOverQuota);
  EXPECT_TRUE(loop.Run(store.Copy(alice, inbox, {UidRange(1, 1)}, "Sent", false)).ok());
  EXPECT_TRUE(loop.Run(store.Copy(alice, inbox, {UidRange(1, 2)}, "Trash", true)).ok());
  std::vector<NewMessage> two;
  two.push_back(Message(alice, "three"));
  two.push_back(Message(alice, "four"));
  EXPECT_EQ(FailureOf(loop.Run(deliveries.StoreAll(std::move(two))).status()), Failure::kOverQuota);
  Limit(std::nullopt, 0);
  DeliverTo(alice, "no limit any more");
  ExpectExactCounts();
}

TEST_F(MessageQuotaTest, OneLimitLeavesTheOtherAlone) {
  Limit(1000, std::nullopt);
  Limit(std::nullopt, 7);
  absl::StatusOr<Quota> quota = loop.Run(store.GetQuota(alice));
  ASSERT_TRUE(quota.ok());
  EXPECT_EQ(quota->limit_octets, 1000u);
  EXPECT_EQ(quota->limit_messages, 7u);
  EXPECT_EQ(FailureOf(loop.Run(store.GetQuota(Account(alice.tenant, AccountId(99999)))).status()),
            Failure::kNotFound);
}

TEST_F(MessageQuotaTest, ReplacingStoresOneAndRemovesTheOther) {
  DeliverTo(alice, "one");
  DeliverTo(alice, "two");
  Limit(Info(alice, "INBOX").size, 2);  // full
  const ModSeq before = Info(alice, "INBOX").highest_modseq;
  absl::StatusOr<StoredMessage> stored = Replace("new", 1);
  ASSERT_TRUE(stored.ok()) << stored.status();
  EXPECT_EQ(stored->uid, 3u);
  EXPECT_EQ(Uids("INBOX"), (std::vector<Uid>{2, 3}));
  absl::StatusOr<Changes> changes =
      loop.Run(store.GetChanges(alice, Info(alice, "INBOX").id, before, false));
  ASSERT_TRUE(changes.ok());
  EXPECT_EQ(changes->expunged, std::vector<Uid>{1});
  ASSERT_EQ(changes->changed.size(), 1u);
  EXPECT_EQ(changes->changed[0].uid, 3u);
  // From another mailbox, and by the very same body.
  ASSERT_TRUE(
      loop.Run(store.Copy(alice, Info(alice, "INBOX").id, {UidRange(2, 2)}, "Drafts", true)).ok());
  ASSERT_TRUE(Replace("two", 1, "Drafts").ok());
  EXPECT_EQ(Uids("Drafts"), std::vector<Uid>());
  EXPECT_EQ(Uids("INBOX"), (std::vector<Uid>{3, 4}));
  ExpectExactCounts();
}

TEST_F(MessageQuotaTest, AReplacementThatFailsChangesNothing) {
  DeliverTo(alice, "one");
  EXPECT_EQ(FailureOf(Replace("new", 9).status()), Failure::kNotFound);
  Limit(30, std::nullopt);
  EXPECT_EQ(FailureOf(Replace(std::string(100, 'x'), 1).status()), Failure::kOverQuota);
  EXPECT_EQ(Uids("INBOX"), std::vector<Uid>{1});
  NewMessage message = Message(bob, "bob's");
  message.mailbox = Info(bob, "INBOX").id;
  EXPECT_EQ(
      FailureOf(
          loop.Run(deliveries.Replace(std::move(message), Info(alice, "INBOX").id, 1)).status()),
      Failure::kNotFound);
  EXPECT_EQ(Uids("INBOX"), std::vector<Uid>{1});
  EXPECT_EQ(Info(bob, "INBOX").messages, 0u);
  ExpectExactCounts();
}

TEST_F(MessageQuotaTest, DeletedMessagesAreCountedOnRequest) {
  DeliverTo(alice, "one");
  DeliverTo(alice, "three");
  const MailboxId inbox = Info(alice, "INBOX").id;
  ASSERT_TRUE(
      loop.Run(store.StoreFlags(alice, inbox, {UidRange(2, 2)}, FlagMode::kAdd, kFlagDeleted, {}))
          .ok());
  ASSERT_TRUE(loop.Run(store.Copy(alice, inbox, {UidRange(2, 2)}, "Sent", false)).ok());
  absl::StatusOr<MailboxInfo> info = loop.Run(store.Get(alice, "INBOX", true));
  ASSERT_TRUE(info.ok());
  EXPECT_EQ(info->deleted, 1u);
  EXPECT_EQ(info->deleted_size, Open(alice, "INBOX").entries[1].size);
  EXPECT_EQ(Info(alice, "INBOX").deleted, 0u);
  absl::StatusOr<MailboxList> list = loop.Run(store.List(alice, true));
  ASSERT_TRUE(list.ok());
  int counted = 0;
  for (const MailboxInfo& box : list->mailboxes) counted += static_cast<int>(box.deleted);
  EXPECT_EQ(counted, 2);
}

}  // namespace
}  // namespace posthorn::mailbox
