#include "services/gateway/imap/selected_mailbox.h"

#include <gtest/gtest.h>

namespace posthorn::gateway {
namespace {

SelectedMailbox WithUids(const std::vector<Uid>& uids) {
  MailboxInfo info;
  info.highest_modseq = 1;
  SelectedMailbox mailbox(info, false);
  std::vector<MailEntry> entries(uids.size());
  for (std::size_t i = 0; i < uids.size(); ++i) entries[i].uid = uids[i];
  mailbox.Append(entries, 0);
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

TEST(SelectedMailboxTest, AMessageTakesThirtyTwoOctets) {
  EXPECT_LE(sizeof(SelectedMailbox::Message), 32u);
}

}  // namespace
}  // namespace posthorn::gateway
