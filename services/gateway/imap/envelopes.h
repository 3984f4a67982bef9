#ifndef POSTHORN_SERVICES_GATEWAY_IMAP_ENVELOPES_H_
#define POSTHORN_SERVICES_GATEWAY_IMAP_ENVELOPES_H_

#include <cstddef>
#include <functional>
#include <vector>

#include "absl/status/status.h"
#include "lib/base/task.h"
#include "lib/mime/envelope.h"
#include "services/gateway/imap/state.h"

namespace posthorn::gateway {

using EnvelopeSink = std::function<absl::Status(std::size_t index, const mime::Envelope& envelope)>;

// The envelopes of messages of the selected mailbox (ascending `indexes`) to `sink`, a batch at a
// time; in no certain order, and without messages that another session has expunged. Stops at the
// first error of `sink`. `state` outlives the task.
Task<absl::Status> ReadEnvelopes(ImapState& state, std::vector<std::size_t> indexes,
                                 EnvelopeSink sink);

}  // namespace posthorn::gateway

#endif  // POSTHORN_SERVICES_GATEWAY_IMAP_ENVELOPES_H_
