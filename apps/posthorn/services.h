#ifndef POSTHORN_APPS_POSTHORN_SERVICES_H_
#define POSTHORN_APPS_POSTHORN_SERVICES_H_

#include <memory>

#include "absl/status/status.h"
#include "apps/posthorn/command_line.h"
#include "lib/telemetry/http_server.h"
#include "posthorn/config/v1/config.pb.h"
#include "services/gateway/bound_sockets.h"

// The commands that run services. Each runs until SIGINT or SIGTERM, then drains and returns OK;
// SIGHUP reads certificates again. An error is one line that names the key.
namespace posthorn::app {

// All four services of one process over in-process channels. `config` is complete; the sockets
// and the HTTP server are bound to what it names.
absl::Status RunAllInOne(const config::v1::Config& config, gateway::BoundSockets sockets,
                         std::unique_ptr<telemetry::HttpServer> http);

// One service that finds the others by rpc.mailbox and rpc.queue.
absl::Status RunGateway(const config::v1::Config& config);
absl::Status RunMailbox(const config::v1::Config& config);
absl::Status RunQueue(const config::v1::Config& config);
absl::Status RunDelivery(const config::v1::Config& config);

}  // namespace posthorn::app

#endif  // POSTHORN_APPS_POSTHORN_SERVICES_H_
