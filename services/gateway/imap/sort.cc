// SORT (RFC 5256, RFC 5957) with the answers of ESORT (RFC 5267). What the session's snapshot knows
// (ARRIVAL, SIZE) costs no call; for the rest the envelopes are read once, and of each only the key
// is kept, for the next SORT too (sort_keys.h).
#include <algorithm>
#include <limits>
#include <memory>
#include <utility>

#include "lib/base/failure.h"
#include "lib/mime/base_subject.h"
#include "lib/mime/date.h"
#include "lib/mime/encoded_word.h"
#include "lib/mime/text_search.h"
#include "services/gateway/imap/envelopes.h"
#include "services/gateway/imap/handlers.h"
#include "services/gateway/imap/search_messages.h"
#include "services/gateway/imap/sort_keys.h"

namespace posthorn::gateway {
namespace {

using imap::SortKey;
using Kind = SortKey::Kind;

// Bounds what one SORT keeps: half a KiB a message for 100,000 of them.
constexpr std::size_t kMaxKeyOctets = 64 * 1024 * 1024;

bool NeedsEnvelope(const SortKey& key) {
  return key.kind != Kind::kArrival && key.kind != Kind::kSize;
}

// The mailbox of the first address, or the name of the group it starts.
std::string AddressText(const mime::AddressList& list) {
  if (list.empty()) return {};
  return mime::FoldForSearch(list.front().mailbox.value_or(""));
}

// RFC 5957 section 3: the display name, or the address.
std::string DisplayText(const mime::AddressList& list) {
  if (list.empty()) return {};
  const mime::Address& address = list.front();
  std::string text = mime::DecodeHeaderText(address.name.value_or(""));
  if (text.empty()) {
    text = address.mailbox.value_or("");
    if (address.host) text += '@' + *address.host;
  }
  return mime::FoldForSearch(text);
}

std::string NumberKey(std::int64_t number) {
  std::string key;
  const std::uint64_t bits = static_cast<std::uint64_t>(number) ^ (std::uint64_t{1} << 63);
  for (int shift = 56; shift >= 0; shift -= 8) key += static_cast<char>(bits >> shift);
  return key;
}

// Octets whose order is the one asked for. Folded text has no NUL, which therefore ends it below
// everything.
std::string KeyOf(Kind kind, const SelectedMailbox::Message& message,
                  const mime::Envelope& envelope) {
  const auto text = [](std::string folded) { return std::move(folded) + '\0'; };
  switch (kind) {
    case Kind::kArrival:
      return NumberKey(message.received_seconds);
    case Kind::kSize:
      return NumberKey(message.size);
    case Kind::kDate: {
      const std::optional<absl::Time> sent = mime::ParseDate(envelope.date.value_or(""));
      return NumberKey(sent ? absl::ToUnixSeconds(*sent) : message.received_seconds);
    }
    case Kind::kSubject:
      return text(mime::FoldForSearch(mime::BaseSubjectOf(envelope.subject.value_or("")).text));
    case Kind::kFrom:
      return text(AddressText(envelope.from));
    case Kind::kTo:
      return text(AddressText(envelope.to));
    case Kind::kCc:
      return text(AddressText(envelope.cc));
    case Kind::kDisplayFrom:
      return text(DisplayText(envelope.from));
    case Kind::kDisplayTo:
      return text(DisplayText(envelope.to));
  }
  return {};
}

// One for each key of an order; none for those that the snapshot answers.
using Columns = std::vector<std::shared_ptr<const SortColumn>>;

// Messages of `found` (ascending) that one of the columns lacks.
std::vector<std::size_t> Missing(const SelectedMailbox& mailbox, const Columns& columns,
                                 const std::vector<SortKey>& order,
                                 const std::vector<std::size_t>& found) {
  std::vector<std::size_t> missing;
  std::vector<std::size_t> at(columns.size());
  for (const std::size_t index : found) {
    const Uid uid = mailbox.messages()[index].uid;
    bool known = true;
    for (std::size_t i = 0; i < columns.size() && known; ++i) {
      if (!NeedsEnvelope(order[i])) continue;
      known = columns[i] != nullptr;
      if (!known) break;
      at[i] = columns[i]->LowerBound(uid, at[i]);
      known = at[i] < columns[i]->size() && columns[i]->uid(at[i]) == uid;
    }
    if (!known) missing.push_back(index);
  }
  return missing;
}

// `old` (or none), as far as its messages are in the mailbox, with `fresh`, which is sorted by UID.
std::shared_ptr<const SortColumn> Merge(const SelectedMailbox& mailbox, const SortColumn* old,
                                        const std::vector<std::pair<Uid, std::string>>& fresh) {
  auto merged = std::make_shared<SortColumn>();
  std::size_t row = 0;
  const auto add_old = [&](Uid before) {
    for (; old != nullptr && row < old->size() && old->uid(row) < before; ++row) {
      if (mailbox.Find(old->uid(row))) merged->Add(old->uid(row), old->key(row));
    }
  };
  for (const auto& [uid, key] : fresh) {
    add_old(uid);
    if (old != nullptr && row < old->size() && old->uid(row) == uid) ++row;
    merged->Add(uid, key);
  }
  add_old(std::numeric_limits<Uid>::max());
  return merged;
}

// The columns of `order` with all of `found` that are still there. References outlive the task.
Task<absl::StatusOr<Columns>> ReadColumns(ImapState& state, const std::vector<SortKey>& order,
                                          const std::vector<std::size_t>& found) {
  const SelectedMailbox& mailbox = *state.selected;
  SortKeyCache& cache = *state.dependencies.sort_keys;
  const SortKeyCache::Mailbox id{state.tenant(), mailbox.id(), mailbox.uid_validity()};
  Columns columns(order.size());
  for (std::size_t i = 0; i < order.size(); ++i) {
    if (NeedsEnvelope(order[i])) columns[i] = cache.Find(id, order[i].kind);
  }
  std::vector<std::size_t> missing = Missing(mailbox, columns, order, found);
  if (missing.empty()) co_return columns;
  std::vector<std::vector<std::pair<Uid, std::string>>> fresh(order.size());
  std::size_t octets = 0;
  EnvelopeSink sink = [&](std::size_t index, const mime::Envelope& envelope) {
    const SelectedMailbox::Message& message = mailbox.messages()[index];
    for (std::size_t i = 0; i < order.size(); ++i) {
      if (!NeedsEnvelope(order[i])) continue;
      std::string key = KeyOf(order[i].kind, message, envelope);
      octets += key.size();
      fresh[i].emplace_back(message.uid, std::move(key));
    }
    if (octets <= kMaxKeyOctets) return absl::OkStatus();
    return MakeFailure(Failure::kLimitExceeded, "Too much to sort");
  };
  Task<absl::Status> reading = ReadEnvelopes(state, std::move(missing), std::move(sink));
  const absl::Status read = co_await state.Await(std::move(reading));
  if (!read.ok()) co_return read;
  for (std::size_t i = 0; i < order.size(); ++i) {
    if (!NeedsEnvelope(order[i])) continue;
    std::sort(fresh[i].begin(), fresh[i].end());
    columns[i] = Merge(mailbox, columns[i].get(), fresh[i]);
    cache.Put(id, order[i].kind, columns[i]);
  }
  co_return columns;
}

// The keys of many messages, each as octets whose order is the one asked for.
class Sorter {
 public:
  absl::Status Add(std::size_t index, const std::vector<SortKey>& order,
                   const std::vector<std::string_view>& keys) {
    Row row;
    row.index = static_cast<std::uint32_t>(index);
    row.offset = static_cast<std::uint32_t>(keys_.size());
    for (std::size_t i = 0; i < order.size(); ++i) {
      const std::size_t start = keys_.size();
      keys_ += keys[i];
      if (!order[i].reverse) continue;
      for (std::size_t at = start; at < keys_.size(); ++at) {
        keys_[at] = static_cast<char>(~keys_[at]);
      }
    }
    row.size = static_cast<std::uint32_t>(keys_.size()) - row.offset;
    rows_.push_back(row);
    if (keys_.size() <= kMaxKeyOctets) return absl::OkStatus();
    return MakeFailure(Failure::kLimitExceeded, "Too much to sort");
  }

  std::vector<std::size_t> Sorted() {
    std::sort(rows_.begin(), rows_.end(), [this](const Row& a, const Row& b) {
      const int order = KeyOf(a).compare(KeyOf(b));
      return order != 0 ? order < 0 : a.index < b.index;
    });
    std::vector<std::size_t> indexes;
    indexes.reserve(rows_.size());
    for (const Row& row : rows_) indexes.push_back(row.index);
    return indexes;
  }

 private:
  struct Row {
    std::uint32_t index = 0;
    std::uint32_t offset = 0;
    std::uint32_t size = 0;
  };

  // Compared as unsigned octets.
  std::string_view KeyOf(const Row& row) const {
    return std::string_view(keys_).substr(row.offset, row.size);
  }

  std::string keys_;
  std::vector<Row> rows_;
};

// `order` outlives the task.
Task<absl::StatusOr<std::vector<std::size_t>>> SortMessages(ImapState& state,
                                                            const std::vector<SortKey>& order,
                                                            std::vector<std::size_t> found) {
  absl::StatusOr<Columns> columns = co_await ReadColumns(state, order, found);
  if (!columns.ok()) co_return columns.status();
  Sorter sorter;
  const mime::Envelope none;
  std::vector<std::size_t> at(order.size());
  std::vector<std::string> own(order.size());
  std::vector<std::string_view> keys(order.size());
  for (const std::size_t index : found) {
    const SelectedMailbox::Message& message = state.selected->messages()[index];
    bool there = true;
    for (std::size_t i = 0; i < order.size() && there; ++i) {
      if (!NeedsEnvelope(order[i])) {
        own[i] = KeyOf(order[i].kind, message, none);
        keys[i] = own[i];
        continue;
      }
      const SortColumn& column = *(*columns)[i];
      at[i] = column.LowerBound(message.uid, at[i]);
      there = at[i] < column.size() && column.uid(at[i]) == message.uid;
      if (there) keys[i] = column.key(at[i]);
    }
    if (!there) continue;  // expunged meanwhile
    absl::Status added = sorter.Add(index, order, keys);
    if (!added.ok()) co_return added;
  }
  co_return sorter.Sorted();
}

}  // namespace

Task<ImapReply> HandleSort(ImapState& state, imap::SortCommand command) {
  const bool save = command.returns && command.returns->save;
  const bool modseq = AsksForModSeq(command.key);
  if (modseq) state.condstore = true;
  Uid lowest = 0;
  absl::StatusOr<std::vector<std::size_t>> found =
      co_await SearchMessages(state, command.key, lowest);
  // RFC 9738 section 3.3: an order of a part is of no use.
  if (lowest != 0) {
    if (save) state.selected->Save({});
    co_return state.TooManyMessages(0);
  }
  if (found.ok()) found = co_await SortMessages(state, command.order, *std::move(found));
  if (!found.ok()) {
    if (save) state.selected->Save({});
    co_return ImapReply::Failed(found.status());
  }
  absl::Status written;
  if (command.returns) {
    SaveFound(*state.selected, *command.returns, *found);
    if (!command.returns->IsAnswered()) co_return ImapReply::Ok("Sort completed");
    written = co_await AppendExtendedFound(state, *command.returns, *std::move(found), command.uid,
                                           modseq);
  } else {
    written = co_await AppendFound(state, "SORT", *std::move(found), command.uid, modseq);
  }
  if (!written.ok()) co_return ImapReply::Broken();
  co_return ImapReply::Ok("Sort completed");
}

}  // namespace posthorn::gateway
