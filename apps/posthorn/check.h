#ifndef POSTHORN_APPS_POSTHORN_CHECK_H_
#define POSTHORN_APPS_POSTHORN_CHECK_H_

#include "absl/status/statusor.h"
#include "posthorn/config/v1/config.pb.h"

namespace posthorn::app {

// Looks for contradictions in the mailbox store, beside whatever runs on it, and prints them.
// Answers how many kinds there were. Without postgres.url it is the database of a running serve.
absl::StatusOr<int> RunCheck(config::v1::Config config);

}  // namespace posthorn::app

#endif  // POSTHORN_APPS_POSTHORN_CHECK_H_
