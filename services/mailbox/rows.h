#ifndef POSTHORN_SERVICES_MAILBOX_ROWS_H_
#define POSTHORN_SERVICES_MAILBOX_ROWS_H_

#include <vector>

#include "absl/status/status.h"
#include "lib/postgres/params.h"
#include "lib/postgres/result.h"
#include "services/mailbox/types.h"

// SQL fragments that several stores share, and how their rows are read.
namespace posthorn::mailbox {

// Columns of mailbox.mailbox `m` for InfoOf.
#define POSTHORN_INFO_COLUMNS                                                                   \
  " m.mailbox_id, m.name, m.special_use, (SELECT true FROM mailbox.subscription s"              \
  "  WHERE s.tenant_id = m.tenant_id AND s.account_id = m.account_id AND s.name = m.name"       \
  "  LIMIT 1) IS NOT NULL,"                                                                     \
  " m.uid_validity, m.uid_next, m.messages, m.unseen, m.messages - m.old_messages,"             \
  " m.highest_modseq, m.size, m.recent_uid "
inline constexpr int kRecentUidColumn = 11;

// Columns of mailbox.entry `e` for EntryOf.
#define POSTHORN_ENTRY_COLUMNS \
  " e.uid, e.modseq, e.flags, e.keywords, e.size, e.email_id, e.received_at "

MailboxInfo InfoOf(const postgres::Result& result, int row);
Entry EntryOf(const postgres::Result& result, int row);
std::vector<Entry> EntriesOf(const postgres::Result& result);
std::vector<Uid> UidsOf(const std::vector<std::int64_t>& values);

// Adds two arrays: the first and the last UIDs.
void AddRanges(const std::vector<UidRange>& ranges, postgres::Params& params);

// kOverQuota for what the database refused because of a limit on messages or of the tenant; any
// other status as it is.
absl::Status OrOverQuota(absl::Status status);

}  // namespace posthorn::mailbox

#endif  // POSTHORN_SERVICES_MAILBOX_ROWS_H_
