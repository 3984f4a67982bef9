#ifndef POSTHORN_LIB_CONFIG_REDIS_SETTINGS_H_
#define POSTHORN_LIB_CONFIG_REDIS_SETTINGS_H_

#include <string>

#include "absl/status/statusor.h"
#include "lib/redis/options.h"
#include "posthorn/config/v1/config.pb.h"

namespace posthorn::config {

// The servers as one text, for messages and for who only asks whether there are any.
std::string RedisServers(const v1::Redis& redis);

// kInvalidArgument names the key: no server, or a TLS file that cannot be read.
absl::StatusOr<redis::Options> RedisOptionsFrom(const v1::Redis& redis);

}  // namespace posthorn::config

#endif  // POSTHORN_LIB_CONFIG_REDIS_SETTINGS_H_
