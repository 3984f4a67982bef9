#include <iostream>
#include <string>

#include "absl/status/status.h"
#include "apps/posthorn/check.h"
#include "apps/posthorn/command_line.h"
#include "apps/posthorn/fence.h"
#include "apps/posthorn/health_check.h"
#include "apps/posthorn/migrate.h"
#include "apps/posthorn/serve.h"
#include "apps/posthorn/services.h"
#include "apps/posthorn/settings.h"
#include "apps/posthorn/supervisor.h"
#include "lib/base/failure.h"
#include "lib/config/config.h"

namespace posthorn::app {
namespace {

// The sockets serve left open: those of the mail listeners in their order, that of users of this
// machine where the configuration has one, then the API's.
absl::StatusOr<gateway::BoundSockets> AdoptSockets(const std::vector<int>& descriptors,
                                                   const config::v1::Gateway& config) {
  const std::size_t smtp = config.smtp_listeners_size();
  const std::size_t imap = config.imap_listeners_size();
  gateway::BoundSockets sockets;
  for (std::size_t i = 0; i < descriptors.size(); ++i) {
    absl::StatusOr<net::BoundSocket> socket = net::BoundSocket::Adopt(descriptors[i]);
    if (!socket.ok()) return socket.status();
    if (i + 1 == descriptors.size()) {
      sockets.api.emplace(*std::move(socket));
      break;
    }
    if (i + 2 == descriptors.size() && !config.local_submission().domain().empty()) {
      sockets.local.emplace(*std::move(socket));
      continue;
    }
    std::vector<net::BoundSocket>& list = i < smtp          ? sockets.smtp
                                          : i < smtp + imap ? sockets.imap
                                                            : sockets.pop3;
    list.push_back(*std::move(socket));
  }
  return sockets;
}

absl::Status RunServices(const Invocation& invocation, const config::v1::Config& config) {
  switch (invocation.command) {
    case Command::kAllInOne: {
      absl::StatusOr<gateway::BoundSockets> sockets =
          AdoptSockets(invocation.socket_fds, config.gateway());
      if (!sockets.ok()) return sockets.status();
      absl::StatusOr<std::unique_ptr<telemetry::HttpServer>> http =
          telemetry::HttpServer::Adopt(invocation.http_fd);
      if (!http.ok()) return http.status();
      return RunAllInOne(config, *std::move(sockets), *std::move(http));
    }
    case Command::kGateway: {
      config::v1::Config complete = config;
      FillInPaths(complete);
      return RunGateway(complete);
    }
    case Command::kMailbox:
      return RunMailbox(config);
    case Command::kQueue:
      return RunQueue(config);
    case Command::kDelivery:
      return RunDelivery(config);
    case Command::kFence:
      return RunFence(config);
    case Command::kMigrate:
      return RunMigrate(config, invocation.login_role);
    default:
      return absl::InternalError("no such command");
  }
}

int Fail(const absl::Status& status) {
  std::cerr << "posthorn: " << std::string(status.message()) << "\n";
  // serve's supervisor starts again what may come up later, and ends when that cannot help.
  const bool temporary =
      FailureOf(status) == Failure::kStorageDown || absl::IsUnavailable(status);
  return temporary ? kExitTryAgain : kExitConfiguration;
}

int Main(int argc, char** argv) {
  int exit_status = 0;
  const std::optional<Invocation> invocation = ParseCommandLine(argc, argv, exit_status);
  if (!invocation.has_value()) return exit_status;
  absl::StatusOr<config::v1::Config> config = LoadSettings(*invocation);
  if (!config.ok()) return Fail(config.status());
  switch (invocation->command) {
    case Command::kConfigCheck:
      std::cout << "The configuration is good.\n";
      return 0;
    case Command::kConfigPrint:
      std::cout << config::Print(*config);
      return 0;
    case Command::kHealthCheck: {
      const absl::Status healthy = RunHealthCheck(*config);
      if (healthy.ok()) return 0;
      std::cerr << "posthorn: " << std::string(healthy.message()) << "\n";
      return 1;
    }
    case Command::kCheck: {
      const absl::StatusOr<int> found = RunCheck(*std::move(config));
      return found.ok() ? (*found == 0 ? 0 : 1) : Fail(found.status());
    }
    case Command::kServe: {
      PrepareProcess(*config);
      const absl::StatusOr<int> status = RunServe(*std::move(config));
      return status.ok() ? *status : Fail(status.status());
    }
    default: {
      PrepareProcess(*config);
      const absl::Status status = RunServices(*invocation, *config);
      return status.ok() ? 0 : Fail(status);
    }
  }
}

}  // namespace
}  // namespace posthorn::app

int main(int argc, char** argv) { return posthorn::app::Main(argc, argv); }
