#ifndef POSTHORN_SERVICES_MAILBOX_STORE_CHECK_H_
#define POSTHORN_SERVICES_MAILBOX_STORE_CHECK_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "lib/base/ids.h"
#include "lib/postgres/connection.h"

namespace posthorn::mailbox {

// What is wrong in the store of one tenant.
struct Finding {
  TenantId tenant;
  std::int64_t count = 0;
  std::string what;  // "bodies that ..."
};

// Looks for rows that contradict each other: counters, references, orphans. Each question is one
// statement, so the answer is right beside a store at work. Reads whole tables. `connection` has
// the mailbox service's role.
absl::StatusOr<std::vector<Finding>> CheckStore(postgres::Connection& connection);

}  // namespace posthorn::mailbox

#endif  // POSTHORN_SERVICES_MAILBOX_STORE_CHECK_H_
