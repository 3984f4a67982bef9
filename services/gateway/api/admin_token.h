#ifndef POSTHORN_SERVICES_GATEWAY_API_ADMIN_TOKEN_H_
#define POSTHORN_SERVICES_GATEWAY_API_ADMIN_TOKEN_H_

#include <string>

#include "absl/status/statusor.h"

namespace posthorn::gateway {

// The administrator token in `file`: its first line. Refuses a file that others than its owner
// may write, or others than its group may read, and an empty token. Errors name the file.
absl::StatusOr<std::string> ReadAdminToken(const std::string& file);

}  // namespace posthorn::gateway

#endif  // POSTHORN_SERVICES_GATEWAY_API_ADMIN_TOKEN_H_
