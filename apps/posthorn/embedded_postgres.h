#ifndef POSTHORN_APPS_POSTHORN_EMBEDDED_POSTGRES_H_
#define POSTHORN_APPS_POSTHORN_EMBEDDED_POSTGRES_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "apps/posthorn/supervisor.h"

namespace posthorn::app {

// A private PostgreSQL on a unix socket, durable: what a 250 promises survives a crash of the
// machine. Only the user it runs as can connect, as the owner or as the services' login role.
struct EmbeddedPostgres {
  std::string bin_dir;      // of initdb and postgres
  std::string directory;    // the cluster
  std::string socket_dir;
  std::string log_file;

  // For `posthorn migrate`: owns the schema.
  std::string OwnerUrl() const;
  // For the services: may only take on their roles.
  std::string ServiceUrl() const;
};

inline constexpr char kServiceLoginRole[] = "posthorn_service";

// Where initdb and postgres 15 are: `configured`, or below /usr/lib/postgresql, or on the PATH.
// The error names the key.
absl::StatusOr<std::string> FindPostgres(const std::string& configured);

// Makes the cluster if there is none. A start that was interrupted leaves nothing half done.
absl::Status InitialisePostgres(const EmbeddedPostgres& postgres);

Component PostgresComponent(const EmbeddedPostgres& postgres);

}  // namespace posthorn::app

#endif  // POSTHORN_APPS_POSTHORN_EMBEDDED_POSTGRES_H_
