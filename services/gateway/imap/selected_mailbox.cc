#include "services/gateway/imap/selected_mailbox.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "lib/imap/command.h"
#include "lib/imap/format/format.h"

namespace posthorn::gateway {
namespace {

constexpr std::uint32_t kSystemFlags =
    imap::kAnswered | imap::kFlagged | imap::kDeleted | imap::kSeen | imap::kDraft;

}  // namespace

SelectedMailbox::SelectedMailbox(const MailboxInfo& info, bool read_only)
    : id_(info.id),
      name_(info.name),
      read_only_(read_only),
      uid_validity_(info.uid_validity),
      modseq_(info.highest_modseq),
      uid_next_(info.uid_next),
      keyword_sets_(1) {}

std::unique_ptr<SelectedMailbox> SelectedMailbox::Share(bool read_only) {
  MailboxInfo info;
  info.id = id_;
  info.name = name_;
  info.uid_validity = uid_validity_;
  info.highest_modseq = modseq_;
  info.uid_next = uid_next_;
  auto other = std::make_unique<SelectedMailbox>(info, read_only);
  other->messages_ = messages_.Share();
  other->keywords_ = keywords_;
  other->keyword_sets_ = keyword_sets_;
  other->recent_ = recent_;
  other->ForgetRecent();
  if (unreported_expunges_ > 0) other->messages_.RemoveExpunged();
  return other;
}

std::optional<std::size_t> SelectedMailbox::Find(Uid uid) const {
  const std::size_t index = messages_.LowerBound(uid);
  if (index == messages_.size() || messages_[index].uid != uid) return std::nullopt;
  return index;
}

void SelectedMailbox::AppendFlagsOf(const Message& message, std::string& out) const {
  imap::AppendFlags(message.system | (message.recent ? imap::kRecent : 0), KeywordsOf(message),
                    out);
}

bool SelectedMailbox::HasKeyword(const Message& message, const std::string& keyword) const {
  const std::vector<std::string>& set = KeywordsOf(message);
  return std::any_of(set.begin(), set.end(), [&](const std::string& candidate) {
    return absl::EqualsIgnoreCase(candidate, keyword);
  });
}

std::uint32_t SelectedMailbox::Intern(const std::vector<std::string>& keywords, bool& added) {
  if (keywords.empty()) return 0;
  const auto it = std::find(keyword_sets_.begin(), keyword_sets_.end(), keywords);
  if (it != keyword_sets_.end()) return static_cast<std::uint32_t>(it - keyword_sets_.begin());
  if (keyword_sets_.size() > Message::kMaxKeywordSets) return 0;
  for (const std::string& keyword : keywords) {
    const bool known = std::any_of(
        keywords_.begin(), keywords_.end(),
        [&](const std::string& candidate) { return absl::EqualsIgnoreCase(candidate, keyword); });
    if (known) continue;
    keywords_.push_back(keyword);
    added = true;
  }
  keyword_sets_.push_back(keywords);
  return static_cast<std::uint32_t>(keyword_sets_.size() - 1);
}

SelectedMailbox::Message SelectedMailbox::ToMessage(const MailEntry& entry, bool recent,
                                                    bool& new_keywords) {
  Message message;
  message.modseq = entry.modseq;
  constexpr std::int64_t kLastSecond = (std::int64_t{1} << 33) - 1;
  message.received_seconds =
      std::clamp(absl::ToUnixSeconds(entry.received_at), -kLastSecond, kLastSecond);
  message.uid = entry.uid;
  message.size = static_cast<std::uint32_t>(std::min<std::uint64_t>(entry.size, UINT32_MAX));
  message.keyword_set = Intern(entry.flags.keywords, new_keywords) & Message::kMaxKeywordSets;
  message.system = entry.flags.system & kSystemFlags;
  message.recent = recent ? 1 : 0;
  return message;
}

void SelectedMailbox::Append(const std::vector<MailEntry>& entries) {
  bool new_keywords = false;
  for (const MailEntry& entry : entries) {
    if (entry.uid > largest_uid()) messages_.Append(ToMessage(entry, false, new_keywords));
  }
}

void SelectedMailbox::MarkRecent(Uid from) {
  if (from == 0) return;
  for (std::size_t i = messages_.LowerBound(from); i < messages_.size(); ++i) {
    if (messages_[i].recent) continue;
    messages_.Mutable(i).recent = 1;
    ++recent_;
  }
}

void SelectedMailbox::CatchUp(const MailboxChanges& changes) {
  MailboxChanges known = changes;
  known.recent_from_uid = 0;
  Apply(known);
  if (unreported_expunges_ == 0) return;
  messages_.RemoveExpunged();
  unreported_expunges_ = 0;
}

SelectedMailbox::Difference SelectedMailbox::Apply(const MailboxChanges& changes) {
  Difference difference;
  for (const MailEntry& entry : changes.changed) {
    if (const std::optional<std::size_t> index = Find(entry.uid)) {
      const std::uint32_t set =
          Intern(entry.flags.keywords, difference.new_keywords) & Message::kMaxKeywordSets;
      const std::uint32_t system = entry.flags.system & kSystemFlags;
      const Message& known = messages_[*index];
      const bool same = known.system == system && known.keyword_set == set;
      if (same && known.modseq == entry.modseq) continue;
      Message& message = messages_.Mutable(*index);
      message.modseq = entry.modseq;
      if (same) continue;
      message.system = system;
      message.keyword_set = set;
      if (!message.expunged) difference.flags_changed.push_back(*index);
    } else if (entry.uid > largest_uid()) {
      const bool recent = changes.recent_from_uid != 0 && entry.uid >= changes.recent_from_uid;
      messages_.Append(ToMessage(entry, recent, difference.new_keywords));
      recent_ += recent ? 1 : 0;
      difference.new_messages = true;
    }
  }
  MarkExpunged(changes.expunged);
  modseq_ = std::max(modseq_, changes.info.highest_modseq);
  uid_next_ = std::max(uid_next_, changes.info.uid_next);
  return difference;
}

bool SelectedMailbox::ApplyFlags(const std::vector<MailEntry>& entries) {
  bool new_keywords = false;
  for (const MailEntry& entry : entries) {
    const std::optional<std::size_t> index = Find(entry.uid);
    if (!index) continue;
    const std::uint32_t set = Intern(entry.flags.keywords, new_keywords);
    Message& message = messages_.Mutable(*index);
    message.keyword_set = set & Message::kMaxKeywordSets;
    message.system = entry.flags.system & kSystemFlags;
    message.modseq = entry.modseq;
  }
  return new_keywords;
}

void SelectedMailbox::MarkExpunged(const std::vector<Uid>& uids) {
  for (const Uid uid : uids) {
    const std::optional<std::size_t> index = Find(uid);
    if (!index || messages_[*index].expunged) continue;
    messages_.Mutable(*index).expunged = 1;
    ++unreported_expunges_;
  }
}

void SelectedMailbox::ForgetRecent() {
  for (std::size_t i = 0; i < messages_.size() && recent_ > 0; ++i) {
    if (!messages_[i].recent) continue;
    messages_.Mutable(i).recent = 0;
    --recent_;
  }
}

void SelectedMailbox::ReportExpunges(bool vanished, std::string& out) {
  if (unreported_expunges_ == 0) return;
  std::vector<std::uint32_t> uids;
  // Each response shifts the numbers after it: what is kept so far, plus one, is the number.
  std::uint32_t kept = 0;
  for (std::size_t i = 0; i < messages_.size(); ++i) {
    const Message& message = messages_[i];
    if (!message.expunged) {
      ++kept;
      continue;
    }
    if (message.recent) --recent_;
    if (vanished) {
      uids.push_back(message.uid);
    } else {
      imap::AppendCount(kept + 1, "EXPUNGE", out);
    }
  }
  if (vanished) imap::AppendVanished(false, imap::ToRanges(uids), out);
  messages_.RemoveExpunged();
  unreported_expunges_ = 0;
}

std::vector<imap::SequenceRange> SelectedMailbox::Missing(
    const std::optional<imap::SequenceSet>& known) const {
  std::vector<imap::SequenceRange> missing;
  if (uid_next_ <= 1) return missing;
  imap::SequenceSet all;
  all.ranges.push_back(imap::SequenceRange{1, uid_next_ - 1});
  for (imap::SequenceRange range : (known ? *known : all).Resolve(uid_next_ - 1)) {
    range.last = std::min(range.last, uid_next_ - 1);
    std::size_t i = messages_.LowerBound(range.first);
    for (Uid next = range.first; next <= range.last;) {
      const Uid end =
          i == messages_.size() ? range.last + 1 : std::min(messages_[i].uid, range.last + 1);
      if (end > next) missing.push_back(imap::SequenceRange{next, end - 1});
      next = end + 1;
      if (i < messages_.size()) ++i;
    }
  }
  return missing;
}

void SelectedMailbox::Save(const std::vector<std::size_t>& indexes) {
  std::vector<imap::SequenceRange> ranges;
  for (const UidRange& range : UidRanges(indexes)) {
    ranges.push_back(imap::SequenceRange{range.first, range.last});
  }
  saved_uids_ = std::move(ranges);
}

std::vector<std::size_t> SelectedMailbox::Select(const imap::SequenceSet& set, bool uid) const {
  std::vector<std::size_t> indexes;
  uid = uid || set.saved;
  const std::vector<imap::SequenceRange> ranges =
      set.saved ? saved_uids_ : set.Resolve(uid ? largest_uid() : count());
  for (const imap::SequenceRange& range : ranges) {
    if (!uid) {
      for (std::uint64_t i = range.first; i <= range.last && i <= messages_.size(); ++i) {
        indexes.push_back(static_cast<std::size_t>(i - 1));
      }
      continue;
    }
    for (std::size_t i = messages_.LowerBound(range.first);
         i < messages_.size() && messages_[i].uid <= range.last; ++i) {
      indexes.push_back(i);
    }
  }
  return indexes;
}

bool SelectedMailbox::ContainsSequences(const imap::SequenceSet& set) const {
  for (const imap::SequenceRange& range : set.ranges) {
    const bool star = range.first == imap::kStar || range.last == imap::kStar;
    if (messages_.empty() && star) continue;
    if (std::max(range.first, range.last) > count()) return false;
  }
  return true;
}

std::vector<UidRange> SelectedMailbox::UidRanges(const std::vector<std::size_t>& indexes) const {
  std::vector<UidRange> ranges;
  std::size_t previous = 0;
  for (const std::size_t index : indexes) {
    if (messages_[index].expunged) continue;
    const Uid uid = messages_[index].uid;
    // Neighbours in the mailbox share a range, whatever UIDs lie between.
    if (!ranges.empty() && previous + 1 == index) {
      ranges.back().last = uid;
    } else {
      ranges.emplace_back(uid, uid);
    }
    previous = index;
  }
  return ranges;
}

}  // namespace posthorn::gateway
