#include "services/mailbox/search.h"

#include <algorithm>
#include <iterator>
#include <optional>

#include "lib/base/failure.h"
#include "lib/mime/envelope.h"
#include "lib/mime/header_fields.h"
#include "lib/mime/scanner.h"
#include "lib/mime/structure.h"
#include "lib/mime/text_search.h"
#include "services/mailbox/message_date.h"
#include "services/mailbox/message_places.h"
#include "services/mailbox/message_reader.h"
#include "services/mailbox/text_index.h"

namespace posthorn::mailbox {
namespace {

enum class Truth { kNo, kYes, kUnknown };

// A key with its needles folded, and the index of its needle in the search of the body.
struct Compiled {
  SearchKey::Kind kind;
  std::string header_name;
  std::string folded;
  SearchKey::Relation relation;
  int days = 0;
  int needle = -1;
  int lookup = -1;  // of the needles that the index is asked for
  std::vector<Compiled> keys;
  std::vector<UidRange> uids;
};

Compiled Compile(const SearchKey& key, std::vector<mime::MessageSearch::Needle>& needles,
                 std::vector<TextLookup>& lookups) {
  Compiled compiled;
  compiled.kind = key.kind;
  compiled.header_name = key.header_name;
  compiled.relation = key.relation;
  compiled.days = key.days_since_epoch;
  compiled.uids = key.uids;
  if (!key.value.empty()) compiled.folded = mime::FoldForSearch(key.value);
  if (key.kind == SearchKey::Kind::kBody || key.kind == SearchKey::Kind::kText) {
    compiled.needle = static_cast<int>(needles.size());
    needles.emplace_back(compiled.folded, key.kind == SearchKey::Kind::kText);
  }
  const bool has_text = compiled.needle >= 0 || key.kind == SearchKey::Kind::kHeader;
  if (has_text && !compiled.folded.empty()) {
    compiled.lookup = static_cast<int>(lookups.size());
    std::optional<WordMark> place;  // TEXT: anywhere
    if (key.kind == SearchKey::Kind::kBody) place = WordMark::kBody;
    if (key.kind == SearchKey::Kind::kHeader) place = MarkOf(key.header_name);
    lookups.emplace_back(compiled.folded, place);
  }
  for (const SearchKey& child : key.keys) {
    compiled.keys.push_back(Compile(child, needles, lookups));
  }
  return compiled;
}

// What is known of one message: what the index says, and, once it has been read, its header. `found` is
// empty until its body has been read, too.
struct Candidate {
  Candidate(Uid uid_in, std::int64_t email_id_in, const TextCandidates& index_in)
      : uid(uid_in), email_id(email_id_in), index(index_in) {}
  const Uid uid;
  const std::int64_t email_id;
  const TextCandidates& index;
  const FetchedMessage* message = nullptr;
  std::optional<std::int64_t> sent_day;
  const std::vector<bool>* found = nullptr;
};

bool Has(const std::vector<std::int64_t>& ascending, std::int64_t id) {
  return std::binary_search(ascending.begin(), ascending.end(), id);
}

// By the index alone.
Truth LookUp(const Compiled& key, const Candidate& candidate) {
  if (key.lookup < 0 || candidate.email_id > candidate.index.upto) return Truth::kUnknown;
  const auto lookup = static_cast<std::size_t>(key.lookup);
  const std::optional<TextMatches>& matches = candidate.index.lookups[lookup];
  if (!matches.has_value()) return Truth::kUnknown;
  if (!Has(matches->may, candidate.email_id)) return Truth::kNo;
  return Has(matches->sure, candidate.email_id) ? Truth::kYes : Truth::kUnknown;
}

bool Contains(const std::vector<UidRange>& ranges, Uid uid) {
  return std::any_of(ranges.begin(), ranges.end(), [uid](const UidRange& r) {
    return r.first <= uid && uid <= r.last;
  });
}

// TEXT also looks at the header in front of the body that we prepended.
bool AnyHeaderContains(std::string_view block, const std::string& folded) {
  mime::HeaderReader reader(block);
  while (std::optional<mime::HeaderField> field = reader.Next()) {
    const std::string line = std::string(field->name) + ": " + mime::Unfold(field->value);
    if (mime::HeaderValueContains(line, folded)) return true;
  }
  return false;
}

Truth Not(Truth truth) {
  return truth == Truth::kUnknown ? truth : truth == Truth::kYes ? Truth::kNo : Truth::kYes;
}

Truth Evaluate(const Compiled& key, const Candidate& candidate) {
  const auto truth = [](bool value) { return value ? Truth::kYes : Truth::kNo; };
  const FetchedMessage* message = candidate.message;
  if (const Truth known = LookUp(key, candidate); known != Truth::kUnknown) return known;
  switch (key.kind) {
    case SearchKey::Kind::kUids:
      return truth(Contains(key.uids, candidate.uid));
    case SearchKey::Kind::kHeader:
      if (message == nullptr) return Truth::kUnknown;
      return truth(mime::HeaderContains(message->header, key.header_name, key.folded));
    case SearchKey::Kind::kSent: {
      if (message == nullptr) return Truth::kUnknown;
      if (!candidate.sent_day.has_value()) return Truth::kNo;
      const std::int64_t day = *candidate.sent_day;
      if (key.relation == SearchKey::Relation::kBefore) return truth(day < key.days);
      if (key.relation == SearchKey::Relation::kSince) return truth(day >= key.days);
      return truth(day == key.days);
    }
    case SearchKey::Kind::kText:
      if (key.folded.empty()) return Truth::kYes;
      if (message != nullptr && AnyHeaderContains(message->header, key.folded)) {
        return Truth::kYes;
      }
      [[fallthrough]];
    case SearchKey::Kind::kBody:
      if (key.folded.empty()) return Truth::kYes;
      if (candidate.found == nullptr) return Truth::kUnknown;
      return truth((*candidate.found)[static_cast<std::size_t>(key.needle)]);
    case SearchKey::Kind::kNone:
      return key.keys.empty() ? Truth::kYes : Not(Evaluate(key.keys[0], candidate));
    case SearchKey::Kind::kAll:
    case SearchKey::Kind::kAny: {
      const bool all = key.kind == SearchKey::Kind::kAll;
      const Truth decisive = all ? Truth::kNo : Truth::kYes;
      bool unknown = false;
      for (const Compiled& child : key.keys) {
        const Truth result = Evaluate(child, candidate);
        if (result == decisive) return decisive;
        unknown = unknown || result == Truth::kUnknown;
      }
      return unknown ? Truth::kUnknown : Not(decisive);
    }
  }
  return Truth::kNo;
}

bool NeedsBody(const Compiled& key) {
  return key.needle >= 0 || std::any_of(key.keys.begin(), key.keys.end(), NeedsBody);
}

// `search` outlives the task.
Task<bool> FeedTo(mime::MessageSearch& search, std::string piece) {
  search.Feed(piece);
  co_return !search.complete();
}

Task<absl::Status> ReadInto(postgres::BodyStore& bodies, Account account, MailboxId mailbox,
                            const FetchedMessage& message, mime::MessageSearch& search) {
  if (message.body_complete) {
    search.Feed(std::string_view(message.body).substr(message.prefix_size));
    search.Finish();
    co_return absl::OkStatus();
  }
  std::function<Task<bool>(std::string)> sink = [&search](std::string piece) {
    return FeedTo(search, std::move(piece));
  };
  absl::Status status = co_await ReadMessage(bodies, account, mailbox, message.uid,
                                             message.prefix_size, 0, std::move(sink));
  search.Finish();
  // It was expunged meanwhile: then it matches no more.
  co_return status;
}

// The indexed messages that may match, by id; nullopt: any.
using Bound = std::optional<std::vector<std::int64_t>>;

Bound BoundOf(const Compiled& key, const TextCandidates& candidates) {
  if (key.lookup >= 0) {
    const auto& matches = candidates.lookups[static_cast<std::size_t>(key.lookup)];
    return matches.has_value() ? Bound(matches->may) : std::nullopt;
  }
  const bool all = key.kind == SearchKey::Kind::kAll;
  if (!all && key.kind != SearchKey::Kind::kAny) return std::nullopt;
  Bound bound;
  for (std::size_t i = 0; i < key.keys.size(); ++i) {
    Bound child = BoundOf(key.keys[i], candidates);
    if (!child.has_value()) {
      if (all) continue;
      return std::nullopt;
    }
    if (!bound.has_value()) {
      bound = std::move(child);
      continue;
    }
    std::vector<std::int64_t> joined;
    if (all) {
      std::set_intersection(bound->begin(), bound->end(), child->begin(), child->end(),
                            std::back_inserter(joined));
    } else {
      std::set_union(bound->begin(), bound->end(), child->begin(), child->end(),
                     std::back_inserter(joined));
    }
    bound = std::move(joined);
  }
  return bound;
}

// Whether a UID is in ascending ranges; asked for ascending ones.
class InRanges {
 public:
  explicit InRanges(const std::vector<UidRange>& ranges) : ranges_(ranges) {}
  bool operator()(Uid uid) {
    while (at_ < ranges_.size() && ranges_[at_].last < uid) ++at_;
    return at_ < ranges_.size() && ranges_[at_].first <= uid;
  }

 private:
  const std::vector<UidRange>& ranges_;
  std::size_t at_ = 0;
};

void Append(std::vector<UidRange>& ranges, Uid uid) {
  if (!ranges.empty() && ranges.back().last + 1 == uid) {
    ranges.back().last = uid;
  } else {
    ranges.emplace_back(uid, uid);
  }
}

// What the index alone knows: adds the UIDs that match to `matches`, and leaves those in `uids` whose
// messages have to be read to know.
Task<absl::Status> Narrow(postgres::Database& database, Account account, MailboxId mailbox,
                          const Compiled& key, const TextCandidates& candidates,
                          std::vector<UidRange>& uids, std::vector<Uid>& matches) {
  absl::StatusOr<std::vector<MessagePlace>> places = co_await FindPlaces(
      database, account, mailbox, candidates.upto, BoundOf(key, candidates));
  if (!places.ok()) co_return places.status();
  std::vector<UidRange> left;
  InRanges wanted(uids);
  for (const MessagePlace& place : *places) {
    if (!wanted(place.uid)) continue;
    const Truth truth = Evaluate(key, Candidate(place.uid, place.email_id, candidates));
    if (truth == Truth::kYes) matches.push_back(place.uid);
    if (truth == Truth::kUnknown) Append(left, place.uid);
  }
  // Nothing may match, which is not the same as a mailbox that is not there: that one is asked for.
  if (places->empty() && !uids.empty()) left.emplace_back(uids.front().first, uids.front().first);
  uids = std::move(left);
  co_return absl::OkStatus();
}

}  // namespace

int SearchKey::Depth() const {
  int deepest = 0;
  for (const SearchKey& key : keys) deepest = std::max(deepest, key.Depth());
  return deepest + 1;
}

Task<absl::StatusOr<std::vector<Uid>>> Search(postgres::BodyStore& bodies, Account account,
                                              MailboxId mailbox, std::vector<UidRange> uids,
                                              SearchKey key, TextIndex* index) {
  if (key.Depth() > kMaxSearchDepth) co_return MakeFailure(Failure::kLimitExceeded);
  std::vector<mime::MessageSearch::Needle> needles;
  std::vector<TextLookup> lookups;
  const Compiled compiled = Compile(key, needles, lookups);
  TextCandidates candidates;
  candidates.lookups.resize(lookups.size());
  std::vector<Uid> matches;
  if (index != nullptr && !lookups.empty()) {
    absl::StatusOr<TextCandidates> found = co_await index->Find(account, std::move(lookups));
    if (!found.ok()) co_return found.status();
    candidates = *std::move(found);
    absl::Status narrowed = co_await Narrow(bodies.database(), account, mailbox, compiled,
                                            candidates, uids, matches);
    if (!narrowed.ok()) co_return narrowed;
    if (uids.empty()) co_return matches;
  }
  FetchItems items;
  items.envelope = true;
  items.structure = true;
  items.header = true;  // with the prefix, which TEXT looks at too
  items.body = NeedsBody(compiled);
  FetchCursor cursor(bodies, account, mailbox, std::move(uids), items);
  const auto known = static_cast<std::ptrdiff_t>(matches.size());
  for (;;) {
    absl::StatusOr<std::vector<FetchedMessage>> batch = co_await cursor.Next();
    if (!batch.ok()) co_return batch.status();
    if (batch->empty()) break;
    for (const FetchedMessage& message : *batch) {
      Candidate candidate(message.uid, message.email_id, candidates);
      candidate.message = &message;
      absl::StatusOr<mime::Envelope> envelope = mime::ParseEnvelope(message.envelope);
      if (!envelope.ok()) {  // of another version
        envelope = mime::Scan(std::string_view(message.header).substr(message.prefix_size)).envelope;
      }
      if (envelope->date.has_value()) candidate.sent_day = SentDay(*envelope->date);
      Truth truth = Evaluate(compiled, candidate);
      if (truth == Truth::kUnknown) {
        absl::StatusOr<mime::Structure> structure = mime::ParseStructure(message.structure);
        if (!structure.ok()) co_return structure.status();
        mime::MessageSearch search(*structure, needles);
        search.FeedPrefix(std::string_view(message.header).substr(0, message.prefix_size));
        absl::Status read = co_await ReadInto(bodies, account, mailbox, message, search);
        if (!read.ok() && FailureOf(read) == Failure::kNotFound) continue;
        if (!read.ok()) co_return read;
        const std::vector<bool> found = search.found();
        candidate.found = &found;
        truth = Evaluate(compiled, candidate);
      }
      if (truth == Truth::kYes) matches.push_back(message.uid);
    }
  }
  std::inplace_merge(matches.begin(), matches.begin() + known, matches.end());
  co_return matches;
}

}  // namespace posthorn::mailbox
