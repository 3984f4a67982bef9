#include "apps/posthorn/migrate.h"

#include <memory>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "lib/postgres/connection.h"
#include "lib/postgres/migrate.h"
#include "services/mailbox/migrations.h"
#include "services/queue/migrations.h"

namespace posthorn::app {
namespace {

bool IsPlainName(const std::string& name) {
  for (const char c : name) {
    if (!absl::ascii_islower(c) && !absl::ascii_isdigit(c) && c != '_') return false;
  }
  return !name.empty() && name.size() < 64;
}

absl::Status MakeLoginRole(const std::string& url, const std::string& role) {
  if (!IsPlainName(role)) {
    return absl::InvalidArgumentError("--login-role: may have small letters, digits and _ only");
  }
  postgres::ConnectionOptions options;
  options.url = url;
  absl::StatusOr<std::unique_ptr<postgres::Connection>> connection =
      postgres::Connection::Open(options);
  if (!connection.ok()) return connection.status();
  // NOINHERIT: until it takes on a service's role it may do nothing.
  return (*connection)
      ->ExecScript(absl::StrCat(
          "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '", role,
          "') THEN CREATE ROLE ", role,
          " LOGIN NOINHERIT NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE; END IF; END $$;"
          "GRANT posthorn_mailbox, posthorn_queue TO ",
          role, ";"));
}

}  // namespace

absl::Status RunMigrate(const config::v1::Config& config, const std::string& login_role) {
  const std::string& url = config.postgres().url();
  if (url.empty()) {
    return absl::InvalidArgumentError(
        "postgres.url: must be set; posthorn serve migrates its own database by itself");
  }
  std::vector<postgres::Migration> migrations = mailbox::Migrations();
  for (postgres::Migration& migration : queue::Migrations()) {
    migrations.push_back(std::move(migration));
  }
  if (absl::Status s = postgres::Migrate(url, std::move(migrations)); !s.ok()) return s;
  return login_role.empty() ? absl::OkStatus() : MakeLoginRole(url, login_role);
}

}  // namespace posthorn::app
