#ifndef POSTHORN_SERVICES_MAILBOX_MESSAGE_PLACES_H_
#define POSTHORN_SERVICES_MAILBOX_MESSAGE_PLACES_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "lib/base/task.h"
#include "lib/postgres/database.h"
#include "services/mailbox/types.h"

namespace posthorn::mailbox {

// Where a message is in a mailbox. One message may be at several places of it.
struct MessagePlace {
  Uid uid = 0;
  std::int64_t email_id = 0;
};

// The places in a mailbox of messages above the email id `after` and of those in `emails` (ascending;
// nullopt: of all messages), by UID. Few of them are looked up one by one, however large the mailbox is.
// None in a mailbox that is not the account's.
Task<absl::StatusOr<std::vector<MessagePlace>>> FindPlaces(
    postgres::Database& database, Account account, MailboxId mailbox, std::int64_t after,
    std::optional<std::vector<std::int64_t>> emails);

}  // namespace posthorn::mailbox

#endif  // POSTHORN_SERVICES_MAILBOX_MESSAGE_PLACES_H_
