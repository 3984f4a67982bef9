#ifndef POSTHORN_APPS_POSTHORN_EMBEDDED_REDIS_H_
#define POSTHORN_APPS_POSTHORN_EMBEDDED_REDIS_H_

#include <string>

#include "absl/status/statusor.h"
#include "apps/posthorn/supervisor.h"

namespace posthorn::app {

// A private Redis on a unix socket. It holds the schedule, never the truth, so it syncs once a
// second.
struct EmbeddedRedis {
  std::string program;    // redis-server
  std::string directory;  // its data
  std::string socket;
  std::string log_file;
};

// redis-server in the usual places. The error says what to install.
absl::StatusOr<std::string> FindRedis();

Component RedisComponent(const EmbeddedRedis& redis);

}  // namespace posthorn::app

#endif  // POSTHORN_APPS_POSTHORN_EMBEDDED_REDIS_H_
