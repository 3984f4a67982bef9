#ifndef POSTHORN_LIB_POSTGRES_STATUS_H_
#define POSTHORN_LIB_POSTGRES_STATUS_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace posthorn::postgres {

// How PostgreSQL's errors come out of this library:
//   connection lost or refused         Failure::kStorageDown
//   connection lost while committing   the same, and IsInDoubt: the change may have happened
//   deadlock, serialisation, lock      Failure::kConflict
//   statement timeout                  Failure::kDeadlineExceeded
//   disk or memory full                Failure::kInsufficientStorage
//   any other error of the server      no failure; SqlState says which (PostgreSQL appendix A)
// The server's own words are the message of the last kind: for the log only.
absl::Status ConnectionLost(std::string_view detail);
absl::Status CommitInDoubt(std::string_view detail);
absl::Status FromSqlState(std::string_view sql_state, std::string_view message);

// The connection broke after COMMIT was sent and before the answer: look on a new connection.
bool IsInDoubt(const absl::Status& status);
// The five characters, "23505" for a unique violation; empty if the server sent none.
std::string SqlState(const absl::Status& status);

inline constexpr std::string_view kUniqueViolation = "23505";
inline constexpr std::string_view kForeignKeyViolation = "23503";

}  // namespace posthorn::postgres

#endif  // POSTHORN_LIB_POSTGRES_STATUS_H_
