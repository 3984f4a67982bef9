#include "apps/posthorn/embedded_postgres.h"

#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "apps/posthorn/files.h"
#include "apps/posthorn/privileges.h"

namespace posthorn::app {
namespace {

constexpr char kSupportedMajor[] = "15";

std::string Url(const EmbeddedPostgres& postgres, const std::string& user) {
  // Quoted as libpq wants it: the path is ours but may hold spaces.
  std::string host;
  for (const char c : postgres.socket_dir) {
    if (c == '\\' || c == '\'') host.push_back('\\');
    host.push_back(c);
  }
  return absl::StrCat("host='", host, "' port=5432 dbname=posthorn user=", user);
}

// Who may connect: the operating system says who it is, the map says as whom.
absl::Status WriteAccessFiles(const EmbeddedPostgres& postgres) {
  absl::Status written = WriteFile(postgres.directory + "/pg_hba.conf",
                                   "# Written at every start of posthorn serve.\n"
                                   "local all all peer map=posthorn\n",
                                   0600);
  if (!written.ok()) return written;
  const std::string user = CurrentUserName();
  return WriteFile(postgres.directory + "/pg_ident.conf",
                   absl::StrCat("# Written at every start of posthorn serve.\n", "posthorn \"",
                                user, "\" posthorn\n", "posthorn \"", user, "\" ",
                                kServiceLoginRole, "\n"),
                   0600);
}

// A postmaster.pid whose pid another program has meanwhile (after a restart of a container, say)
// would keep the server from starting. If a postgres has it, the server's own checks decide.
void RemoveForeignPidFile(const EmbeddedPostgres& postgres) {
  const std::string file = postgres.directory + "/postmaster.pid";
  const absl::StatusOr<std::string> content = ReadFile(file);
  if (!content.ok()) return;
  int pid = 0;
  if (!absl::SimpleAtoi(content->substr(0, content->find('\n')), &pid)) return;
  const absl::StatusOr<std::string> name = ReadFile(absl::StrCat("/proc/", pid, "/comm"));
  if (name.ok() && absl::StripAsciiWhitespace(*name) != "postgres") unlink(file.c_str());
}

bool IsOurChild(const std::string& pid) {
  const absl::StatusOr<std::string> stat = ReadFile(absl::StrCat("/proc/", pid, "/stat"));
  if (!stat.ok()) return false;
  const std::vector<std::string> fields =
      absl::StrSplit(stat->substr(stat->rfind(')') + 1), ' ', absl::SkipEmpty());
  return fields.size() > 1 && fields[1] == absl::StrCat(getpid());
}

// The eighth line of postmaster.pid says what the server does, the first which one: after a crash
// an old file is there until the new server writes its own.
bool IsReady(const EmbeddedPostgres& postgres) {
  const absl::StatusOr<std::string> content = ReadFile(postgres.directory + "/postmaster.pid");
  if (!content.ok()) return false;
  const std::vector<std::string> lines = absl::StrSplit(*content, '\n');
  return lines.size() >= 8 && absl::StartsWith(lines[7], "ready") && IsOurChild(lines[0]);
}

absl::Status Prepare(const EmbeddedPostgres& postgres) {
  RemoveForeignPidFile(postgres);
  return WriteAccessFiles(postgres);
}

std::vector<std::string> Settings(const EmbeddedPostgres& postgres) {
  return {
      "listen_addresses=",
      absl::StrCat("unix_socket_directories=", postgres.socket_dir),
      "unix_socket_permissions=0700",
      // Durability: every acknowledged message survives a power cut.
      "fsync=on",
      "synchronous_commit=on",
      "full_page_writes=on",
      // Mail is written once and read a few times; the kernel caches the rest.
      "shared_buffers=256MB",
      "effective_cache_size=1GB",
      "work_mem=8MB",
      "maintenance_work_mem=128MB",
      "wal_buffers=16MB",
      "wal_compression=lz4",
      "min_wal_size=256MB",
      "max_wal_size=2GB",
      "checkpoint_timeout=15min",
      "checkpoint_completion_target=0.9",
      "random_page_cost=1.1",
      "jit=off",
      "max_parallel_workers_per_gather=0",
      "autovacuum_naptime=20s",
      "max_connections=100",
      "log_min_messages=warning",
      "log_line_prefix=%m [%p] %u ",
      "idle_in_transaction_session_timeout=60s",
  };
}

}  // namespace

std::string EmbeddedPostgres::OwnerUrl() const { return Url(*this, "posthorn"); }
std::string EmbeddedPostgres::ServiceUrl() const { return Url(*this, kServiceLoginRole); }

absl::StatusOr<std::string> FindPostgres(const std::string& configured) {
  std::vector<std::string> candidates;
  if (!configured.empty()) {
    candidates.push_back(configured);
  } else {
    candidates.push_back(absl::StrCat("/usr/lib/postgresql/", kSupportedMajor, "/bin"));
  }
  for (const std::string& candidate : candidates) {
    if (Exists(candidate + "/postgres") && Exists(candidate + "/initdb")) return candidate;
  }
  return absl::NotFoundError(
      absl::StrCat("postgres.embedded_bin_dir: no PostgreSQL ", kSupportedMajor, " in ",
                   candidates.back(), ": install postgresql-", kSupportedMajor,
                   ", or set postgres.url to use a server that runs"));
}

absl::Status InitialisePostgres(const EmbeddedPostgres& postgres) {
  if (Exists(postgres.directory + "/PG_VERSION")) {
    absl::StatusOr<std::string> version = ReadFile(postgres.directory + "/PG_VERSION");
    if (!version.ok()) return version.status();
    if (absl::StripAsciiWhitespace(*version) != kSupportedMajor) {
      return absl::FailedPreconditionError(
          absl::StrCat(postgres.directory, ": was made by PostgreSQL ",
                       std::string(absl::StripAsciiWhitespace(*version)), ", not ",
                       kSupportedMajor));
    }
    return absl::OkStatus();
  }
  const std::string fresh = postgres.directory + ".new";
  if (absl::Status s = RemoveTree(fresh); !s.ok()) return s;
  absl::Status made = RunToEnd({postgres.bin_dir + "/initdb", "--pgdata", fresh, "--username",
                                "posthorn", "--encoding=UTF8", "--locale=C", "--auth=reject",
                                "--data-checksums", "--no-instructions"});
  if (!made.ok()) return made;
  // In single-user mode: nobody can connect yet.
  made = RunToEnd({postgres.bin_dir + "/postgres", "--single", "-D", fresh, "postgres"},
                  "CREATE DATABASE posthorn;\n");
  if (!made.ok()) return made;
  std::error_code error;
  std::filesystem::rename(fresh, postgres.directory, error);
  if (error) {
    return absl::FailedPreconditionError(absl::StrCat(postgres.directory, ": ", error.message()));
  }
  return absl::OkStatus();
}

Component PostgresComponent(const EmbeddedPostgres& postgres) {
  Component component;
  component.name = "postgresql";
  component.program.arguments = {postgres.bin_dir + "/postgres", "-D", postgres.directory};
  for (const std::string& setting : Settings(postgres)) {
    component.program.arguments.push_back("-c");
    component.program.arguments.push_back(setting);
  }
  component.program.output_file = postgres.log_file;
  component.program.directory = postgres.directory;
  component.program.death_signal = SIGINT;
  component.prepare = [postgres] { return Prepare(postgres); };
  component.ready = [postgres] { return IsReady(postgres); };
  // SIGINT is the fast shutdown: sessions are ended, a checkpoint is made. SIGQUIT leaves that to
  // the recovery of the next start; nothing acknowledged is lost by either.
  component.stop_signal = SIGINT;
  component.kill_signal = SIGQUIT;
  component.stop_limit = absl::Seconds(20);
  component.patience = absl::Seconds(60);
  return component;
}

}  // namespace posthorn::app
