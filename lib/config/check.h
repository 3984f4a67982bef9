#ifndef POSTHORN_LIB_CONFIG_CHECK_H_
#define POSTHORN_LIB_CONFIG_CHECK_H_

// Internal to lib/config.

#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "posthorn/config/v1/config.pb.h"

namespace posthorn::config {

// What types and bounds cannot say: roles, addresses, and keys that need each other. `origins`
// says where each key was given.
absl::Status Check(const v1::Config& config,
                   const absl::flat_hash_map<std::string, std::string>& origins);

}  // namespace posthorn::config

#endif  // POSTHORN_LIB_CONFIG_CHECK_H_
