#ifndef POSTHORN_SERVICES_MAILBOX_THREADS_H_
#define POSTHORN_SERVICES_MAILBOX_THREADS_H_

#include "absl/status/status.h"
#include "lib/base/task.h"
#include "lib/postgres/database.h"
#include "services/mailbox/types.h"

namespace posthorn::mailbox {

// Puts every email of the account into its thread, for good: into that of an earlier email which
// shares a message id (its own, or one it refers to) and the base subject with it, else into a new
// one. Of several such threads the oldest. In the order of delivery, and each email once, so that
// the answer does not depend on when it is asked for; in transactions of bounded size.
Task<absl::Status> AssignThreads(postgres::Database& database, Account account);

}  // namespace posthorn::mailbox

#endif  // POSTHORN_SERVICES_MAILBOX_THREADS_H_
