#ifndef POSTHORN_SERVICES_MAILBOX_MIGRATIONS_H_
#define POSTHORN_SERVICES_MAILBOX_MIGRATIONS_H_

#include <vector>

#include "lib/postgres/migrate.h"

namespace posthorn::mailbox {

// The files in migrations/, numbers 1 to 99 and 1000 on: what all services share (schema posthorn),
// the directory and the mailbox store. `posthorn migrate` applies them together with the other
// services' lists.
std::vector<postgres::Migration> Migrations();

}  // namespace posthorn::mailbox

#endif  // POSTHORN_SERVICES_MAILBOX_MIGRATIONS_H_
