#include "services/mailbox/deleted_store.h"

#include <gtest/gtest.h>

#include "services/mailbox/maintenance.h"
#include "services/mailbox/store_test.h"

namespace posthorn::mailbox {
namespace {

class DeletedTest : public StoreTest {
 protected:
  DeletedTest() : keeping(postgres::Database::Open(KeepingOptions(url))), kept(*keeping, hints) {}

  static postgres::DatabaseOptions KeepingOptions(const std::string& url) {
    postgres::DatabaseOptions options;
    options.connection = ConnectionFor(url, true);
    options.connections = 2;
    return options;
  }

  Uid Put(Account account, const std::string& subject, const std::string& mailbox = "INBOX",
          std::uint32_t flags = 0, std::vector<std::string> keywords = {}) {
    NewMessage message = Message(account, "From: Eve <eve@x.test>\r\nSubject: " + subject +
                                              "\r\n\r\nbody of " + subject + "\r\n");
    message.mailbox = Info(account, mailbox).id;
    message.flags = flags;
    message.keywords = std::move(keywords);
    return Deliver(std::move(message))->uid;
  }
  void Expunge(Account account, const std::string& mailbox, Uid first, Uid last) {
    const std::vector<UidRange> range(1, UidRange(first, last));
    ASSERT_TRUE(loop.Run(kept.Expunge(account, Info(account, mailbox).id, range, false)).ok());
  }
  std::vector<DeletedMessage> List(Account account, DeletedFilter filter = {}) {
    auto messages = loop.Run(deleted.List(account, std::move(filter)));
    EXPECT_TRUE(messages.ok()) << messages.status();
    return messages.ok() ? *messages : std::vector<DeletedMessage>();
  }
  absl::StatusOr<std::int64_t> Undelete(Account account, std::vector<std::int64_t> ids,
                                        const std::string& mailbox = "") {
    return loop.Run(deleted.Undelete(account, std::move(ids), mailbox));
  }
  std::uint64_t Used(const std::string& address) {
    return loop.Run(admin.GetAccount(address))->used_bytes;
  }
  std::string Body(Account account, const std::string& mailbox, Uid uid) {
    FetchItems items;
    items.body = true;
    const std::vector<UidRange> range(1, UidRange(uid, uid));
    FetchCursor cursor(bodies, account, Info(account, mailbox).id, range, items);
    auto batch = loop.Run(cursor.Next());
    return batch.ok() && !batch->empty() ? batch->front().body : "";
  }

  std::unique_ptr<postgres::Database> keeping;
  MailboxStore kept;
};

TEST_F(DeletedTest, ComesBackWithFlagsAndDatesUnderANewUid) {
  Put(alice, "first");
  Put(alice, "second", "INBOX", kFlagSeen | kFlagDeleted, {"$Work", "blue"});
  const std::string body = Body(alice, "INBOX", 2);
  Expunge(alice, "INBOX", 2, 2);
  EXPECT_EQ(Info(alice, "INBOX").messages, 1u);
  const std::uint64_t used = Used("alice@one.test");
  const std::vector<DeletedMessage> list = List(alice);
  ASSERT_EQ(list.size(), 1u);
  EXPECT_EQ(list[0].mailbox, "INBOX");
  EXPECT_EQ(list[0].uid, 2u);
  EXPECT_EQ(list[0].subject, "second");
  EXPECT_EQ(list[0].from, "eve@x.test");
  EXPECT_EQ(list[0].size, body.size());
  EXPECT_TRUE(List(bob).empty());
  EXPECT_EQ(*Undelete(bob, {list[0].id}), 0);

  const ModSeq before = Info(alice, "INBOX").highest_modseq;
  EXPECT_EQ(*Undelete(alice, {list[0].id}), 1);
  EXPECT_TRUE(List(alice).empty());
  const OpenedMailbox inbox = Open(alice, "INBOX");
  ASSERT_EQ(inbox.entries.size(), 2u);
  EXPECT_EQ(inbox.entries[1].uid, 3u);
  EXPECT_EQ(inbox.entries[1].flags, kFlagSeen);
  EXPECT_EQ(inbox.entries[1].keywords, (std::vector<std::string>{"$Work", "blue"}));
  EXPECT_EQ(inbox.entries[1].received_at, absl::FromUnixSeconds(1700000000));
  EXPECT_GT(inbox.info.highest_modseq, before);
  EXPECT_EQ(Body(alice, "INBOX", 3), body);
  EXPECT_EQ(Used("alice@one.test"), used + body.size());
  EXPECT_EQ(*Undelete(alice, {list[0].id}), 0);  // once
  ExpectExactCounts();
}

TEST_F(DeletedTest, AMailboxThatWasDeletedOrRenamedIsFoundOrMadeAgain) {
  ASSERT_TRUE(loop.Run(store.Create(alice, "a/b", "")).ok());
  Put(alice, "in b", "a/b");
  Put(alice, "in b too", "a/b");
  ASSERT_TRUE(loop.Run(kept.Delete(alice, "a/b")).ok());
  ASSERT_TRUE(loop.Run(kept.Delete(alice, "a")).ok());
  std::vector<DeletedMessage> list = List(alice);
  ASSERT_EQ(list.size(), 2u);
  EXPECT_EQ(*Undelete(alice, {list[0].id, list[1].id}), 2);
  EXPECT_EQ(Info(alice, "a/b").messages, 2u);
  EXPECT_EQ(Info(alice, "a").messages, 0u);
  Expunge(alice, "a/b", 1, 9);
  ASSERT_TRUE(loop.Run(store.Rename(alice, "a/b", "c")).ok());
  list = List(alice);
  ASSERT_EQ(list.size(), 2u);
  EXPECT_EQ(list[0].mailbox, "a/b");
  EXPECT_EQ(*Undelete(alice, {list[0].id}), 1);
  EXPECT_EQ(Info(alice, "c").messages, 1u);
  // And where it is wanted instead.
  EXPECT_EQ(*Undelete(alice, {list[1].id}, "saved/here"), 1);
  EXPECT_EQ(Info(alice, "saved/here").messages, 1u);
  EXPECT_EQ(FailureOf(Undelete(alice, {1}, "a//b").status()), Failure::kMailboxNameInvalid);
  ExpectExactCounts();
}

TEST_F(DeletedTest, AMoveIsNoDeletionAndACopyStays) {
  Put(alice, "moved");
  const MailboxId inbox = Info(alice, "INBOX").id;
  ASSERT_TRUE(loop.Run(kept.Copy(alice, inbox, {UidRange(1, 1)}, "Archive", false)).ok());
  ASSERT_TRUE(loop.Run(kept.Copy(alice, inbox, {UidRange(1, 1)}, "Trash", true)).ok());
  EXPECT_TRUE(List(alice).empty());
  Expunge(alice, "Trash", 1, 1);
  EXPECT_EQ(List(alice).size(), 1u);
  ExpectExactCounts();
  EXPECT_EQ(*loop.Run(deleted.Purge(absl::ZeroDuration(), 100)), 1);
  EXPECT_EQ(Info(alice, "Archive").messages, 1u);
  EXPECT_NE(Body(alice, "Archive", 1), "");
  ExpectExactCounts();
}

TEST_F(DeletedTest, FiltersAndPages) {
  for (const char* subject : {"one", "two", "three"}) Put(alice, subject);
  Put(alice, "junk", "Junk");
  Expunge(alice, "INBOX", 1, 9);
  Expunge(alice, "Junk", 1, 9);
  Superuser(
      "UPDATE mailbox.deleted SET deleted_at = deleted_at - interval '2 hours'"
      " WHERE uid < 2 AND mailbox_name = 'INBOX'");
  DeletedFilter filter;
  filter.mailbox = "Junk";
  EXPECT_EQ(List(alice, filter).size(), 1u);
  filter = DeletedFilter();
  filter.since = absl::Now() - absl::Hours(1);
  EXPECT_EQ(List(alice, filter).size(), 3u);
  filter = DeletedFilter();
  filter.until = absl::Now() - absl::Hours(1);
  EXPECT_EQ(List(alice, filter).size(), 1u);
  filter = DeletedFilter();
  filter.limit = 3;
  const std::vector<DeletedMessage> page = List(alice, filter);
  ASSERT_EQ(page.size(), 3u);
  filter.after = page.back().id;
  EXPECT_EQ(List(alice, filter).size(), 1u);
}

TEST_F(DeletedTest, CountsAgainstNothingButComesBackWithinTheQuotaOnly) {
  const Account small = AddAccount("one", "one.test", "small@one.test", 250);
  Put(small, "one");
  Expunge(small, "INBOX", 1, 1);
  EXPECT_EQ(Used("small@one.test"), 0u);
  Put(small, std::string(60, 'x'));
  const std::vector<DeletedMessage> list = List(small);
  ASSERT_EQ(list.size(), 1u);
  EXPECT_EQ(FailureOf(Undelete(small, {list[0].id}).status()), Failure::kOverQuota);
  EXPECT_EQ(List(small).size(), 1u);
  ExpectExactCounts();
}

TEST_F(DeletedTest, OnlyWhatIsOldEnoughIsPurgedAndThenItsBodyGoes) {
  Put(alice, "old");
  Put(alice, "new");
  Expunge(alice, "INBOX", 1, 2);
  Superuser("UPDATE mailbox.deleted SET deleted_at = now() - interval '8 days' WHERE uid = 1");
  QuotaWarnings warnings(*database, deliveries, clock, {});
  Maintenance maintenance(bodies, deleted, warnings, absl::Hours(24 * 7));
  ASSERT_TRUE(
      loop.Run(maintenance.RunOnce(absl::ZeroDuration(), absl::Hours(1), absl::Hours(1))).ok());
  const std::vector<DeletedMessage> left = List(alice);
  ASSERT_EQ(left.size(), 1u);
  EXPECT_EQ(left[0].subject, "new");
  EXPECT_EQ(Superuser("SELECT count(*) FROM mailbox.email").Int(0, 0), 1);
  EXPECT_EQ(Superuser("SELECT count(*) FROM mailbox.body").Int(0, 0), 1);
  EXPECT_EQ(*Undelete(alice, {left[0].id}), 1);
  ExpectExactCounts();
}

TEST_F(DeletedTest, WithoutTheSettingNothingIsKept) {
  Put(alice, "gone");
  ASSERT_TRUE(
      loop.Run(store.Expunge(alice, Info(alice, "INBOX").id, {UidRange(1, 1)}, false)).ok());
  EXPECT_TRUE(List(alice).empty());
  EXPECT_EQ(Superuser("SELECT count(*) FROM mailbox.email").Int(0, 0), 0);
}

TEST_F(DeletedTest, GoesWithItsAccount) {
  Put(bob, "gone");
  Expunge(bob, "INBOX", 1, 1);
  ASSERT_TRUE(loop.Run(admin.RemoveAccount("bob@one.test")).ok());
  EXPECT_EQ(Superuser("SELECT count(*) FROM mailbox.deleted").Int(0, 0), 0);
  EXPECT_EQ(Superuser("SELECT count(*) FROM mailbox.email").Int(0, 0), 0);
  ExpectExactCounts();
}

}  // namespace
}  // namespace posthorn::mailbox
