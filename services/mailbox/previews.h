#ifndef POSTHORN_SERVICES_MAILBOX_PREVIEWS_H_
#define POSTHORN_SERVICES_MAILBOX_PREVIEWS_H_

#include <vector>

#include "absl/status/status.h"
#include "lib/base/task.h"
#include "lib/postgres/body_store.h"
#include "services/mailbox/message_reader.h"
#include "services/mailbox/types.h"

namespace posthorn::mailbox {

// Fills in the previews (RFC 8970) that `messages`, with email ids, lack, and keeps them with the
// emails. What was expunged meanwhile gets an empty one. Both outlive the task.
Task<absl::Status> MakePreviews(postgres::BodyStore& bodies, Account account,
                                std::vector<FetchedMessage>& messages);

}  // namespace posthorn::mailbox

#endif  // POSTHORN_SERVICES_MAILBOX_PREVIEWS_H_
