#include "services/gateway/imap/selected_mailbox.h"

#include "services/gateway/imap/snapshot_cache.h"

#include <gtest/gtest.h>

namespace posthorn::gateway {
namespace {

SelectedMailbox WithUids(const std::vector<Uid>& uids) {
  MailboxInfo info;
  info.highest_modseq = 1;
  SelectedMailbox mailbox(info, false);
  std::vector<MailEntry> entries(uids.size());
  for (std::size_t i = 0; i < uids.size(); ++i) entries[i].uid = uids[i];
  mailbox.Append(entries);
  return mailbox;
}

imap::SequenceSet Set(std::vector<imap::SequenceRange> ranges) {
  imap::SequenceSet set;
  set.ranges = std::move(ranges);
  return set;
}

using Indexes = std::vector<std::size_t>;

TEST(SelectedMailboxTest, SelectsByNumberAndByUid) {
  const SelectedMailbox mailbox = WithUids({3, 5, 9, 20});
  EXPECT_EQ(mailbox.Select(Set({{2, 3}}), false), (Indexes{1, 2}));
  EXPECT_EQ(mailbox.Select(Set({{4, 9}}), true), (Indexes{1, 2}));
  EXPECT_EQ(mailbox.Select(Set({{100, imap::kStar}}), true), (Indexes{3}));
  EXPECT_EQ(mailbox.Select(Set({{9, 9}, {3, 5}}), true), (Indexes{0, 1, 2}));
  EXPECT_EQ(mailbox.Select(Set({{1, 4294967295u}}), false).size(), 4u);
}

TEST(SelectedMailboxTest, ExpungesAreNumberedAsTheClientCounts) {
  SelectedMailbox mailbox = WithUids({1, 2, 3, 4, 5});
  mailbox.MarkExpunged({5, 2, 3, 2, 77});
  EXPECT_EQ(mailbox.count(), 5u);
  std::string out;
  mailbox.ReportExpunges(false, out);
  EXPECT_EQ(out, "* 2 EXPUNGE\r\n* 2 EXPUNGE\r\n* 3 EXPUNGE\r\n");
  EXPECT_EQ(mailbox.count(), 2u);
  EXPECT_FALSE(mailbox.has_unreported_expunges());
}

TEST(SelectedMailboxTest, UidRangesJoinNeighboursAndLeaveOutTheExpunged) {
  SelectedMailbox mailbox = WithUids({1, 5, 9, 20, 30});
  mailbox.MarkExpunged({9});
  EXPECT_EQ(mailbox.UidRanges({0, 1, 2, 3}),
            (std::vector<UidRange>{UidRange(1, 5), UidRange(20, 20)}));
  EXPECT_EQ(mailbox.UidRanges({0, 4}), (std::vector<UidRange>{UidRange(1, 1), UidRange(30, 30)}));
}

TEST(SelectedMailboxTest, AppliesChangesOnce) {
  SelectedMailbox mailbox = WithUids({1, 2});
  MailboxChanges changes;
  changes.info.highest_modseq = 9;
  changes.changed.resize(2);
  changes.changed[0].uid = 2;
  changes.changed[0].flags.system = kFlagSeen;
  changes.changed[0].flags.keywords = {"a"};
  changes.changed[1].uid = 7;
  changes.expunged = {1};
  const SelectedMailbox::Difference first = mailbox.Apply(changes);
  EXPECT_TRUE(first.new_messages);
  EXPECT_TRUE(first.new_keywords);
  EXPECT_EQ(first.flags_changed, (Indexes{1}));
  EXPECT_TRUE(mailbox.has_unreported_expunges());
  EXPECT_EQ(mailbox.modseq(), 9);
  const SelectedMailbox::Difference again = mailbox.Apply(changes);
  EXPECT_FALSE(again.new_messages);
  EXPECT_FALSE(again.new_keywords);
  EXPECT_TRUE(again.flags_changed.empty());
  EXPECT_TRUE(mailbox.HasKeyword(mailbox.messages()[1], "A"));
}

TEST(SelectedMailboxTest, AMessageTakesTwentyFourOctets) {
  EXPECT_LE(sizeof(SelectedMailbox::Message), 24u);
}

TEST(SelectedMailboxTest, KeepsDatesFarAway) {
  MailboxInfo info;
  SelectedMailbox mailbox(info, false);
  std::vector<MailEntry> entries(4);
  const std::vector<std::int64_t> seconds = {-2'000'000'000, 5'000'000'000, -90'000'000'000,
                                             90'000'000'000};
  for (std::size_t i = 0; i < entries.size(); ++i) {
    entries[i].uid = static_cast<Uid>(i + 1);
    entries[i].received_at = absl::FromUnixSeconds(seconds[i]);
  }
  mailbox.Append(entries);
  EXPECT_EQ(mailbox.messages()[0].received_seconds, -2'000'000'000);
  EXPECT_EQ(mailbox.messages()[1].received_seconds, 5'000'000'000);
  // Beyond what fits: the last that does.
  EXPECT_EQ(mailbox.messages()[2].received_seconds, -8'589'934'591);
  EXPECT_EQ(mailbox.messages()[3].received_seconds, 8'589'934'591);
}

// The UIDs and flags of a mailbox, and which are expunged.
std::string Show(const SelectedMailbox& mailbox) {
  std::string text;
  for (std::size_t i = 0; i < mailbox.messages().size(); ++i) {
    const SelectedMailbox::Message& message = mailbox.messages()[i];
    text += std::to_string(message.uid) + (message.expunged ? "x" : "");
    mailbox.AppendFlagsOf(message, text);
  }
  return text;
}

std::vector<Uid> UidsUpTo(Uid last) {
  std::vector<Uid> uids;
  for (Uid uid = 1; uid <= last; ++uid) uids.push_back(uid);
  return uids;
}

MailboxChanges FlagChange(Uid uid, ModSeq modseq) {
  MailboxChanges changes;
  changes.info.highest_modseq = modseq;
  changes.changed.resize(1);
  changes.changed[0].uid = uid;
  changes.changed[0].modseq = modseq;
  changes.changed[0].flags.system = kFlagSeen;
  return changes;
}

TEST(SelectedMailboxTest, SharedListsDoNotSeeEachOthersChanges) {
  SelectedMailbox first = WithUids(UidsUpTo(3000));
  const std::unique_ptr<SelectedMailbox> second = first.Share(true);
  const std::string before = Show(*second);
  EXPECT_EQ(Show(first), before);
  first.Apply(FlagChange(1500, 2));
  first.MarkExpunged({2, 2999});
  std::string out;
  first.ReportExpunges(false, out);
  EXPECT_EQ(out, "* 2 EXPUNGE\r\n* 2998 EXPUNGE\r\n");
  EXPECT_EQ(first.count(), 2998u);
  EXPECT_EQ(Show(*second), before);
  EXPECT_EQ(second->modseq(), 1);
  EXPECT_FALSE(first.read_only());
  EXPECT_TRUE(second->read_only());

  const std::string after = Show(first);
  second->Apply(FlagChange(7, 3));
  second->MarkRecent(2900);
  EXPECT_EQ(Show(first), after);
}

TEST(SelectedMailboxTest, ASharedListIsAsIfNothingHadBeenTold) {
  SelectedMailbox first = WithUids({1, 2, 3, 4});
  first.MarkRecent(3);
  first.MarkExpunged({2, 4});
  EXPECT_EQ(first.recent_count(), 2u);
  const std::unique_ptr<SelectedMailbox> second = first.Share(false);
  EXPECT_EQ(Show(*second), "1()3()");
  EXPECT_EQ(second->recent_count(), 0u);
  EXPECT_FALSE(second->has_unreported_expunges());
  EXPECT_EQ(Show(first), "1()2x()3(\\Recent)4x(\\Recent)");
}

TEST(SelectedMailboxTest, FirstUnseenFollowsChanges) {
  SelectedMailbox mailbox = WithUids(UidsUpTo(2100));
  EXPECT_EQ(mailbox.FirstUnseen(), 0u);
  MailboxChanges all;
  for (Uid uid = 1; uid <= 2100; ++uid) {
    all.changed.push_back(FlagChange(uid, 2).changed[0]);
  }
  mailbox.Apply(all);
  EXPECT_EQ(mailbox.FirstUnseen(), std::nullopt);
  MailboxChanges unseen = FlagChange(2050, 3);
  unseen.changed[0].flags.system = 0;
  mailbox.Apply(unseen);
  EXPECT_EQ(mailbox.FirstUnseen(), 2049u);
  mailbox.MarkExpunged({1});
  std::string out;
  mailbox.ReportExpunges(false, out);
  EXPECT_EQ(mailbox.FirstUnseen(), 2048u);
}

TEST(SelectedMailboxTest, RecentIsCountedAndForgotten) {
  SelectedMailbox mailbox = WithUids({1, 2, 3, 4});
  mailbox.MarkRecent(2);
  EXPECT_EQ(mailbox.recent_count(), 3u);
  mailbox.MarkExpunged({3});
  EXPECT_EQ(mailbox.recent_count(), 3u);  // the client still counts it
  std::string out;
  mailbox.ReportExpunges(false, out);
  EXPECT_EQ(mailbox.recent_count(), 2u);
  mailbox.ForgetRecent();
  EXPECT_EQ(mailbox.recent_count(), 0u);
  EXPECT_EQ(Show(mailbox), "1()2()4()");
}

TEST(SnapshotCacheTest, HandsOutWhatIsNewestAndDropsWhatIsLongestUnused) {
  SnapshotCache cache(1500);
  const TenantId tenant(1);
  const AccountId account(2);
  const auto put = [&](const std::string& name, std::int64_t id, ModSeq modseq, Uid messages) {
    MailboxInfo info;
    info.id = MailboxId(id);
    info.name = name;
    info.highest_modseq = modseq;
    SelectedMailbox mailbox(info, false);
    std::vector<MailEntry> entries(messages);
    for (Uid i = 0; i < messages; ++i) entries[i].uid = i + 1;
    mailbox.Append(entries);
    cache.Put(tenant, account, mailbox);
  };
  put("a", 1, 5, 600);
  put("b", 2, 5, 600);
  put("small", 3, 5, SnapshotCache::kMinMessages - 1);
  EXPECT_EQ(cache.Find(tenant, account, "small", false), nullptr);
  EXPECT_EQ(cache.Find(tenant, AccountId(3), "a", false), nullptr);
  put("a", 1, 4, 500);  // older than what is there
  const std::unique_ptr<SelectedMailbox> a = cache.Find(tenant, account, "a", false);
  ASSERT_NE(a, nullptr);
  EXPECT_EQ(a->count(), 600u);
  put("a", 9, 1, 700);  // another mailbox of that name
  EXPECT_EQ(cache.Find(tenant, account, "a", false)->id(), MailboxId(9));
  put("c", 4, 5, 800);
  EXPECT_EQ(cache.Find(tenant, account, "b", false), nullptr);
  EXPECT_NE(cache.Find(tenant, account, "a", false), nullptr);
  cache.Drop(tenant, account, "a");
  EXPECT_EQ(cache.Find(tenant, account, "a", false), nullptr);
  EXPECT_NE(cache.Find(tenant, account, "c", false), nullptr);
}

}  // namespace
}  // namespace posthorn::gateway
