#include "lib/postgres/migrate.h"

#include <algorithm>
#include <memory>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "lib/postgres/connection.h"

namespace posthorn::postgres {
namespace {

constexpr char kLock[] = "SELECT pg_advisory_lock(7290511)";
constexpr char kCreateTable[] =
    "CREATE SCHEMA IF NOT EXISTS posthorn;"
    "CREATE TABLE IF NOT EXISTS posthorn.migration ("
    "  number int PRIMARY KEY, name text NOT NULL, checksum text NOT NULL,"
    "  applied_at timestamptz NOT NULL DEFAULT now())";
constexpr char kApplied[] = "SELECT number, name, checksum FROM posthorn.migration";
constexpr char kChecksum[] = "SELECT md5($1)";
constexpr char kRecord[] =
    "INSERT INTO posthorn.migration (number, name, checksum) VALUES ($1::int, $2, $3)";

}  // namespace

absl::Status Migrate(const std::string& url, std::vector<Migration> migrations) {
  std::sort(migrations.begin(), migrations.end(),
            [](const Migration& a, const Migration& b) { return a.number < b.number; });
  for (std::size_t i = 1; i < migrations.size(); ++i) {
    if (migrations[i].number == migrations[i - 1].number) {
      return absl::InternalError(absl::StrCat("two migrations have the number ",
                                              migrations[i].number));
    }
  }
  ConnectionOptions options;
  options.url = url;
  options.application_name = "posthorn migrate";
  options.statement_timeout = absl::ZeroDuration();
  absl::StatusOr<std::unique_ptr<Connection>> opened = Connection::Open(options);
  if (!opened.ok()) return opened.status();
  Connection& connection = **opened;
  // The lock ends with the session.
  absl::StatusOr<Result> locked = connection.Exec(kLock);
  if (!locked.ok()) return locked.status();
  absl::Status created = connection.ExecScript(kCreateTable);
  if (!created.ok()) return created;
  absl::StatusOr<Result> rows = connection.Exec(kApplied);
  if (!rows.ok()) return rows.status();
  absl::flat_hash_map<int, std::string> applied;
  for (int i = 0; i < rows->rows(); ++i) {
    applied[static_cast<int>(rows->Int(i, 0))] = absl::StrCat(rows->Text(i, 1), "/", rows->Text(i, 2));
  }
  std::vector<std::pair<Migration, std::string>> missing;
  for (const Migration& migration : migrations) {
    absl::StatusOr<Result> sum = connection.Exec(kChecksum, Params::Of(migration.sql));
    if (!sum.ok()) return sum.status();
    const std::string checksum = sum->Text(0, 0);
    const auto found = applied.find(migration.number);
    if (found == applied.end()) {
      missing.emplace_back(migration, checksum);
    } else if (found->second !=
               absl::StrCat(absl::string_view(migration.name.data(), migration.name.size()), "/",
                            checksum)) {
      return absl::FailedPreconditionError(
          absl::StrCat("migration ", migration.number, " was applied in another form: ",
                       found->second));
    }
  }
  for (const auto& [migration, checksum] : missing) {
    absl::Status status = connection.ExecScript("BEGIN");
    if (status.ok()) status = connection.ExecScript(std::string(migration.sql));
    if (status.ok()) {
      status = connection.Exec(kRecord, Params::Of(migration.number, migration.name, checksum))
                   .status();
    }
    if (status.ok()) status = connection.ExecScript("COMMIT");
    if (!status.ok()) {
      return absl::Status(status.code(), absl::StrCat("migration ", migration.number, ": ",
                                                      status.message()));
    }
  }
  return absl::OkStatus();
}

}  // namespace posthorn::postgres
