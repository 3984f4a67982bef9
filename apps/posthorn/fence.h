#ifndef POSTHORN_APPS_POSTHORN_FENCE_H_
#define POSTHORN_APPS_POSTHORN_FENCE_H_

#include <string>

#include "absl/status/status.h"
#include "posthorn/config/v1/config.pb.h"

namespace posthorn::app {

// In the data directory: the next serve fences its private database before it starts the services.
std::string FenceMark(const std::string& data_dir);

// After the database has gone back to an earlier point: what clients, workers and Redis know of the
// time that is lost there can't be taken for anything that comes. Every mailbox has a new UIDVALIDITY,
// MODSEQ (and with it EMAILID), ids and the attempts of queued mail go on far above what they can have
// been. Refuses while services are connected. Without postgres.url it leaves FenceMark.
absl::Status RunFence(config::v1::Config config);

}  // namespace posthorn::app

#endif  // POSTHORN_APPS_POSTHORN_FENCE_H_
