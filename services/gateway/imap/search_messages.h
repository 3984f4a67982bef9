#ifndef POSTHORN_SERVICES_GATEWAY_IMAP_SEARCH_MESSAGES_H_
#define POSTHORN_SERVICES_GATEWAY_IMAP_SEARCH_MESSAGES_H_

#include <algorithm>
#include <cstddef>
#include <vector>

#include "absl/status/statusor.h"
#include "lib/base/task.h"
#include "lib/imap/command.h"
#include "services/gateway/imap/state.h"

namespace posthorn::gateway {

// Indexes of the messages of the selected mailbox that match `key`, the kAnd of a command,
// ascending. Looked at are no more messages than one command may process, the last of those that
// the key's sets name (RFC 9738); `lowest_searched` becomes the lowest UID of them if there are more,
// else 0. References outlive the task.
Task<absl::StatusOr<std::vector<std::size_t>>> SearchMessages(ImapState& state,
                                                              const imap::SearchKey& key,
                                                              Uid& lowest_searched);

// Whether MODSEQ is among the keys: then the answers tell the highest of what they name.
bool AsksForModSeq(const imap::SearchKey& key);

// The elements of `list` at the positions of `range` (RFC 9394), in the order of `list`.
template <typename T>
std::vector<T> PartOf(const std::vector<T>& list, const imap::PartialRange& range) {
  if (range.first > list.size()) return {};
  const std::size_t first = range.first - 1;
  const std::size_t last = std::min<std::size_t>(range.last, list.size());
  if (range.from_end) {
    return std::vector<T>(list.end() - static_cast<std::ptrdiff_t>(last),
                          list.end() - static_cast<std::ptrdiff_t>(first));
  }
  return std::vector<T>(list.begin() + static_cast<std::ptrdiff_t>(first),
                        list.begin() + static_cast<std::ptrdiff_t>(last));
}

// search.cc: keeps what `returns` wants kept for "$" (RFC 5182).
void SaveFound(SelectedMailbox& mailbox, const imap::SearchReturn& returns,
               const std::vector<std::size_t>& found);

// The answers, flushed as they grow; an error ends the session.
// "* SEARCH 2 3": `response` with the sequence numbers, or UIDs, of `found` in its order; `modseq`:
// and the highest MODSEQ (RFC 7162 section 3.1.5).
Task<absl::Status> AppendFound(ImapState& state, const char* response,
                               std::vector<std::size_t> found, bool uid, bool modseq);
// "* ESEARCH ..." (RFC 4731); MIN and MAX are the first and the last of `found`.
Task<absl::Status> AppendExtendedFound(ImapState& state, const imap::SearchReturn& returns,
                                       std::vector<std::size_t> found, bool uid, bool modseq);

}  // namespace posthorn::gateway

#endif  // POSTHORN_SERVICES_GATEWAY_IMAP_SEARCH_MESSAGES_H_
