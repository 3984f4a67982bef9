#include "apps/posthorn/serve.h"

#include <fcntl.h>
#include <unistd.h>

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "apps/posthorn/dev_certificate.h"
#include "apps/posthorn/embedded_postgres.h"
#include "apps/posthorn/embedded_redis.h"
#include "apps/posthorn/fence.h"
#include "apps/posthorn/files.h"
#include "apps/posthorn/layout.h"
#include "apps/posthorn/privileges.h"
#include "apps/posthorn/settings.h"
#include "apps/posthorn/supervisor.h"
#include "lib/config/redis_settings.h"
#include "lib/telemetry/log.h"
#include "services/gateway/bound_sockets.h"
#include "services/gateway/wiring.h"

namespace posthorn::app {
namespace {

using config::v1::Config;

// Descriptors that the services inherit.
struct InheritedSockets {
  std::vector<int> gateway;  // in the order AdoptSockets (main.cc) expects
  int http = -1;
  std::vector<int> all() const {
    std::vector<int> descriptors = gateway;
    descriptors.push_back(http);
    return descriptors;
  }
};

// Binds every port: now, while that may need privileges, and before anything is started, so that a
// taken one is said first.
absl::StatusOr<InheritedSockets> BindSockets(const Config& config) {
  absl::StatusOr<gateway::BoundSockets> sockets = gateway::BindListeners(config);
  if (!sockets.ok()) return sockets.status();
  absl::StatusOr<net::BoundSocket> http =
      net::BoundSocket::Bind(config.http().address(), config.http().port());
  if (!http.ok()) {
    return absl::FailedPreconditionError(
        absl::StrCat("http.port: ", std::string(http.status().message())));
  }
  InheritedSockets inherited;
  for (auto* list : {&sockets->smtp, &sockets->imap, &sockets->pop3}) {
    for (net::BoundSocket& socket : *list) inherited.gateway.push_back(socket.Release());
  }
  if (sockets->local.has_value()) inherited.gateway.push_back(sockets->local->Release());
  inherited.gateway.push_back(sockets->api->Release());
  inherited.http = http->Release();
  // For the services alone; the supervisor clears this for them.
  for (const int descriptor : inherited.all()) fcntl(descriptor, F_SETFD, FD_CLOEXEC);
  return inherited;
}

// Where posthornctl on this machine finds the API: "127.0.0.1:2900 plaintext".
absl::Status TellPosthornctl(const Layout& layout, const config::v1::Gateway& gateway) {
  std::string address = gateway.api_address();
  if (address == "0.0.0.0") address = "127.0.0.1";
  if (address == "::") address = "::1";
  if (address.find(':') != std::string::npos) address = absl::StrCat("[", address, "]");
  return WriteFile(layout.data_dir + "/api",
                   absl::StrCat(address, ":", gateway.api_port(),
                                gateway.api_tls() ? " tls\n" : " plaintext\n"),
                   0644);
}

absl::Status PrepareCredentials(const Layout& layout, Config& config) {
  absl::StatusOr<std::string> token = ReadOrCreateToken(config.gateway().admin_token_file());
  if (!token.ok()) {
    return absl::FailedPreconditionError(
        absl::StrCat("gateway.admin_token_file: ", std::string(token.status().message())));
  }
  if (config.rpc().token_file().empty()) {
    config.mutable_rpc()->set_token_file(layout.service_token());
  }
  token = ReadOrCreateToken(config.rpc().token_file());
  if (!token.ok()) {
    return absl::FailedPreconditionError(
        absl::StrCat("rpc.token_file: ", std::string(token.status().message())));
  }
  if (absl::Status s = TellPosthornctl(layout, config.gateway()); !s.ok()) return s;
  if (!config.tls().certificate_file().empty()) return absl::OkStatus();
  const DevCertificate certificate = DevCertificateIn(layout.tls());
  absl::Status made = EnsureDevCertificate(certificate, config.hostname(), absl::Now());
  if (!made.ok()) return made;
  config.mutable_tls()->set_certificate_file(certificate.certificate_file);
  config.mutable_tls()->set_key_file(certificate.key_file);
  return absl::OkStatus();
}

// This program, run again: found by descriptor, because its path may be out of reach for the user
// we have become.
Program Ourselves(int executable, std::vector<std::string> arguments, int config_fd) {
  Program program;
  program.executable_fd = executable;
  program.arguments = std::move(arguments);
  program.arguments.insert(program.arguments.end(), {"--config-fd", absl::StrCat(config_fd)});
  program.inherited = {config_fd};
  program.death_signal = SIGTERM;
  return program;
}

}  // namespace

absl::StatusOr<int> RunServe(Config config) {
  FillInPaths(config);
  const bool embedded_postgres = config.postgres().url().empty();
  const bool embedded_redis = config::RedisServers(config.redis()).empty();
  const absl::StatusOr<std::optional<User>> user = UserToBecome(config.user(), true);
  if (!user.ok()) return user.status();
  if (embedded_postgres && geteuid() == 0 && !user->has_value()) {
    return absl::FailedPreconditionError(
        "user: PostgreSQL refuses to run as root: name another user, or set postgres.url");
  }
  EmbeddedPostgres postgres;
  if (embedded_postgres) {
    absl::StatusOr<std::string> found = FindPostgres(config.postgres().embedded_bin_dir());
    if (!found.ok()) return found.status();
    postgres.bin_dir = *found;
  }
  EmbeddedRedis redis;
  if (embedded_redis) {
    absl::StatusOr<std::string> found = FindRedis();
    if (!found.ok()) return found.status();
    redis.program = *found;
  }

  Supervisor::BlockSignals();
  const absl::StatusOr<Layout> layout = PrepareDirectories(config, *user);
  if (!layout.ok()) return layout.status();
  const absl::StatusOr<int> lock = LockDataDirectory(*layout, *user);
  if (!lock.ok()) return lock.status();
  const ProcessTable table(layout->process_table());
  if (absl::Status s = table.StopLeftovers(); !s.ok()) return s;
  const absl::StatusOr<InheritedSockets> sockets = BindSockets(config);
  if (!sockets.ok()) return sockets.status();
  const int executable = open("/proc/self/exe", O_PATH | O_CLOEXEC);
  if (executable < 0) return ErrnoError("/proc/self/exe");
  if (user->has_value()) {
    if (absl::Status s = Become(**user); !s.ok()) return s;
    log::Info("serve", "privileges dropped", {{"user", (*user)->name}});
  }

  if (absl::Status s = PrepareContents(*layout); !s.ok()) return s;
  if (absl::Status s = PrepareCredentials(*layout, config); !s.ok()) return s;
  std::vector<Component> components;
  std::string owner_url = config.postgres().url();
  std::vector<std::string> migrate = {"posthorn", "migrate", "--data-dir", layout->data_dir};
  if (embedded_postgres) {
    postgres.directory = layout->postgres();
    postgres.socket_dir = layout->runtime_dir;
    postgres.log_file = layout->log() + "/postgresql.log";
    if (!Exists(postgres.directory)) log::Info("serve", "making a database; the first start only");
    if (absl::Status s = InitialisePostgres(postgres); !s.ok()) return s;
    components.push_back(PostgresComponent(postgres));
    owner_url = postgres.OwnerUrl();
    config.mutable_postgres()->set_url(postgres.ServiceUrl());
    migrate.insert(migrate.end(), {"--login-role", kServiceLoginRole});
  }
  if (embedded_redis) {
    redis.directory = layout->redis();
    redis.socket = layout->redis_socket();
    redis.log_file = layout->log() + "/redis.log";
    components.push_back(RedisComponent(redis));
    config.mutable_redis()->set_address(redis.socket);
  }

  Config owner_config = config;
  owner_config.mutable_postgres()->set_url(owner_url);
  const absl::StatusOr<int> owner_fd = PassSettings(owner_config);
  const absl::StatusOr<int> config_fd = PassSettings(config);
  if (!owner_fd.ok()) return owner_fd.status();
  if (!config_fd.ok()) return config_fd.status();
  Component migration;
  migration.name = "migrate";
  migration.program = Ourselves(executable, migrate, *owner_fd);
  migration.once = true;
  // A database elsewhere may be away: the services start and say so to who asks.
  migration.patience = embedded_postgres ? absl::Minutes(10) : absl::Seconds(5);
  components.push_back(migration);
  if (embedded_postgres && Exists(FenceMark(layout->data_dir))) {
    Component fence = migration;
    fence.name = "fence";
    fence.program =
        Ourselves(executable, {"posthorn", "fence", "--data-dir", layout->data_dir}, *owner_fd);
    components.push_back(fence);
  }

  Component services;
  services.name = "services";
  std::vector<std::string> arguments = {
      "posthorn",     "all-in-one",
      "--data-dir",   layout->data_dir,
      "--socket-fds", absl::StrJoin(sockets->gateway, ","),
      "--http-fd",    absl::StrCat(sockets->http)};
  services.program = Ourselves(executable, std::move(arguments), *config_fd);
  const std::vector<int> inherited = sockets->all();
  services.program.inherited.insert(services.program.inherited.end(), inherited.begin(),
                                    inherited.end());
  services.stop_limit = absl::Seconds(20);
  components.push_back(services);
  return Supervisor(std::move(components), table, {"services"}).Run();
}

}  // namespace posthorn::app
