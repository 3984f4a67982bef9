// The keys of RFC 3501 section 6.4.4, RFC 5032, RFC 8474 and RFC 8514. What the session's snapshot
// knows is decided here; only for the rest, and only for the messages that are left, the store is
// asked.
#include "services/gateway/imap/search_messages.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "lib/imap/date_time.h"
#include "services/gateway/imap/object_id.h"

namespace posthorn::gateway {
namespace {

using imap::SearchKey;
using Kind = SearchKey::Kind;
using StoreKind = StoreSearchKey::Kind;

// What only the store knows of a message but can be asked for beforehand.
struct Facts {
  std::int32_t saved_days = 0;
  std::int64_t email_id = 0;
  std::int64_t thread_id = 0;
};
// By the message's index.
using FactsByIndex = absl::flat_hash_map<std::size_t, Facts>;

// A key made ready for many messages.
struct Compiled {
  const SearchKey* key = nullptr;
  std::int64_t moment = 0;  // of kOlder and kYounger: seconds since the epoch
  std::optional<std::int64_t> id;  // of kEmailId and kThreadId; none: one that is not given out
  bool needs_store = false;
  const FactsByIndex* facts = nullptr;      // where kSaved..., kEmailId and kThreadId look
  std::vector<imap::SequenceRange> ranges;  // of kSequence and kUid
  std::vector<Compiled> children;
};

bool IsStoreKind(Kind kind) {
  switch (kind) {
    case Kind::kSentBefore:
    case Kind::kSentOn:
    case Kind::kSentSince:
    case Kind::kHeader:
    case Kind::kBody:
    case Kind::kText:
      return true;
    default:
      return false;
  }
}

// The depth is the parser's.
Compiled Compile(const SearchKey& key, const SelectedMailbox& mailbox, std::int64_t now,
                 const FactsByIndex& facts) {
  Compiled compiled;
  compiled.key = &key;
  compiled.facts = &facts;
  if (key.kind == Kind::kEmailId) compiled.id = ParseObjectId(kEmailLetter, key.text);
  if (key.kind == Kind::kThreadId) compiled.id = ParseObjectId(kThreadLetter, key.text);
  compiled.moment = now - key.number;
  compiled.needs_store = IsStoreKind(key.kind);
  if (key.kind == Kind::kSequence) compiled.ranges = key.set.Resolve(mailbox.count());
  if (key.kind == Kind::kUid) compiled.ranges = key.set.Resolve(mailbox.largest_uid());
  if (key.set.saved) compiled.ranges = mailbox.saved_uids();
  for (const SearchKey& child : key.children) {
    compiled.children.push_back(Compile(child, mailbox, now, facts));
    compiled.needs_store = compiled.needs_store || compiled.children.back().needs_store;
  }
  return compiled;
}

// For a key that does not need the store.
bool Matches(const Compiled& compiled, const SelectedMailbox& mailbox, std::size_t index) {
  const SelectedMailbox::Message& message = mailbox.messages()[index];
  const SearchKey& key = *compiled.key;
  const auto matches = [&](const Compiled& child) { return Matches(child, mailbox, index); };
  const auto day = [&] { return imap::DayOf(absl::FromUnixSeconds(message.received_seconds)); };
  const auto facts = [&] {
    const auto found = compiled.facts->find(index);
    return found == compiled.facts->end() ? nullptr : &found->second;
  };
  switch (key.kind) {
    case Kind::kSavedBefore:
      return facts() != nullptr && facts()->saved_days < key.days;
    case Kind::kSavedOn:
      return facts() != nullptr && facts()->saved_days == key.days;
    case Kind::kSavedSince:
      return facts() != nullptr && facts()->saved_days >= key.days;
    case Kind::kEmailId:
      return facts() != nullptr && compiled.id == facts()->email_id;
    case Kind::kThreadId:
      return facts() != nullptr && compiled.id == facts()->thread_id;
    case Kind::kAll:
      return true;
    case Kind::kAnd:
      return std::all_of(compiled.children.begin(), compiled.children.end(), matches);
    case Kind::kOr:
      return std::any_of(compiled.children.begin(), compiled.children.end(), matches);
    case Kind::kNot:
      return !matches(compiled.children.front());
    case Kind::kSequence:
      if (key.set.saved) return imap::Contains(compiled.ranges, message.uid);
      return imap::Contains(compiled.ranges, static_cast<std::uint32_t>(index + 1));
    case Kind::kUid:
      return imap::Contains(compiled.ranges, message.uid);
    case Kind::kUidAfter:
      return message.uid > key.number;
    case Kind::kUidBefore:
      return message.uid < key.number;
    case Kind::kFlag:
      if (key.number == imap::kRecent) return message.recent;
      return (message.system & key.number) != 0;
    case Kind::kKeyword:
      return mailbox.HasKeyword(message, key.text);
    case Kind::kNew:
      return message.recent && (message.system & imap::kSeen) == 0;
    case Kind::kLarger:
      return message.size > key.number;
    case Kind::kSmaller:
      return message.size < key.number;
    // RFC 5032 section 2: both count the moment itself.
    case Kind::kOlder:
      return message.received_seconds <= compiled.moment;
    case Kind::kYounger:
      return message.received_seconds >= compiled.moment;
    case Kind::kModSeq:
      return message.modseq >= key.modseq;
    case Kind::kBefore:
      return day() < key.days;
    case Kind::kOn:
      return day() == key.days;
    case Kind::kSince:
      return day() >= key.days;
    default:
      return false;
  }
}

std::vector<std::size_t> Filter(const Compiled& compiled, const SelectedMailbox& mailbox,
                                const std::vector<std::size_t>& candidates) {
  std::vector<std::size_t> kept;
  for (const std::size_t index : candidates) {
    if (Matches(compiled, mailbox, index)) kept.push_back(index);
  }
  return kept;
}

// Whether the sets among the conjuncts of a key name the message.
bool IsNamed(const Compiled& compiled, const SelectedMailbox& mailbox, std::size_t index) {
  switch (compiled.key->kind) {
    case Kind::kAnd:
      return std::all_of(compiled.children.begin(), compiled.children.end(),
                         [&](const Compiled& child) { return IsNamed(child, mailbox, index); });
    case Kind::kSequence:
    case Kind::kUid:
    case Kind::kUidAfter:
    case Kind::kUidBefore:
      return Matches(compiled, mailbox, index);
    default:
      return true;
  }
}

StoreSearchKey ToStoreKey(const Compiled& compiled, const SelectedMailbox& mailbox,
                          const std::vector<std::size_t>& candidates) {
  const SearchKey& key = *compiled.key;
  StoreSearchKey result;
  if (!compiled.needs_store) {
    result.kind = StoreKind::kUids;
    result.uids = mailbox.UidRanges(Filter(compiled, mailbox, candidates));
    return result;
  }
  switch (key.kind) {
    case Kind::kHeader:
      result.kind = StoreKind::kHeader;
      break;
    case Kind::kBody:
      result.kind = StoreKind::kBody;
      break;
    case Kind::kText:
      result.kind = StoreKind::kText;
      break;
    case Kind::kSentBefore:
      result.kind = StoreKind::kSentBefore;
      break;
    case Kind::kSentOn:
      result.kind = StoreKind::kSentOn;
      break;
    case Kind::kSentSince:
      result.kind = StoreKind::kSentSince;
      break;
    case Kind::kOr:
      result.kind = StoreKind::kAnyOf;
      break;
    case Kind::kNot:
      result.kind = StoreKind::kNot;
      break;
    default:
      result.kind = StoreKind::kAllOf;
      break;
  }
  result.name = key.name;
  result.value = key.text;
  result.days_since_epoch = key.days;
  for (const Compiled& child : compiled.children) {
    result.children.push_back(ToStoreKey(child, mailbox, candidates));
  }
  return result;
}

// Whether no part of a key is decided here.
bool IsAllStores(const Compiled& compiled) {
  if (compiled.children.empty()) return IsStoreKind(compiled.key->kind);
  return std::all_of(compiled.children.begin(), compiled.children.end(), IsAllStores);
}

// What `key` needs to have fetched.
void AddParts(const SearchKey& key, FetchParts& parts) {
  switch (key.kind) {
    case Kind::kSavedBefore:
    case Kind::kSavedOn:
    case Kind::kSavedSince:
      parts.saved_at = true;
      break;
    case Kind::kEmailId:
    case Kind::kThreadId:
      parts.ids = true;
      break;
    default:
      break;
  }
  for (const SearchKey& child : key.children) AddParts(child, parts);
}

// Of the messages at `indexes` that are there. `facts` outlives the task.
Task<absl::Status> ReadFacts(ImapState& state, std::vector<std::size_t> indexes, FetchParts parts,
                             FactsByIndex& facts) {
  const SelectedMailbox& mailbox = *state.selected;
  // One call must not outlast its deadline.
  constexpr std::size_t kMessagesPerCall = 20000;
  for (std::size_t at = 0; at < indexes.size(); at += kMessagesPerCall) {
    const auto begin = indexes.begin() + static_cast<std::ptrdiff_t>(at);
    const std::size_t count = std::min(kMessagesPerCall, indexes.size() - at);
    const std::vector<std::size_t> some(begin, begin + static_cast<std::ptrdiff_t>(count));
    std::unique_ptr<Reader<std::vector<MessageData>>> reader = state.store().Fetch(
        state.tenant(), state.account(), mailbox.id(), mailbox.UidRanges(some), parts);
    for (;;) {
      absl::StatusOr<std::optional<std::vector<MessageData>>> batch = co_await reader->Next();
      if (!batch.ok()) co_return batch.status();
      if (!batch->has_value()) break;
      for (const MessageData& data : **batch) {
        const std::optional<std::size_t> index = mailbox.Find(data.uid);
        if (!index) continue;
        Facts& known = facts[*index];
        known.saved_days = imap::DayOf(data.saved_at);
        known.email_id = data.email_id;
        known.thread_id = data.thread_id;
      }
    }
  }
  co_return absl::OkStatus();
}

// For a search that the store decides alone: without a look at each message of the mailbox, which may
// be large. `all` outlives the task.
Task<absl::StatusOr<std::vector<std::size_t>>> SearchOnlyInStore(ImapState& state,
                                                                 const Compiled& all) {
  const SelectedMailbox& mailbox = *state.selected;
  const std::vector<UidRange> whole(1, UidRange(1, mailbox.largest_uid()));
  Task<absl::StatusOr<std::vector<Uid>>> search = state.store().Search(
      state.tenant(), state.account(), mailbox.id(), whole, ToStoreKey(all, mailbox, {}));
  absl::StatusOr<std::vector<Uid>> uids = co_await state.Await(std::move(search));
  if (!uids.ok()) co_return uids.status();
  std::vector<std::size_t> found;
  for (const Uid uid : *uids) {
    const std::optional<std::size_t> index = mailbox.Find(uid);
    if (index && !mailbox.messages()[*index].expunged) found.push_back(*index);
  }
  co_return found;
}

}  // namespace

bool AsksForModSeq(const SearchKey& key) {
  return key.kind == Kind::kModSeq ||
         std::any_of(key.children.begin(), key.children.end(), AsksForModSeq);
}

Task<absl::StatusOr<std::vector<std::size_t>>> SearchMessages(ImapState& state,
                                                              const SearchKey& key,
                                                              Uid& lowest_searched) {
  const SelectedMailbox& mailbox = *state.selected;
  const std::int64_t now = absl::ToUnixSeconds(state.dependencies.clock->Now());
  FactsByIndex facts;
  const Compiled all = Compile(key, mailbox, now, facts);
  std::vector<std::size_t> found;
  lowest_searched = 0;
  if (mailbox.messages().empty()) co_return found;
  if (IsAllStores(all) && mailbox.messages().size() <= state.limits.messages) {
    co_return co_await SearchOnlyInStore(state, all);
  }
  for (std::size_t i = 0; i < mailbox.messages().size(); ++i) {
    if (!mailbox.messages()[i].expunged) found.push_back(i);
  }
  if (found.size() > state.limits.messages) {
    const auto is_other = [&](std::size_t index) { return !IsNamed(all, mailbox, index); };
    found.erase(std::remove_if(found.begin(), found.end(), is_other), found.end());
    lowest_searched = state.LimitMessages(found);
  }
  // The parser's top key is a kAnd: its local conjuncts first, those that need no call before all.
  StoreSearchKey rest(StoreKind::kAllOf);
  FetchParts parts;
  for (const Compiled& child : all.children) {
    FetchParts of_child;
    AddParts(*child.key, of_child);
    AddParts(*child.key, parts);
    if (!child.needs_store && !of_child.saved_at && !of_child.ids) {
      found = Filter(child, mailbox, found);
    }
  }
  if (parts.saved_at || parts.ids) {
    Task<absl::Status> reading = ReadFacts(state, found, parts, facts);
    const absl::Status read = co_await state.Await(std::move(reading));
    if (!read.ok()) co_return read;
    for (const Compiled& child : all.children) {
      if (!child.needs_store) found = Filter(child, mailbox, found);
    }
  }
  if (!all.needs_store || found.empty()) co_return found;
  for (const Compiled& child : all.children) {
    if (child.needs_store) rest.children.push_back(ToStoreKey(child, mailbox, found));
  }
  Task<absl::StatusOr<std::vector<Uid>>> search = state.store().Search(
      state.tenant(), state.account(), mailbox.id(), mailbox.UidRanges(found), std::move(rest));
  absl::StatusOr<std::vector<Uid>> uids = co_await state.Await(std::move(search));
  if (!uids.ok()) co_return uids.status();
  std::vector<std::size_t> kept;
  std::size_t next = 0;
  for (const std::size_t index : found) {
    const Uid uid = mailbox.messages()[index].uid;
    while (next < uids->size() && (*uids)[next] < uid) ++next;
    if (next < uids->size() && (*uids)[next] == uid) kept.push_back(index);
  }
  co_return kept;
}

}  // namespace posthorn::gateway
