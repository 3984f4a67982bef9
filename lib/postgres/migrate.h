#ifndef POSTHORN_LIB_POSTGRES_MIGRATE_H_
#define POSTHORN_LIB_POSTGRES_MIGRATE_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

namespace posthorn::postgres {

// One step of the schema: a file NNNN_title.sql. Never changed once released; each is expand or
// contract, so that the release before keeps working beside it.
struct Migration {
  int number;
  std::string_view name;
  std::string_view sql;
};

// Applies those of `migrations` that the database doesn't have, in order of their numbers, each in
// a transaction of its own, under an advisory lock, so that several may run this at once. `url`
// needs a role that may create roles and schemas. Fails, changing nothing, if an applied migration
// is not what it was when it was applied.
absl::Status Migrate(const std::string& url, std::vector<Migration> migrations);

}  // namespace posthorn::postgres

#endif  // POSTHORN_LIB_POSTGRES_MIGRATE_H_
