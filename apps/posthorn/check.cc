#include "apps/posthorn/check.h"

#include <iostream>
#include <memory>
#include <optional>
#include <string>

#include "apps/posthorn/embedded_postgres.h"
#include "apps/posthorn/layout.h"
#include "apps/posthorn/privileges.h"
#include "apps/posthorn/settings.h"
#include "lib/postgres/connection.h"
#include "services/mailbox/store_check.h"

namespace posthorn::app {
namespace {

// Whole tables are read.
constexpr absl::Duration kStatement = absl::Hours(6);

}  // namespace

absl::StatusOr<int> RunCheck(config::v1::Config config) {
  FillInPaths(config);
  postgres::ConnectionOptions options;
  options.url = config.postgres().url();
  if (options.url.empty()) {
    // Only the user of the embedded server can connect.
    const absl::StatusOr<std::optional<User>> user = UserToBecome(config.user(), false);
    if (!user.ok()) return user.status();
    if (user->has_value()) {
      if (absl::Status s = Become(**user); !s.ok()) return s;
    }
    EmbeddedPostgres embedded;
    embedded.socket_dir = RuntimeDirectory(config);
    options.url = embedded.ServiceUrl();
  }
  options.role = "posthorn_mailbox";
  options.application_name = "posthorn check";
  options.statement_timeout = kStatement;
  absl::StatusOr<std::unique_ptr<postgres::Connection>> connection =
      postgres::Connection::Open(options);
  if (!connection.ok()) return connection.status();
  const absl::StatusOr<std::vector<mailbox::Finding>> findings = mailbox::CheckStore(**connection);
  if (!findings.ok()) return findings.status();
  for (const mailbox::Finding& finding : *findings) {
    std::cout << "tenant " << finding.tenant.value() << ": " << finding.count << " " << finding.what
              << "\n";
  }
  if (findings->empty()) std::cout << "The mailbox store is consistent.\n";
  return static_cast<int>(findings->size());
}

}  // namespace posthorn::app
