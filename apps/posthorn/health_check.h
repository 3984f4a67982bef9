#ifndef POSTHORN_APPS_POSTHORN_HEALTH_CHECK_H_
#define POSTHORN_APPS_POSTHORN_HEALTH_CHECK_H_

#include "absl/status/status.h"
#include "posthorn/config/v1/config.pb.h"

namespace posthorn::app {

// Asks the process that serves http.address and http.port for /readyz. OK: it is ready; else its
// reason, or that it does not answer within 3 s.
absl::Status RunHealthCheck(const config::v1::Config& config);

}  // namespace posthorn::app

#endif  // POSTHORN_APPS_POSTHORN_HEALTH_CHECK_H_
