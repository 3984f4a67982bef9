#include "apps/posthorn/settings.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "apps/posthorn/files.h"
#include "apps/posthorn/privileges.h"
#include "lib/config/config.h"
#include "lib/telemetry/log.h"

namespace posthorn::app {
namespace {

void MakeAbsolute(std::string* path) {
  if (!path->empty()) *path = AbsolutePath(*path);
}

}  // namespace

absl::StatusOr<config::v1::Config> LoadSettings(const Invocation& invocation) {
  if (invocation.config_fd >= 0) {
    const absl::StatusOr<std::string> bytes = ReadDescriptor(invocation.config_fd);
    config::v1::Config config;
    if (!bytes.ok() || !config.ParseFromString(*bytes)) {
      return absl::InvalidArgumentError("--config-fd: is not what posthorn serve leaves open");
    }
    return config;
  }
  config::Source source;
  source.file = invocation.config_file;
  source.environment = config::ProcessEnvironment();
  source.overrides = invocation.overrides;
  if (!invocation.data_dir.empty()) {
    source.overrides.push_back(absl::StrCat("data_dir=", invocation.data_dir));
  }
  absl::StatusOr<config::v1::Config> config = config::Load(source);
  if (!config.ok()) return config.status();
  MakeAbsolute(config->mutable_data_dir());
  MakeAbsolute(config->mutable_runtime_dir());
  MakeAbsolute(config->mutable_tls()->mutable_certificate_file());
  MakeAbsolute(config->mutable_tls()->mutable_key_file());
  for (config::v1::Certificate& certificate : *config->mutable_tls()->mutable_certificates()) {
    MakeAbsolute(certificate.mutable_certificate_file());
    MakeAbsolute(certificate.mutable_key_file());
  }
  MakeAbsolute(config->mutable_rpc()->mutable_token_file());
  MakeAbsolute(config->mutable_rpc()->mutable_certificate_file());
  MakeAbsolute(config->mutable_rpc()->mutable_key_file());
  MakeAbsolute(config->mutable_rpc()->mutable_ca_file());
  MakeAbsolute(config->mutable_gateway()->mutable_admin_token_file());
  MakeAbsolute(config->mutable_gateway()->mutable_staging_dir());
  MakeAbsolute(
      config->mutable_gateway()->mutable_local_submission()->mutable_socket_path());
  return config;
}

absl::StatusOr<int> PassSettings(const config::v1::Config& config) {
  const int fd = memfd_create("posthorn-config", MFD_CLOEXEC);
  if (fd < 0) return ErrnoError("cannot pass the configuration on");
  const std::string bytes = config.SerializeAsString();
  if (write(fd, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size())) {
    return ErrnoError("cannot pass the configuration on");
  }
  return fd;
}

void FillInPaths(config::v1::Config& config) {
  config::v1::Gateway& gateway = *config.mutable_gateway();
  if (gateway.admin_token_file().empty()) {
    gateway.set_admin_token_file(absl::StrCat(config.data_dir(), "/admin-token"));
  }
  if (gateway.staging_dir().empty()) {
    gateway.set_staging_dir(absl::StrCat(config.data_dir(), "/staging"));
  }
  config::v1::LocalSubmission& local = *gateway.mutable_local_submission();
  if (local.socket_path().empty()) {
    local.set_socket_path(absl::StrCat(config.data_dir(), "/sendmail.sock"));
  }
}

void PrepareProcess(const config::v1::Config& config) {
  log::Level level = log::Level::kInfo;
  // The schema allows only the names it knows.
  if (!log::ParseLevel(config.log().level(), level).ok()) level = log::Level::kInfo;
  log::Configure(level, config.log().format() == "json" ? log::Format::kJson : log::Format::kText);
  // serve runs itself through a descriptor, which would otherwise be the name that ps shows.
  prctl(PR_SET_NAME, "posthorn");
  umask(027);
#ifdef NDEBUG
  // Debian's Abseil is built with its checks on, and then follows each lock of gRPC's.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
#endif
  signal(SIGPIPE, SIG_IGN);
  RaiseDescriptorLimit();
}

}  // namespace posthorn::app
