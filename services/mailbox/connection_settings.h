#ifndef POSTHORN_SERVICES_MAILBOX_CONNECTION_SETTINGS_H_
#define POSTHORN_SERVICES_MAILBOX_CONNECTION_SETTINGS_H_

#include <string>

#include "lib/postgres/connection.h"

namespace posthorn::mailbox {

// How this service connects: as its role, which row-level security binds, and with plans that find
// rows by a key. Every statement here does, and plans are kept, also those made while a table was
// still empty, so they must not read whole tables. `keep_deleted`: what its statements expunge can be
// had back (DeletedStore).
postgres::ConnectionOptions ConnectionFor(std::string url, bool keep_deleted = false);

}  // namespace posthorn::mailbox

#endif  // POSTHORN_SERVICES_MAILBOX_CONNECTION_SETTINGS_H_
