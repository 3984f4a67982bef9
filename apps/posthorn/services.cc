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
#include "lib/config/redis_settings.h"
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

// Health and metrics over HTTP, which every process has.
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

std::shared_ptr<grpc::Channel> ConnectTo(const std::string& target, const Config& config) {
  return rpc::Connect(target, InternalTls(config), config.rpc().server_name());
}

// A setting without which a service cannot run.
struct Needed {
  const std::string& value;
  const char* key;
  const char* what;
};

absl::Status RequireSet(const std::vector<Needed>& settings) {
  for (const Needed& setting : settings) {
    if (setting.value.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat(setting.key, ": must be set: ", setting.what));
    }
  }
  return absl::OkStatus();
}

// The gRPC server of a service that runs alone.
absl::StatusOr<std::unique_ptr<rpc::Server>> Listen(const Config& config,
                                                    const std::vector<grpc::Service*>& services) {
  rpc::ServerOptions options;
  options.listen = {config.rpc().listen()};
  options.tls = InternalTls(config);
  absl::StatusOr<std::unique_ptr<rpc::Server>> server =
      rpc::Server::Start(services, std::move(options));
  if (!server.ok()) {
    return absl::FailedPreconditionError(
        absl::StrCat("rpc.listen: ", std::string(server.status().message())));
  }
  return server;
}

// What a process with one service starts with.
struct ServiceProcess {
  std::unique_ptr<telemetry::HttpServer> http;
  std::string token;
};

// In this order: ports are bound while that may need privileges, files are read without them.
absl::StatusOr<ServiceProcess> BeginService(const Config& config) {
  ServiceProcess process;
  absl::StatusOr<std::unique_ptr<telemetry::HttpServer>> http = BindHttp(config);
  if (!http.ok()) return http.status();
  process.http = *std::move(http);
  const absl::StatusOr<std::optional<User>> user = UserToBecome(config.user(), false);
  if (!user.ok()) return user.status();
  if (user->has_value()) {
    if (absl::Status s = Become(**user); !s.ok()) return s;
  }
  absl::StatusOr<std::string> token = ServiceToken(config);
  if (!token.ok()) return token.status();
  process.token = *std::move(token);
  return process;
}

// The ready check of a service that has a database.
template <typename Service>
telemetry::HttpServer::ReadyCheck StorageIsUp(const Service& service) {
  return [&service] {
    return service.IsStorageUp() ? absl::OkStatus()
                                 : absl::UnavailableError("PostgreSQL does not answer");
  };
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

// The life of a process with the mailbox or the queue service, from its gRPC server to the end.
template <typename Service>
absl::Status ServeUntilStopped(const Config& config, const char* name, Service& service,
                               ServiceProcess process) {
  absl::StatusOr<std::unique_ptr<rpc::Server>> server = Listen(config, service.services());
  if (!server.ok()) return server.status();
  process.http->Serve(StorageIsUp(service));
  log::Info(name, "listening", {{"address", config.rpc().listen()}});
  WaitForStop(NothingToReload);
  process.http.reset();
  (*server)->SetServing(false);
  service.Drain();
  (*server)->Shutdown(kDrain);
  service.Stop();
  return absl::OkStatus();
}

void LogListeners(const gateway::GatewayServer& gateway) {
  for (const gateway::ListeningAddress& listener : gateway.listeners()) {
    log::Info("gateway", "listening",
              {{"role", listener.role}, {"address", listener.address}, {"port", listener.port}});
  }
}

}  // namespace

absl::Status RunAllInOne(const Config& config, gateway::BoundSockets sockets,
                         std::unique_ptr<telemetry::HttpServer> http) {
  BlockStopSignals();
  const absl::StatusOr<std::string> token = ServiceToken(config);
  if (!token.ok()) return token.status();

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
  http->Serve([&front, &store, &spool] {
    if (!store.IsStorageUp() || !spool.IsStorageUp()) {
      return absl::UnavailableError("PostgreSQL does not answer");
    }
    return front.Ready();
  });
  LogListeners(front);
  WaitForStop([&front] { ReloadCertificates(front); });

  log::Info("serve", "draining");
  http.reset();
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
  const std::string redis = config::RedisServers(config.redis());
  absl::Status set = RequireSet({{config.rpc().mailbox(), "rpc.mailbox", "a gRPC target"},
                                 {config.rpc().queue(), "rpc.queue", "a gRPC target"},
                                 {redis, "redis.address", "host:port"}});
  if (!set.ok()) return set;
  absl::StatusOr<gateway::BoundSockets> sockets = gateway::BindListeners(config);
  if (!sockets.ok()) return sockets.status();
  absl::StatusOr<ServiceProcess> process = BeginService(config);
  if (!process.ok()) return process.status();

  gateway::GatewayDependencies dependencies;
  dependencies.mailbox = ConnectTo(config.rpc().mailbox(), config);
  dependencies.queue = ConnectTo(config.rpc().queue(), config);
  dependencies.service_token = process->token;
  absl::StatusOr<std::unique_ptr<gateway::GatewayServer>> gateway =
      gateway::GatewayServer::Start(config, *std::move(sockets), std::move(dependencies));
  if (!gateway.ok()) return gateway.status();
  gateway::GatewayServer& front = **gateway;
  process->http->Serve([&front] { return front.Ready(); });
  LogListeners(front);
  WaitForStop([&front] { ReloadCertificates(front); });
  process->http.reset();
  front.Drain(kDrain);
  return absl::OkStatus();
}

absl::Status RunMailbox(const Config& config) {
  BlockStopSignals();
  absl::Status set = RequireSet({{config.postgres().url(), "postgres.url", "the database"},
                                 {config.rpc().listen(), "rpc.listen", "where to listen"}});
  if (!set.ok()) return set;
  absl::StatusOr<ServiceProcess> process = BeginService(config);
  if (!process.ok()) return process.status();
  absl::StatusOr<std::unique_ptr<mailbox::MailboxServer>> mailbox =
      mailbox::MailboxServer::Start(config, process->token);
  if (!mailbox.ok()) return mailbox.status();
  return ServeUntilStopped(config, "mailbox", **mailbox, *std::move(process));
}

absl::Status RunQueue(const Config& config) {
  BlockStopSignals();
  const std::string redis = config::RedisServers(config.redis());
  absl::Status set = RequireSet({{config.postgres().url(), "postgres.url", "the database"},
                                 {redis, "redis.address", "host:port"},
                                 {config.rpc().listen(), "rpc.listen", "where to listen"}});
  if (!set.ok()) return set;
  absl::StatusOr<ServiceProcess> process = BeginService(config);
  if (!process.ok()) return process.status();
  absl::StatusOr<std::unique_ptr<queue::QueueServer>> queue =
      queue::QueueServer::Start(config, process->token);
  if (!queue.ok()) return queue.status();
  return ServeUntilStopped(config, "queue", **queue, *std::move(process));
}

absl::Status RunDelivery(const Config& config) {
  BlockStopSignals();
  absl::Status set = RequireSet({{config.rpc().mailbox(), "rpc.mailbox", "a gRPC target"},
                                 {config.rpc().queue(), "rpc.queue", "a gRPC target"}});
  if (!set.ok()) return set;
  absl::StatusOr<ServiceProcess> process = BeginService(config);
  if (!process.ok()) return process.status();
  const std::shared_ptr<grpc::Channel> mailbox = ConnectTo(config.rpc().mailbox(), config);
  const std::shared_ptr<grpc::Channel> queue = ConnectTo(config.rpc().queue(), config);
  absl::StatusOr<std::unique_ptr<delivery::DeliveryServer>> delivery =
      delivery::DeliveryServer::Start(config, queue, mailbox, process->token);
  if (!delivery.ok()) return delivery.status();
  process->http->Serve([queue, mailbox] {
    if (!rpc::IsConnected(*queue)) {
      return absl::UnavailableError("not connected to the queue service");
    }
    if (!rpc::IsConnected(*mailbox)) {
      return absl::UnavailableError("not connected to the mailbox service");
    }
    return absl::OkStatus();
  });
  log::Info("delivery", "running");
  WaitForStop(NothingToReload);
  process->http.reset();
  (*delivery)->Drain(kDrain);
  (*delivery)->Stop();
  return absl::OkStatus();
}

}  // namespace posthorn::app
