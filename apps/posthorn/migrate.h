#ifndef POSTHORN_APPS_POSTHORN_MIGRATE_H_
#define POSTHORN_APPS_POSTHORN_MIGRATE_H_

#include <string>

#include "absl/status/status.h"
#include "posthorn/config/v1/config.pb.h"

namespace posthorn::app {

// Applies the migrations of all services to postgres.url. `login_role`, if not empty, is made a
// login role that owns nothing and may only take on the services' roles.
absl::Status RunMigrate(const config::v1::Config& config, const std::string& login_role);

}  // namespace posthorn::app

#endif  // POSTHORN_APPS_POSTHORN_MIGRATE_H_
