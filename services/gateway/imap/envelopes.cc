#include "services/gateway/imap/envelopes.h"

#include <algorithm>
#include <utility>

#include "lib/mime/scanner.h"

namespace posthorn::gateway {
namespace {

// One call of the store.
constexpr std::size_t kMessagesPerCall = 5000;

// Stored envelopes, or those made anew from headers, of one call's messages. Those whose stored
// envelope cannot be read are added to `unread`. References outlive the task.
Task<absl::Status> ReadSome(ImapState& state, const std::vector<std::size_t>& indexes, bool headers,
                            const EnvelopeSink& sink, std::vector<std::size_t>& unread) {
  const SelectedMailbox& mailbox = *state.selected;
  FetchParts parts;
  parts.envelope = !headers;
  parts.header = headers;
  std::unique_ptr<Reader<std::vector<MessageData>>> reader = state.store().Fetch(
      state.tenant(), state.account(), mailbox.id(), mailbox.UidRanges(indexes), parts);
  for (;;) {
    absl::StatusOr<std::optional<std::vector<MessageData>>> batch = co_await reader->Next();
    if (!batch.ok()) co_return batch.status();
    if (!batch->has_value()) co_return absl::OkStatus();
    for (const MessageData& data : **batch) {
      const std::optional<std::size_t> index = mailbox.Find(data.uid);
      // A range of UIDs may hold messages that were not asked for.
      if (!index || !std::binary_search(indexes.begin(), indexes.end(), *index)) continue;
      absl::Status done;
      if (headers) {
        const std::size_t prefix = std::min<std::size_t>(data.prefix_size, data.header.size());
        done = sink(*index, mime::Scan(std::string_view(data.header).substr(prefix)).envelope);
      } else if (absl::StatusOr<mime::Envelope> envelope = mime::ParseEnvelope(data.envelope);
                 envelope.ok()) {
        done = sink(*index, *envelope);
      } else {
        unread.push_back(*index);
      }
      if (!done.ok()) co_return done;
    }
  }
}

}  // namespace

Task<absl::Status> ReadEnvelopes(ImapState& state, std::vector<std::size_t> indexes,
                                 EnvelopeSink sink) {
  std::vector<std::size_t> unread;
  for (int pass = 0; pass < 2; ++pass) {
    // What was stored by another version is read again.
    const bool headers = pass == 1;
    if (headers) indexes = std::exchange(unread, {});
    for (std::size_t at = 0; at < indexes.size(); at += kMessagesPerCall) {
      const std::size_t end = std::min(at + kMessagesPerCall, indexes.size());
      const std::vector<std::size_t> some(indexes.begin() + static_cast<std::ptrdiff_t>(at),
                                          indexes.begin() + static_cast<std::ptrdiff_t>(end));
      absl::Status read = co_await ReadSome(state, some, headers, sink, unread);
      if (!read.ok()) co_return read;
    }
  }
  co_return absl::OkStatus();
}

}  // namespace posthorn::gateway
