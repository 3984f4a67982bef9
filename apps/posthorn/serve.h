#ifndef POSTHORN_APPS_POSTHORN_SERVE_H_
#define POSTHORN_APPS_POSTHORN_SERVE_H_

#include "absl/status/statusor.h"
#include "posthorn/config/v1/config.pb.h"

namespace posthorn::app {

// `posthorn serve`: prepares the data directory, binds the listeners, drops privileges, and then
// supervises one process with all services, and a private PostgreSQL and Redis where none are
// configured. Never starts a thread: it forks. Runs until SIGINT or SIGTERM; the result is the
// exit status. An error is one line that names the key; then nothing is left running.
absl::StatusOr<int> RunServe(config::v1::Config config);

}  // namespace posthorn::app

#endif  // POSTHORN_APPS_POSTHORN_SERVE_H_
