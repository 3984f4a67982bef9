#include "apps/posthorn/services.h"

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "apps/posthorn/files.h"
#include "apps/posthorn/privileges.h"
#include "apps/posthorn/settings.h"
#include "apps/posthorn/signals.h"
#include "lib/rpc/channel.h"
#include "lib/rpc/grpc_server.h"
#include "lib/telemetry/http_server.h"
#include "lib/telemetry/log.h"
#include "services/delivery/wiring.h"
#include "services/gateway/wiring.h"
#include "services/mailbox/wiring.h"
#include "services/queue/wiring.h"

namespace posthorn::app {
namespace {

using config::v1::Config;

constexpr absl::Duration kDrain = absl::Seconds(6);
constexpr absl::Duration kShutdown = absl::Seconds(3);

// What every process of a service has: health and metrics over HTTP.
absl::StatusOr<std::unique_ptr<telemetry::HttpServer>> BindHttp(const Config& config) {
  absl::StatusOr<std::unique_ptr<telemetry::HttpServer>> http =
      telemetry::HttpServer::Bind(config.http().address(), config.http().port());
  if (!http.ok()) {
    return absl::FailedPreconditionError(
        absl::StrCat("http.port: ", std::string(http.status().message())));
  }
  return http;
}

rpc::TlsFiles InternalTls(const Config& config) {
  return {config.rpc().certificate_file(), config.rpc().key_file(), config.rpc().ca_file()};
}

absl::StatusOr<std::string> ServiceToken(const Config& config) {
  if (config.rpc().token_file().empty()) {
    return absl::InvalidArgumentError(
        "rpc.token_file: must name the file with the token that the services share");
  }
  absl::StatusOr<std::string> token = ReadToken(config.rpc().token_file());
  if (!token.ok()) {
    return absl::FailedPreconditionError(
        absl::StrCat("rpc.token_file: ", std::string(token.status().message())));
  }
  return token;
}

absl::Status RequireSet(const std::string& value, const std::string& key, const char* why) {
  if (!value.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(key, ": must be set: ", why));
}

// The gRPC server of a service that runs alone.
absl::StatusOr<std::unique_ptr<rpc::Server>> Listen(const Config& config,
                                                    const std::vector<grpc::Service*>& services) {
  rpc::ServerOptions options;
  options.listen = {config.rpc().listen()};
  options.tls = InternalTls(config);
  absl::StatusOr<std::unique_ptr<rpc::Server>> server = rpc::Server::Start(services, options);
  if (!server.ok()) {
    return absl::FailedPreconditionError(
        absl::StrCat("rpc.listen: ", std::string(server.status().message())));
  }
  return server;
}

absl::Status BecomeConfiguredUser(const Config& config) {
  const absl::StatusOr<std::optional<User>> user = UserToBecome(config.user(), false);
  if (!user.ok()) return user.status();
  return user->has_value() ? Become(**user) : absl::OkStatus();
}

void ReloadCertificates(gateway::GatewayServer& gateway) {
  const absl::Status reloaded = gateway.ReloadCertificates();
  if (reloaded.ok()) {
    log::Info("gateway", "certificates read again");
  } else {
    log::Error("gateway", "certificates not read again; the old ones stay",
               {{"reason", reloaded}});
  }
}

void NothingToReload() {}

void LogListeners(const gateway::GatewayServer& gateway) {
  for (const gateway::ListeningAddress& listener : gateway.listeners()) {
    log::Info("gateway", "listening",
              {{"role", listener.role}, {"address", listener.address}, {"port", listener.port}});
  }
}

}  // namespace

absl::Status RunAllInOne(const Config& config, gateway::BoundSockets sockets) {
  BlockStopSignals();
  const absl::StatusOr<std::string> token = ServiceToken(config);
  if (!token.ok()) return token.status();
  absl::StatusOr<std::unique_ptr<telemetry::HttpServer>> http = BindHttp(config);
  if (!http.ok()) return http.status();

  // Destroyed in reverse order: who calls before who is called.
  absl::StatusOr<std::unique_ptr<mailbox::MailboxServer>> mailbox =
      mailbox::MailboxServer::Start(config, *token);
  if (!mailbox.ok()) return mailbox.status();
  absl::StatusOr<std::unique_ptr<queue::QueueServer>> queue =
      queue::QueueServer::Start(config, *token);
  if (!queue.ok()) return queue.status();
  // Two servers, because both services have bodies.
  absl::StatusOr<std::unique_ptr<rpc::Server>> mailbox_rpc =
      rpc::Server::Start((*mailbox)->services(), rpc::ServerOptions());
  if (!mailbox_rpc.ok()) return mailbox_rpc.status();
  absl::StatusOr<std::unique_ptr<rpc::Server>> queue_rpc =
      rpc::Server::Start((*queue)->services(), rpc::ServerOptions());
  if (!queue_rpc.ok()) return queue_rpc.status();

  absl::StatusOr<std::unique_ptr<delivery::DeliveryServer>> delivery =
      delivery::DeliveryServer::Start(config, (*queue_rpc)->InProcessChannel(),
                                      (*mailbox_rpc)->InProcessChannel(), *token);
  if (!delivery.ok()) return delivery.status();
  gateway::GatewayDependencies dependencies;
  dependencies.mailbox = (*mailbox_rpc)->InProcessChannel();
  dependencies.queue = (*queue_rpc)->InProcessChannel();
  dependencies.service_token = *token;
  absl::StatusOr<std::unique_ptr<gateway::GatewayServer>> gateway =
      gateway::GatewayServer::Start(config, std::move(sockets), std::move(dependencies));
  if (!gateway.ok()) return gateway.status();

  gateway::GatewayServer& front = **gateway;
  mailbox::MailboxServer& store = **mailbox;
  queue::QueueServer& spool = **queue;
  (*http)->Serve([&front, &store, &spool] {
    if (!store.IsStorageUp() || !spool.IsStorageUp()) return absl::UnavailableError("PostgreSQL does not answer");
    return front.Ready();
  });
  LogListeners(front);
  WaitForStop([&front] { ReloadCertificates(front); });

  log::Info("serve", "draining");
  http->reset();
  front.Drain(kDrain);
  gateway->reset();
  (*queue)->Drain();  // first: workers wait in Lease
  (*delivery)->Drain(kShutdown);
  (*delivery)->Stop();
  (*mailbox)->Drain();
  (*queue_rpc)->Shutdown(kShutdown);
  (*mailbox_rpc)->Shutdown(kShutdown);
  (*queue)->Stop();
  (*mailbox)->Stop();
  return absl::OkStatus();
}

absl::Status RunGateway(const Config& config) {
  BlockStopSignals();
  if (absl::Status s = RequireSet(config.rpc().mailbox(), "rpc.mailbox", "a gRPC target"); !s.ok()) {
    return s;
  }
  if (absl::Status s = RequireSet(config.rpc().queue(), "rpc.queue", "a gRPC target"); !s.ok()) {
    return s;
  }
  if (absl::Status s = RequireSet(config.redis().address(), "redis.address", "host:port");
      !s.ok()) {
    return s;
  }
  absl::StatusOr<gateway::BoundSockets> sockets = gateway::BindListeners(config);
  if (!sockets.ok()) return sockets.status();
  if (absl::Status s = BecomeConfiguredUser(config); !s.ok()) return s;
  const absl::StatusOr<std::string> token = ServiceToken(config);
  if (!token.ok()) return token.status();
  absl::StatusOr<std::unique_ptr<telemetry::HttpServer>> http = BindHttp(config);
  if (!http.ok()) return http.status();

  gateway::GatewayDependencies dependencies;
  dependencies.mailbox = rpc::Connect(config.rpc().mailbox(), InternalTls(config));
  dependencies.queue = rpc::Connect(config.rpc().queue(), InternalTls(config));
  dependencies.service_token = *token;
  absl::StatusOr<std::unique_ptr<gateway::GatewayServer>> gateway =
      gateway::GatewayServer::Start(config, *std::move(sockets), std::move(dependencies));
  if (!gateway.ok()) return gateway.status();
  gateway::GatewayServer& front = **gateway;
  (*http)->Serve([&front] { return front.Ready(); });
  LogListeners(front);
  WaitForStop([&front] { ReloadCertificates(front); });
  http->reset();
  front.Drain(kDrain);
  return absl::OkStatus();
}

absl::Status RunMailbox(const Config& config) {
  BlockStopSignals();
  if (absl::Status s = RequireSet(config.postgres().url(), "postgres.url", "the database");
      !s.ok()) {
    return s;
  }
  if (absl::Status s = RequireSet(config.rpc().listen(), "rpc.listen", "where to listen"); !s.ok()) {
    return s;
  }
  if (absl::Status s = BecomeConfiguredUser(config); !s.ok()) return s;
  const absl::StatusOr<std::string> token = ServiceToken(config);
  if (!token.ok()) return token.status();
  absl::StatusOr<std::unique_ptr<telemetry::HttpServer>> http = BindHttp(config);
  if (!http.ok()) return http.status();
  absl::StatusOr<std::unique_ptr<mailbox::MailboxServer>> mailbox =
      mailbox::MailboxServer::Start(config, *token);
  if (!mailbox.ok()) return mailbox.status();
  absl::StatusOr<std::unique_ptr<rpc::Server>> server = Listen(config, (*mailbox)->services());
  if (!server.ok()) return server.status();
  mailbox::MailboxServer& store = **mailbox;
  (*http)->Serve([&store] {
    return store.IsStorageUp() ? absl::OkStatus()
                               : absl::UnavailableError("PostgreSQL does not answer");
  });
  log::Info("mailbox", "listening", {{"address", config.rpc().listen()}});
  WaitForStop(NothingToReload);
  http->reset();
  (*server)->SetServing(false);
  store.Drain();
  (*server)->Shutdown(kDrain);
  store.Stop();
  return absl::OkStatus();
}

absl::Status RunQueue(const Config& config) {
  BlockStopSignals();
  if (absl::Status s = RequireSet(config.postgres().url(), "postgres.url", "the database");
      !s.ok()) {
    return s;
  }
  if (absl::Status s = RequireSet(config.redis().address(), "redis.address", "host:port");
      !s.ok()) {
    return s;
  }
  if (absl::Status s = RequireSet(config.rpc().listen(), "rpc.listen", "where to listen"); !s.ok()) {
    return s;
  }
  if (absl::Status s = BecomeConfiguredUser(config); !s.ok()) return s;
  const absl::StatusOr<std::string> token = ServiceToken(config);
  if (!token.ok()) return token.status();
  absl::StatusOr<std::unique_ptr<telemetry::HttpServer>> http = BindHttp(config);
  if (!http.ok()) return http.status();
  absl::StatusOr<std::unique_ptr<queue::QueueServer>> queue =
      queue::QueueServer::Start(config, *token);
  if (!queue.ok()) return queue.status();
  absl::StatusOr<std::unique_ptr<rpc::Server>> server = Listen(config, (*queue)->services());
  if (!server.ok()) return server.status();
  queue::QueueServer& spool = **queue;
  (*http)->Serve([&spool] {
    return spool.IsStorageUp() ? absl::OkStatus()
                               : absl::UnavailableError("PostgreSQL does not answer");
  });
  log::Info("queue", "listening", {{"address", config.rpc().listen()}});
  WaitForStop(NothingToReload);
  http->reset();
  (*server)->SetServing(false);
  (*queue)->Drain();
  (*server)->Shutdown(kDrain);
  (*queue)->Stop();
  return absl::OkStatus();
}

absl::Status RunDelivery(const Config& config) {
  BlockStopSignals();
  if (absl::Status s = RequireSet(config.rpc().mailbox(), "rpc.mailbox", "a gRPC target"); !s.ok()) {
    return s;
  }
  if (absl::Status s = RequireSet(config.rpc().queue(), "rpc.queue", "a gRPC target"); !s.ok()) {
    return s;
  }
  if (absl::Status s = BecomeConfiguredUser(config); !s.ok()) return s;
  const absl::StatusOr<std::string> token = ServiceToken(config);
  if (!token.ok()) return token.status();
  absl::StatusOr<std::unique_ptr<telemetry::HttpServer>> http = BindHttp(config);
  if (!http.ok()) return http.status();
  absl::StatusOr<std::unique_ptr<delivery::DeliveryServer>> delivery =
      delivery::DeliveryServer::Start(config, rpc::Connect(config.rpc().queue(), InternalTls(config)),
                                      rpc::Connect(config.rpc().mailbox(), InternalTls(config)),
                                      *token);
  if (!delivery.ok()) return delivery.status();
  (*http)->Serve([] { return absl::OkStatus(); });
  log::Info("delivery", "running");
  WaitForStop(NothingToReload);
  http->reset();
  (*delivery)->Drain(kDrain);
  (*delivery)->Stop();
  return absl::OkStatus();
}

}  // namespace posthorn::app
