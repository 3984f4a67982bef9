#ifndef POSTHORN_SERVICES_QUEUE_MIGRATIONS_H_
#define POSTHORN_SERVICES_QUEUE_MIGRATIONS_H_

#include <vector>

#include "lib/postgres/migrate.h"

namespace posthorn::queue {

// The files in migrations/, numbers 100 to 199: schema queue and its lookup functions. They need
// what 0001_shared.sql made.
std::vector<postgres::Migration> Migrations();

}  // namespace posthorn::queue

#endif  // POSTHORN_SERVICES_QUEUE_MIGRATIONS_H_
