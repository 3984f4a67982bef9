#include "services/mailbox/mailbox_store.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <thread>

#include "services/mailbox/store_test.h"

namespace posthorn::mailbox {
namespace {

using MailboxStoreTest = StoreTest;
const std::vector<UidRange> kAll = {UidRange(1, 0xffffffff)};

Task<bool> WaitFor(Task<void> task) {
  co_await std::move(task);
  co_return true;
}

std::vector<Uid> UidsOfEntries(const std::vector<Entry>& entries) {
  std::vector<Uid> uids;
  for (const Entry& entry : entries) uids.push_back(entry.uid);
  return uids;
}

TEST_F(MailboxStoreTest, CreatesDeletesAndRenames) {
  ASSERT_TRUE(loop.Run(store.Create(alice, "a/b/c", "")).ok());
  EXPECT_EQ(Info(alice, "a").messages, 0u);
  EXPECT_EQ(FailureOf(loop.Run(store.Create(alice, "a/b", "")).status()), Failure::kMailboxExists);
  EXPECT_EQ(FailureOf(loop.Run(store.Create(alice, "inbox", "")).status()), Failure::kMailboxExists);
  EXPECT_EQ(FailureOf(loop.Run(store.Create(alice, "a//b", "")).status()),
            Failure::kMailboxNameInvalid);
  EXPECT_EQ(FailureOf(loop.Run(store.Delete(alice, "Inbox"))), Failure::kPermissionDenied);
  EXPECT_EQ(FailureOf(loop.Run(store.Delete(alice, "nope"))), Failure::kNoSuchMailbox);
  const MailboxInfo child = Info(alice, "a/b/c");
  ASSERT_TRUE(loop.Run(store.Rename(alice, "a", "x/y")).ok());
  EXPECT_EQ(Info(alice, "x/y/b/c").id, child.id);
  EXPECT_EQ(Info(alice, "x/y/b/c").uid_validity, child.uid_validity);
  EXPECT_EQ(FailureOf(loop.Run(store.Get(alice, "a")).status()), Failure::kNoSuchMailbox);
  EXPECT_EQ(FailureOf(loop.Run(store.Rename(alice, "x", "x/z"))), Failure::kMailboxNameInvalid);
  EXPECT_EQ(FailureOf(loop.Run(store.Rename(alice, "x", "Sent"))), Failure::kMailboxExists);
  EXPECT_EQ(FailureOf(loop.Run(store.Rename(alice, "gone", "g"))), Failure::kNoSuchMailbox);
}

TEST_F(MailboxStoreTest, DeletingAParentKeepsItsChildren) {
  ASSERT_TRUE(loop.Run(store.Create(alice, "a/b", "")).ok());
  const MailboxInfo child = Info(alice, "a/b");
  ASSERT_TRUE(loop.Run(store.Delete(alice, "a")).ok());
  EXPECT_EQ(FailureOf(loop.Run(store.Get(alice, "a")).status()), Failure::kNoSuchMailbox);
  EXPECT_EQ(Info(alice, "a/b").id, child.id);
  EXPECT_EQ(FailureOf(loop.Run(store.Delete(alice, "a"))), Failure::kMailboxHasChildren);
  ASSERT_TRUE(loop.Run(store.Rename(alice, "a", "z")).ok());
  EXPECT_EQ(Info(alice, "z/b").id, child.id);
  EXPECT_EQ(FailureOf(loop.Run(store.Get(alice, "z")).status()), Failure::kNoSuchMailbox);
  ASSERT_TRUE(loop.Run(store.Create(alice, "z", "")).ok());
  ASSERT_TRUE(loop.Run(store.Delete(alice, "z/b")).ok());
  ASSERT_TRUE(loop.Run(store.Delete(alice, "z")).ok());
  EXPECT_EQ(FailureOf(loop.Run(store.Delete(alice, "z"))), Failure::kNoSuchMailbox);
  ExpectExactCounts();
}

TEST_F(MailboxStoreTest, UidValidityNeverComesTwice) {
  const std::uint32_t first = loop.Run(store.Create(alice, "m", ""))->uid_validity;
  ASSERT_TRUE(loop.Run(store.Delete(alice, "m")).ok());
  EXPECT_GT(loop.Run(store.Create(alice, "m", ""))->uid_validity, first);
}

TEST_F(MailboxStoreTest, RenamingInboxMovesItsMessages) {
  DeliverTo(alice, "one");
  DeliverTo(alice, "two");
  ASSERT_TRUE(loop.Run(store.Rename(alice, "INBOX", "old/mail")).ok());
  EXPECT_EQ(Info(alice, "INBOX").messages, 0u);
  EXPECT_EQ(Info(alice, "INBOX").uid_next, 3u);
  EXPECT_EQ(Info(alice, "old/mail").messages, 2u);
  EXPECT_EQ(DeliverTo(alice, "three").uid, 3u);
  ExpectExactCounts();
}

TEST_F(MailboxStoreTest, SubscriptionsOutliveMailboxes) {
  ASSERT_TRUE(loop.Run(store.Create(alice, "s", "")).ok());
  EXPECT_FALSE(Info(alice, "s").subscribed);
  ASSERT_TRUE(loop.Run(store.Subscribe(alice, "s", true)).ok());
  EXPECT_TRUE(Info(alice, "s").subscribed);
  ASSERT_TRUE(loop.Run(store.Delete(alice, "s")).ok());
  EXPECT_EQ(loop.Run(store.List(alice))->other_subscriptions, (std::vector<std::string>{"s"}));
  ASSERT_TRUE(loop.Run(store.Subscribe(alice, "s", false)).ok());
  EXPECT_TRUE(loop.Run(store.List(alice))->other_subscriptions.empty());
}

TEST_F(MailboxStoreTest, FlagsAndKeywordsChangeOnlyWhatDiffers) {
  DeliverTo(alice, "one");
  DeliverTo(alice, "two");
  const MailboxId inbox = Info(alice, "INBOX").id;
  const auto change = [&](FlagMode mode, std::uint32_t flags, std::vector<std::string> keywords) {
    absl::StatusOr<FlagChanges> r =
        loop.Run(store.StoreFlags(alice, inbox, kAll, mode, flags, std::move(keywords)));
    EXPECT_TRUE(r.ok()) << r.status();
    return r.ok() ? *r : FlagChanges();
  };
  FlagChanges seen = change(FlagMode::kAdd, 1, {"$Work"});
  EXPECT_EQ(seen.changed.size(), 2u);
  EXPECT_EQ(seen.changed[0].flags, 1u);
  EXPECT_EQ(seen.changed[0].keywords, (std::vector<std::string>{"$Work"}));
  EXPECT_EQ(seen.changed[0].modseq, seen.highest_modseq);
  EXPECT_EQ(Info(alice, "INBOX").unseen, 0u);
  EXPECT_TRUE(change(FlagMode::kAdd, 1, {"$work"}).changed.empty());
  EXPECT_EQ(change(FlagMode::kAdd, 0, {"b"}).changed[0].keywords,
            (std::vector<std::string>{"$Work", "b"}));
  EXPECT_EQ(change(FlagMode::kRemove, 0, {"$WORK"}).changed[0].keywords,
            (std::vector<std::string>{"b"}));
  const FlagChanges set = change(FlagMode::kSet, 4, {});
  EXPECT_EQ(set.changed[1].flags, 4u);
  EXPECT_TRUE(set.changed[1].keywords.empty());
  EXPECT_EQ(Info(alice, "INBOX").unseen, 2u);
  ExpectExactCounts();
}

// Every way of changing flags, over one range and over several, beside the same in memory.
TEST_F(MailboxStoreTest, FlagsOfRangesAreWhatTheyShouldBe) {
  constexpr Uid kMessages = 12;
  for (Uid i = 0; i < kMessages; ++i) DeliverTo(alice, absl::StrCat("m", i));
  DeliverTo(bob, "untouched");
  const MailboxId inbox = Info(alice, "INBOX").id;
  std::map<Uid, std::pair<std::uint32_t, bool>> expected;  // flags, and whether it has the keyword
  for (Uid uid = 1; uid <= kMessages; ++uid) expected[uid] = {0, false};
  const std::vector<std::vector<UidRange>> sets = {
      {UidRange(2, 9)}, {UidRange(1, 3), UidRange(8, 20)}, {UidRange(5, 5)}, kAll};
  std::mt19937 random(7);
  for (int step = 0; step < 120; ++step) {
    const std::vector<UidRange>& uids = sets[random() % sets.size()];
    const FlagMode mode = static_cast<FlagMode>(1 + random() % 3);
    const std::uint32_t flags = std::vector<std::uint32_t>{0, 1, 4, 5}[random() % 4];
    const bool keyword = random() % 4 == 0;
    const ModSeq before = Info(alice, "INBOX").highest_modseq;
    std::vector<std::string> keywords;
    if (keyword) keywords.push_back("$k");
    const absl::StatusOr<FlagChanges> changes =
        loop.Run(store.StoreFlags(alice, inbox, uids, mode, flags, std::move(keywords)));
    ASSERT_TRUE(changes.ok());
    std::vector<Uid> changed;
    for (auto& [uid, has] : expected) {
      const bool meant = std::any_of(uids.begin(), uids.end(), [uid = uid](const UidRange& range) {
        return range.first <= uid && uid <= range.last;
      });
      if (!meant) continue;
      const auto old = has;
      if (mode == FlagMode::kSet) has = {flags, keyword};
      if (mode == FlagMode::kAdd) has = {has.first | flags, has.second || keyword};
      if (mode == FlagMode::kRemove) has = {has.first & ~flags, has.second && !keyword};
      if (has != old) changed.push_back(uid);
    }
    EXPECT_EQ(UidsOfEntries(changes->changed), changed) << step;
    EXPECT_EQ(changes->highest_modseq, before + (changed.empty() ? 0 : 1)) << step;
    for (const Entry& entry : changes->changed) {
      EXPECT_EQ(entry.flags, expected[entry.uid].first) << step;
      EXPECT_EQ(entry.keywords.size(), expected[entry.uid].second ? 1u : 0u) << step;
      EXPECT_EQ(entry.modseq, changes->highest_modseq);
    }
    ExpectExactCounts();
  }
  for (const Entry& entry : Open(alice, "INBOX").entries) {
    EXPECT_EQ(entry.flags, expected[entry.uid].first);
  }
  EXPECT_EQ(Info(bob, "INBOX").unseen, 1u);
}

TEST_F(MailboxStoreTest, CopiesMovesAndExpungesAtomically) {
  for (int i = 0; i < 5; ++i) DeliverTo(alice, absl::StrCat("m", i));
  const MailboxId inbox = Info(alice, "INBOX").id;
  const ModSeq before = Info(alice, "INBOX").highest_modseq;
  absl::StatusOr<CopyResult> copied = loop.Run(
      store.Copy(alice, inbox, {UidRange(1, 2), UidRange(4, 4), UidRange(90, 99)}, "Archive", false));
  ASSERT_TRUE(copied.ok()) << copied.status();
  EXPECT_EQ(copied->source, (std::vector<Uid>{1, 2, 4}));
  EXPECT_EQ(copied->destination, (std::vector<Uid>{1, 2, 3}));
  EXPECT_EQ(copied->uid_validity, Info(alice, "Archive").uid_validity);
  ExpectExactCounts();
  absl::StatusOr<CopyResult> moved =
      loop.Run(store.Copy(alice, inbox, {UidRange(3, 4)}, "Archive", true));
  ASSERT_TRUE(moved.ok());
  EXPECT_EQ(moved->destination, (std::vector<Uid>{4, 5}));
  EXPECT_EQ(FailureOf(loop.Run(store.Copy(alice, inbox, kAll, "nope", false)).status()),
            Failure::kNoSuchMailbox);
  ASSERT_TRUE(loop.Run(store.StoreFlags(alice, inbox, {UidRange(1, 1)}, FlagMode::kAdd, 8, {})).ok());
  absl::StatusOr<ExpungeResult> expunged = loop.Run(store.Expunge(alice, inbox, kAll, true));
  ASSERT_TRUE(expunged.ok());
  EXPECT_EQ(expunged->expunged, (std::vector<Uid>{1}));
  EXPECT_EQ(UidsOfEntries(Open(alice, "INBOX").entries), (std::vector<Uid>{2, 5}));
  absl::StatusOr<Changes> changes = loop.Run(store.GetChanges(alice, inbox, before, false));
  ASSERT_TRUE(changes.ok());
  EXPECT_EQ(changes->expunged, (std::vector<Uid>{1, 3, 4}));
  EXPECT_TRUE(changes->changed.empty());
  // The copy of an expunged message is whole.
  FetchItems items;
  items.body = true;
  FetchCursor cursor(bodies, alice, Info(alice, "Archive").id, kAll, items);
  absl::StatusOr<std::vector<FetchedMessage>> batch = loop.Run(cursor.Next());
  ASSERT_TRUE(batch.ok());
  ASSERT_EQ(batch->size(), 5u);
  EXPECT_EQ((*batch)[0].body, "Return-Path: <>\r\nm0");
  ExpectExactCounts();
}

TEST_F(MailboxStoreTest, RecentBelongsToOneSession) {
  DeliverTo(alice, "one");
  EXPECT_EQ(Open(alice, "INBOX").recent_from_uid, 1u);  // EXAMINE leaves it
  EXPECT_EQ(Open(alice, "INBOX", true).recent_from_uid, 1u);
  EXPECT_EQ(Open(alice, "INBOX", true).recent_from_uid, 2u);
  EXPECT_EQ(Info(alice, "INBOX").recent, 0u);
  const ModSeq high = Info(alice, "INBOX").highest_modseq;
  DeliverTo(alice, "two");
  absl::StatusOr<Changes> changes =
      loop.Run(store.GetChanges(alice, Info(alice, "INBOX").id, high, true));
  ASSERT_TRUE(changes.ok());
  EXPECT_EQ(changes->recent_from_uid, 2u);
  EXPECT_EQ(UidsOfEntries(changes->changed), (std::vector<Uid>{2}));
  EXPECT_EQ(Info(alice, "INBOX").recent, 0u);
}

TEST_F(MailboxStoreTest, CountsWhatIsRecentWhateverGoes) {
  for (int i = 0; i < 4; ++i) DeliverTo(alice, absl::StrCat("m", i));
  (void)Open(alice, "INBOX", true);
  for (int i = 4; i < 8; ++i) DeliverTo(alice, absl::StrCat("m", i));
  EXPECT_EQ(Info(alice, "INBOX").recent, 4u);
  const MailboxId inbox = Info(alice, "INBOX").id;
  ASSERT_TRUE(loop.Run(store.Expunge(alice, inbox, {UidRange(4, 5)}, false)).ok());
  EXPECT_EQ(Info(alice, "INBOX").recent, 3u);
  ASSERT_TRUE(loop.Run(store.Copy(alice, inbox, {UidRange(3, 3), UidRange(6, 6)}, "Archive", true)).ok());
  EXPECT_EQ(Info(alice, "INBOX").recent, 2u);
  EXPECT_EQ(Info(alice, "Archive").recent, 2u);
  ExpectExactCounts();
  ASSERT_TRUE(loop.Run(store.Rename(alice, "INBOX", "Older")).ok());  // its messages move
  EXPECT_EQ(Info(alice, "INBOX").recent, 0u);
  ExpectExactCounts();
  (void)Open(alice, "Older", true);
  EXPECT_EQ(Info(alice, "Older").recent, 0u);
  ASSERT_TRUE(loop.Run(store.Delete(alice, "Older")).ok());
  ExpectExactCounts();
}

TEST_F(MailboxStoreTest, ThePopLockHasOneHolder) {
  const std::string one(16, '1');
  const std::string two(16, '2');
  ASSERT_TRUE(loop.Run(store.AcquirePopLock(alice, one, absl::Minutes(1))).ok());
  EXPECT_TRUE(loop.Run(store.AcquirePopLock(alice, one, absl::Minutes(1))).ok());
  EXPECT_EQ(FailureOf(loop.Run(store.AcquirePopLock(alice, two, absl::Minutes(1)))),
            Failure::kMailboxInUse);
  EXPECT_TRUE(loop.Run(store.AcquirePopLock(bob, two, absl::Minutes(1))).ok());
  ASSERT_TRUE(loop.Run(store.ReleasePopLock(alice, two)).ok());  // not the holder: nothing
  EXPECT_FALSE(loop.Run(store.AcquirePopLock(alice, two, absl::Minutes(1))).ok());
  Superuser("UPDATE mailbox.pop_lock SET expires_at = now() - interval '1 second'");
  EXPECT_TRUE(loop.Run(store.AcquirePopLock(alice, two, absl::Minutes(1))).ok());
  ASSERT_TRUE(loop.Run(store.ReleasePopLock(alice, two)).ok());
  EXPECT_TRUE(loop.Run(store.AcquirePopLock(alice, one, absl::Minutes(1))).ok());
}

TEST_F(MailboxStoreTest, FetchesAnyRangesInOrderAndInBatches) {
  std::vector<NewMessage> messages;
  for (int i = 0; i < 2500; ++i) messages.push_back(Message(alice, absl::StrCat("body ", i)));
  std::vector<Uid> uid_of;
  for (const auto& result : DeliverAll(std::move(messages))) {
    ASSERT_TRUE(result.ok());
    uid_of.push_back(result->uid);
  }
  const MailboxId inbox = Info(alice, "INBOX").id;
  std::map<Uid, std::string> body_of;
  for (int i = 0; i < 2500; ++i) {
    body_of[uid_of[static_cast<std::size_t>(i)]] = absl::StrCat("Return-Path: <>\r\nbody ", i);
  }
  ASSERT_TRUE(loop.Run(store.Expunge(alice, inbox, {UidRange(10, 20)}, false)).ok());
  bool ahead = false;
  const auto fetch = [&](std::vector<UidRange> ranges) {
    FetchItems items;
    items.body = true;
    FetchCursor cursor(bodies, alice, inbox, std::move(ranges), items);
    if (ahead) cursor.ReadAhead();
    std::vector<Uid> uids;
    for (;;) {
      absl::StatusOr<std::vector<FetchedMessage>> batch = loop.Run(cursor.Next());
      EXPECT_TRUE(batch.ok()) << batch.status();
      if (!batch.ok() || batch->empty()) break;
      for (const FetchedMessage& message : *batch) {
        EXPECT_EQ(message.body, body_of[message.uid]);
        EXPECT_TRUE(message.body_complete);
        uids.push_back(message.uid);
      }
    }
    loop.Run(WaitFor(cursor.Stop()));
    return uids;
  };
  std::vector<Uid> all;
  for (Uid uid = 1; uid <= 2500; ++uid) {
    if (uid < 10 || uid > 20) all.push_back(uid);
  }
  for (const bool reads_ahead : {false, true}) {
    ahead = reads_ahead;
    EXPECT_EQ(fetch(kAll), all);
    EXPECT_EQ(fetch({UidRange(1, 2), UidRange(9, 21), UidRange(2499, 4294967295)}),
              (std::vector<Uid>{1, 2, 9, 21, 2499, 2500}));
    EXPECT_EQ(fetch({UidRange(5, 5), UidRange(100, 2200)}).size(), 2102u);
    std::vector<UidRange> sparse;
    for (Uid uid = 31; uid < 2500; uid += 2) sparse.emplace_back(uid, uid);
    EXPECT_EQ(fetch(sparse).size(), sparse.size());
    EXPECT_TRUE(fetch({}).empty());
  }
}

TEST_F(MailboxStoreTest, ReadingAheadMayStopAndSeesWhatIsExpungedMeanwhile) {
  std::vector<NewMessage> messages;
  for (int i = 0; i < 2100; ++i) messages.push_back(Message(alice, absl::StrCat("body ", i)));
  for (const auto& result : DeliverAll(std::move(messages))) ASSERT_TRUE(result.ok());
  const MailboxId inbox = Info(alice, "INBOX").id;
  FetchItems items;
  items.body = true;
  for (int batches = 0; batches < 3; ++batches) {
    FetchCursor cursor(bodies, alice, inbox, kAll, items);
    cursor.ReadAhead();
    for (int i = 0; i < batches; ++i) ASSERT_TRUE(loop.Run(cursor.Next()).ok());
    loop.Run(WaitFor(cursor.Stop()));
  }
  FetchCursor cursor(bodies, alice, inbox, kAll, items);
  cursor.ReadAhead();
  absl::StatusOr<std::vector<FetchedMessage>> batch = loop.Run(cursor.Next());
  ASSERT_TRUE(batch.ok());
  ASSERT_EQ(batch->size(), 1000u);
  // The second batch was under way, and has it or not; the third was not.
  ASSERT_TRUE(loop.Run(store.Expunge(alice, inbox, {UidRange(2050, 2060)}, false)).ok());
  Uid last = batch->back().uid;
  for (;;) {
    batch = loop.Run(cursor.Next());
    ASSERT_TRUE(batch.ok());
    if (batch->empty()) break;
    for (const FetchedMessage& message : *batch) {
      EXPECT_GT(message.uid, last);
      EXPECT_TRUE(message.uid < 2050 || message.uid > 2060);
      last = message.uid;
    }
  }
  EXPECT_EQ(last, 2100u);
  loop.Run(WaitFor(cursor.Stop()));
}

// A batch of bodies comes in pieces.
TEST_F(MailboxStoreTest, PiecesOfABatchAreInOrder) {
  std::vector<std::string> sent;
  for (int i = 0; i < 60; ++i) {
    sent.push_back(absl::StrCat("Subject: ", i, "\r\n\r\n", std::string(60000, 'a' + i % 26)));
    DeliverTo(alice, sent.back());
  }
  FetchItems items;
  items.body = true;
  items.header = true;
  FetchCursor cursor(bodies, alice, Info(alice, "INBOX").id, kAll, items);
  cursor.ReadAhead();
  std::size_t next = 0;
  for (;;) {
    absl::StatusOr<std::vector<FetchedMessage>> batch = loop.Run(cursor.Next());
    ASSERT_TRUE(batch.ok());
    if (batch->empty()) break;
    EXPECT_LE(batch->size(), 6u);
    for (const FetchedMessage& message : *batch) {
      ASSERT_LT(next, sent.size());
      EXPECT_TRUE(message.body == "Return-Path: <>\r\n" + sent[next]) << next;
      EXPECT_EQ(message.header, absl::StrCat("Return-Path: <>\r\nSubject: ", next, "\r\n\r\n"));
      ++next;
    }
  }
  EXPECT_EQ(next, sent.size());
  loop.Run(WaitFor(cursor.Stop()));
}

TEST_F(MailboxStoreTest, UidsAreFoundByThePrimaryKeyAndChangesByMODSEQ) {
  EXPECT_EQ(Superuser("SELECT count(*) FROM pg_index WHERE indrelid = 'mailbox.entry'::regclass"
                      " AND NOT indisprimary AND indpred IS NULL").Int(0, 0), 0);
  DeliverTo(alice, "x\r\n");
  const std::string own = " FROM mailbox.entry WHERE tenant_id = $1 AND mailbox_id = $2 AND ";
  const auto plan = [&](const std::string& sql) {
    postgres::Params params = postgres::Params::Of(alice.tenant, Info(alice, "INBOX").id);
    absl::StatusOr<postgres::Result> rows =
        loop.Run(database->QueryFor(alice.tenant, "EXPLAIN " + sql, std::move(params)));
    EXPECT_TRUE(rows.ok()) << rows.status();
    std::string text;
    for (int i = 0; rows.ok() && i < rows->rows(); ++i) text += rows->Text(i, 0) + "\n";
    return text;
  };
  for (const char* const of : {"uid BETWEEN 5 AND 6", "uid = ANY ('{5,6}')", "uid = 5", "true"}) {
    const std::string text = plan("SELECT uid, flags" + own + of);
    EXPECT_NE(text.find("entry_pkey"), std::string::npos) << text;
  }
  const std::string text = plan("SELECT uid, flags" + own + "modseq > 7 AND modseq > 0");
  EXPECT_NE(text.find("entry_changed"), std::string::npos) << text;
}

TEST_F(MailboxStoreTest, CountsStayExactUnderConcurrentRandomOperations) {
  ASSERT_TRUE(loop.Run(store.Create(alice, "other", "")).ok());
  const MailboxId boxes[] = {Info(alice, "INBOX").id, Info(alice, "other").id};
  const char* names[] = {"INBOX", "other"};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      testing::TestLoop own;
      std::mt19937 random(static_cast<unsigned>(t));
      for (int i = 0; i < 60; ++i) {
        const int box = static_cast<int>(random() % 2);
        const Uid first = random() % 60 + 1;
        const std::vector<UidRange> some = {UidRange(first, first + random() % 10)};
        absl::Status status;
        switch (random() % 6) {
          case 0:
          case 1: {
            NewMessage message = Message(alice, absl::StrCat("body ", random() % 5));
            message.mailbox = boxes[box];
            message.flags = random() % 2;
            status = own.Run(deliveries.Store(std::move(message))).status();
            break;
          }
          case 2:
            status = own.Run(store.StoreFlags(alice, boxes[box], some,
                                              static_cast<FlagMode>(random() % 3 + 1),
                                              random() % 32, {})).status();
            break;
          case 3:
            status = own.Run(store.Copy(alice, boxes[box], some, names[1 - box], false)).status();
            break;
          case 4:
            status = own.Run(store.Copy(alice, boxes[box], some, names[1 - box], true)).status();
            break;
          case 5:
            status = own.Run(store.Expunge(alice, boxes[box], some, random() % 2 == 0)).status();
            break;
        }
        EXPECT_TRUE(status.ok()) << status;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  ExpectExactCounts();
}

TEST_F(MailboxStoreTest, StoresFlagsOnlyOfWhatIsUnchanged) {
  for (int i = 0; i < 4; ++i) DeliverTo(alice, absl::StrCat("m", i));
  const MailboxId inbox = Info(alice, "INBOX").id;
  const std::vector<Entry> before = Open(alice, "INBOX").entries;
  ASSERT_TRUE(loop.Run(store.StoreFlags(alice, inbox, {UidRange(2, 2)}, FlagMode::kAdd, 4, {})).ok());
  absl::StatusOr<FlagChanges> changes =
      loop.Run(store.StoreFlags(alice, inbox, {UidRange(1, 9)}, FlagMode::kAdd, kFlagSeen, {"x"},
                                before[2].modseq));
  ASSERT_TRUE(changes.ok()) << changes.status();
  EXPECT_EQ(changes->modified, (std::vector<Uid>{2, 4}));
  EXPECT_EQ(UidsOfEntries(changes->changed), (std::vector<Uid>{1, 3}));
  EXPECT_EQ(changes->highest_modseq, Info(alice, "INBOX").highest_modseq);
  const std::vector<Entry> after = Open(alice, "INBOX").entries;
  EXPECT_EQ(after[0].flags, kFlagSeen);
  EXPECT_EQ(after[1].flags, 4u);
  EXPECT_EQ(after[3].modseq, before[3].modseq);
  EXPECT_EQ(Info(alice, "INBOX").unseen, 2u);
  // Nobody else's mailbox, and none that is not there.
  EXPECT_EQ(FailureOf(loop.Run(store.StoreFlags(bob, inbox, kAll, FlagMode::kAdd, kFlagSeen, {}, 1))
                          .status()),
            Failure::kNotFound);
  changes = loop.Run(store.StoreFlags(alice, inbox, kAll, FlagMode::kAdd, kFlagDeleted, {}, 0));
  ASSERT_TRUE(changes.ok()) << changes.status();
  EXPECT_EQ(changes->modified.size(), 4u);
  EXPECT_TRUE(changes->changed.empty());
  ExpectExactCounts();
}

TEST_F(MailboxStoreTest, ChangesAreLookedUpByModSeqHoweverLargeTheMailboxIs) {
  std::vector<NewMessage> messages;
  for (int i = 0; i < 300; ++i) messages.push_back(Message(alice, absl::StrCat("Subject: n\r\n\r\n", i)));
  for (const auto& stored : DeliverAll(std::move(messages))) ASSERT_TRUE(stored.ok());
  Superuser("ANALYZE mailbox.entry");
  const MailboxInfo inbox = Info(alice, "INBOX");
  const auto scans = [&] {
    return Superuser("SELECT coalesce(sum(s.idx_scan), 0)::bigint FROM pg_stat_user_indexes s"
                     " WHERE s.relid = 'mailbox.entry'::regclass"
                     " AND pg_get_indexdef(s.indexrelid) LIKE '%(tenant_id, mailbox_id, modseq)%'")
        .Int(0, 0);
  };
  const std::int64_t before = scans();
  constexpr int kTimes = 20;
  for (int i = 0; i < kTimes; ++i) {
    absl::StatusOr<Changes> changes =
        loop.Run(store.GetChanges(alice, inbox.id, inbox.highest_modseq, false));
    ASSERT_TRUE(changes.ok()) << changes.status();
    EXPECT_TRUE(changes->changed.empty());
  }
  // Sessions of the database tell their counts when they have been idle for a while.
  const absl::Time deadline = absl::Now() + absl::Seconds(60);
  while (scans() < before + kTimes && absl::Now() < deadline) absl::SleepFor(absl::Milliseconds(50));
  EXPECT_GE(scans(), before + kTimes) << "the mailbox was read by UID";
}

}  // namespace
}  // namespace posthorn::mailbox
