#ifndef POSTHORN_SERVICES_MAILBOX_TAG_MAILBOXES_H_
#define POSTHORN_SERVICES_MAILBOX_TAG_MAILBOXES_H_

#include <string>

#include "absl/status/statusor.h"
#include "lib/base/task.h"
#include "lib/postgres/database.h"
#include "services/mailbox/mailbox_store.h"
#include "services/mailbox/types.h"

namespace posthorn::mailbox {

// Which mailbox the tag of an address names ("alice+lists@"), as the account wants it. Asked when a
// message is delivered, so what the account says holds at once, and also for what was queued
// before. Only an address with a separator costs queries. Thread-safe; what it refers to outlives
// it.
class TagMailboxes {
 public:
  // An account with more mailboxes gets no new ones by tags: senders choose tags.
  static constexpr int kMaxMailboxes = 1000;

  TagMailboxes(postgres::Database& database, MailboxStore& mailboxes, std::string separators);

  // None: INBOX. That is where everything goes that cannot be a mailbox's name, and what would go
  // to a mailbox with a special use: a sender does not file into Sent or Trash. Names compare
  // without regard to case. Errors are temporary.
  Task<absl::StatusOr<MailboxId>> Find(Account account, std::string address);

 private:
  Task<absl::StatusOr<std::string>> TagFor(Account account, std::string address, bool& create);
  Task<absl::StatusOr<MailboxId>> FindByName(Account account, std::string name, bool& exists);

  postgres::Database& database_;
  MailboxStore& mailboxes_;
  const std::string separators_;
};

}  // namespace posthorn::mailbox

#endif  // POSTHORN_SERVICES_MAILBOX_TAG_MAILBOXES_H_
