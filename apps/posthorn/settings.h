#ifndef POSTHORN_APPS_POSTHORN_SETTINGS_H_
#define POSTHORN_APPS_POSTHORN_SETTINGS_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "apps/posthorn/command_line.h"
#include "posthorn/config/v1/config.pb.h"

namespace posthorn::app {

// The configuration in force for an invocation: read from its sources, or from the descriptor that
// serve's supervisor left open. Paths in it are absolute.
absl::StatusOr<config::v1::Config> LoadSettings(const Invocation& invocation);

// An open descriptor without a name that holds `config`, for Invocation::config_fd.
absl::StatusOr<int> PassSettings(const config::v1::Config& config);

// Fills in the paths that follow from data_dir and are left empty: gateway.admin_token_file,
// gateway.staging_dir and gateway.local_submission.socket_path.
void FillInPaths(config::v1::Config& config);

// Logging as configured, and settings of the process that every command needs.
void PrepareProcess(const config::v1::Config& config);

}  // namespace posthorn::app

#endif  // POSTHORN_APPS_POSTHORN_SETTINGS_H_
