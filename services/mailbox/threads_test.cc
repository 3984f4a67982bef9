#include "services/mailbox/threads.h"

#include <gtest/gtest.h>

#include <map>

#include "services/mailbox/store_test.h"

namespace posthorn::mailbox {
namespace {

class ThreadsTest : public StoreTest {
 protected:
  static std::string Text(const std::string& subject, const std::string& id,
                          const std::string& references = "") {
    std::string text = "Subject: " + subject + "\r\n";
    if (!id.empty()) text += "Message-ID: <" + id + ">\r\n";
    if (!references.empty()) text += "References: " + references + "\r\n";
    return text + "\r\nbody " + id + "\r\n";
  }
  // By UID: email and thread.
  std::map<Uid, std::pair<std::int64_t, std::int64_t>> Ids(Account account,
                                                           const std::string& mailbox = "INBOX") {
    FetchItems items;
    items.ids = true;
    FetchCursor cursor(bodies, account, Info(account, mailbox).id, {UidRange(1, 0xffffffff)},
                       items);
    std::map<Uid, std::pair<std::int64_t, std::int64_t>> ids;
    for (;;) {
      absl::StatusOr<std::vector<FetchedMessage>> batch = loop.Run(cursor.Next());
      EXPECT_TRUE(batch.ok()) << batch.status();
      if (!batch.ok() || batch->empty()) return ids;
      for (const FetchedMessage& message : *batch) {
        ids[message.uid] = {message.email_id, message.thread_id};
      }
    }
  }
};

TEST_F(ThreadsTest, RepliesShareTheThreadOfWhatTheyAnswer) {
  DeliverTo(alice, Text("Plan", "a@x"));
  DeliverTo(alice, Text("Re: plan", "b@x", "<a@x>"));
  DeliverTo(alice, Text("Other", "c@x", "<a@x> <b@x>"));  // another subject
  DeliverTo(alice, Text("Fwd: RE: Plan (fwd)", "d@x", "<gone@x> <b@x>"));
  DeliverTo(alice, Text("Plan", ""));  // no id: nothing connects it
  auto ids = Ids(alice);
  ASSERT_EQ(ids.size(), 5u);
  EXPECT_EQ(ids[1].second, ids[1].first);
  EXPECT_EQ(ids[2].second, ids[1].first);
  EXPECT_EQ(ids[3].second, ids[3].first);
  EXPECT_EQ(ids[5].second, ids[5].first);
  EXPECT_EQ(ids[4].second, ids[1].first);
}

TEST_F(ThreadsTest, AThreadNeverChangesAndSurvivesItsFirstMessage) {
  DeliverTo(alice, Text("s", "b@x", "<a@x>"));  // the answer came before the question
  DeliverTo(alice, Text("s", "d@x", "<c@x>"));
  auto before = Ids(alice);
  EXPECT_NE(before[1].second, before[2].second);
  DeliverTo(alice, Text("s", "a@x"));
  DeliverTo(alice, Text("s", "e@x", "<a@x> <c@x>"));  // joins both: the oldest counts
  ASSERT_TRUE(
      loop.Run(store.Expunge(alice, Info(alice, "INBOX").id, {UidRange(1, 1)}, false)).ok());
  DeliverTo(alice, Text("s", "f@x", "<b@x>"));
  auto after = Ids(alice);
  EXPECT_EQ(after[2], before[2]);
  EXPECT_EQ(after[3].second, before[1].second);
  EXPECT_EQ(after[4].second, before[1].second);
  EXPECT_EQ(after[5].second, before[1].second);
}

TEST_F(ThreadsTest, CopiesKeepTheirIdsAndAccountsTheirOwnThreads) {
  DeliverTo(alice, Text("s", "a@x"));
  DeliverTo(alice, Text("s", "b@x", "<a@x>"));
  DeliverTo(bob, Text("s", "z@x"));
  DeliverTo(bob, Text("s", "b@x", "<a@x>"));
  ASSERT_TRUE(
      loop.Run(store.Copy(alice, Info(alice, "INBOX").id, {UidRange(2, 2)}, "Sent", false)).ok());
  ASSERT_TRUE(
      loop.Run(store.Copy(alice, Info(alice, "INBOX").id, {UidRange(2, 2)}, "Trash", true)).ok());
  auto inbox = Ids(alice);
  EXPECT_EQ(Ids(alice, "Sent")[1], Ids(alice, "Trash")[1]);
  EXPECT_EQ(Ids(alice, "Sent")[1].second, inbox[1].first);
  auto of_bob = Ids(bob);
  EXPECT_EQ(of_bob[2].second, of_bob[2].first);
}

TEST_F(ThreadsTest, ManyMessagesInBatchesAndBehindWhatIsThere) {
  constexpr int kThreads = 7;
  std::vector<NewMessage> messages;
  for (int i = 0; i < 1100; ++i) {
    const std::string root = absl::StrCat("r", i % kThreads, "@x");
    messages.push_back(Message(
        alice, Text(absl::StrCat("t", i % kThreads), i < kThreads ? root : absl::StrCat(i, "@x"),
                    i < kThreads ? "" : absl::StrCat("<", root, ">"))));
  }
  for (NewMessage& message : messages) message.mailbox = Info(alice, "INBOX").id;
  absl::StatusOr<std::vector<StoredMessage>> stored =
      loop.Run(deliveries.StoreAll(std::move(messages)));
  ASSERT_TRUE(stored.ok()) << stored.status();
  auto ids = Ids(alice);
  ASSERT_EQ(ids.size(), 1100u);
  std::map<std::int64_t, int> sizes;
  for (const auto& [uid, id] : ids) ++sizes[id.second];
  EXPECT_EQ(sizes.size(), static_cast<std::size_t>(kThreads));
  EXPECT_EQ(Ids(alice), ids);
}

TEST_F(ThreadsTest, GoesWithTheAccount) {
  DeliverTo(alice, Text("s", "a@x"));
  Ids(alice);
  EXPECT_EQ(Superuser("SELECT count(*) FROM mailbox.thread").Int(0, 0), 1);
  ASSERT_TRUE(loop.Run(admin.RemoveAccount("alice@one.test")).ok());
  EXPECT_EQ(Superuser("SELECT count(*) FROM mailbox.thread").Int(0, 0), 0);
}

}  // namespace
}  // namespace posthorn::mailbox
