// SORT (RFC 5256, RFC 5957) with the answers of ESORT (RFC 5267). What the session's snapshot knows
// (ARRIVAL, SIZE) costs no call; for the rest the envelopes are read once, and of each only the key
// is kept.
#include <algorithm>
#include <utility>

#include "lib/base/failure.h"
#include "lib/mime/base_subject.h"
#include "lib/mime/date.h"
#include "lib/mime/encoded_word.h"
#include "lib/mime/text_search.h"
#include "services/gateway/imap/envelopes.h"
#include "services/gateway/imap/handlers.h"
#include "services/gateway/imap/search_messages.h"

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

// The keys of many messages, each as octets whose order is the one asked for.
class Sorter {
 public:
  Sorter(const SelectedMailbox& mailbox, const std::vector<SortKey>& order)
      : mailbox_(mailbox), order_(order) {}

  absl::Status Add(std::size_t index, const mime::Envelope& envelope) {
    Row row;
    row.index = static_cast<std::uint32_t>(index);
    row.offset = static_cast<std::uint32_t>(keys_.size());
    for (const SortKey& key : order_) {
      const std::size_t start = keys_.size();
      AppendKey(key.kind, mailbox_.messages()[index], envelope);
      if (!key.reverse) continue;
      for (std::size_t i = start; i < keys_.size(); ++i) keys_[i] = static_cast<char>(~keys_[i]);
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

  void AppendNumber(std::int64_t number) {
    const std::uint64_t bits = static_cast<std::uint64_t>(number) ^ (std::uint64_t{1} << 63);
    for (int shift = 56; shift >= 0; shift -= 8) keys_ += static_cast<char>(bits >> shift);
  }
  // Folded text has no NUL, which therefore ends it below everything.
  void AppendText(const std::string& folded) {
    keys_ += folded;
    keys_ += '\0';
  }

  void AppendKey(Kind kind, const SelectedMailbox::Message& message,
                 const mime::Envelope& envelope) {
    switch (kind) {
      case Kind::kArrival:
        return AppendNumber(message.received_seconds);
      case Kind::kSize:
        return AppendNumber(message.size);
      case Kind::kDate: {
        const std::optional<absl::Time> sent = mime::ParseDate(envelope.date.value_or(""));
        return AppendNumber(sent ? absl::ToUnixSeconds(*sent) : message.received_seconds);
      }
      case Kind::kSubject:
        return AppendText(
            mime::FoldForSearch(mime::BaseSubjectOf(envelope.subject.value_or("")).text));
      case Kind::kFrom:
        return AppendText(AddressText(envelope.from));
      case Kind::kTo:
        return AppendText(AddressText(envelope.to));
      case Kind::kCc:
        return AppendText(AddressText(envelope.cc));
      case Kind::kDisplayFrom:
        return AppendText(DisplayText(envelope.from));
      case Kind::kDisplayTo:
        return AppendText(DisplayText(envelope.to));
    }
  }

  const SelectedMailbox& mailbox_;
  const std::vector<SortKey>& order_;
  std::string keys_;
  std::vector<Row> rows_;
};

// `order` outlives the task.
Task<absl::StatusOr<std::vector<std::size_t>>> SortMessages(ImapState& state,
                                                            const std::vector<SortKey>& order,
                                                            std::vector<std::size_t> found) {
  Sorter sorter(*state.selected, order);
  if (std::any_of(order.begin(), order.end(), NeedsEnvelope)) {
    EnvelopeSink sink = [&sorter](std::size_t index, const mime::Envelope& envelope) {
      return sorter.Add(index, envelope);
    };
    Task<absl::Status> reading = ReadEnvelopes(state, std::move(found), std::move(sink));
    absl::Status read = co_await state.Await(std::move(reading));
    if (!read.ok()) co_return read;
  } else {
    const mime::Envelope none;
    for (const std::size_t index : found) {
      absl::Status added = sorter.Add(index, none);
      if (!added.ok()) co_return added;
    }
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
