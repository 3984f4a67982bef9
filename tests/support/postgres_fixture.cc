#include "tests/support/postgres_fixture.h"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <initializer_list>
#include <thread>

#include "absl/strings/str_cat.h"
#include "lib/postgres/connection.h"

namespace posthorn::testing {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void Die(const std::string& what) {
  std::fprintf(stderr, "postgres_fixture: %s\n", what.c_str());
  std::abort();
}

std::string FindBinDir() {
  const fs::path base = "/usr/lib/postgresql";
  std::string best;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(base, error)) {
    const fs::path bin = entry.path() / "bin";
    if (fs::exists(bin / "initdb")) best = std::max(best, bin.string());
  }
  if (best.empty()) Die("no PostgreSQL server below /usr/lib/postgresql");
  return best;
}

// The user the server runs as, or null to stay who we are.
const passwd* ServerUser() { return geteuid() == 0 ? getpwnam("postgres") : nullptr; }

pid_t SpawnAsServerUser(const std::vector<std::string>& arguments, const std::string& log) {
  const passwd* user = ServerUser();
  if (geteuid() == 0 && user == nullptr) Die("running as root and there is no user postgres");
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid < 0) Die("fork failed");
  if (pid > 0) return pid;
  if (user != nullptr) {
    if (setgroups(0, nullptr) != 0 || setgid(user->pw_gid) != 0 || setuid(user->pw_uid) != 0) _exit(126);
  }
  prctl(PR_SET_PDEATHSIG, SIGQUIT);  // ends with the test, however that ends
  if (getppid() != parent) _exit(126);
  if (chdir("/") != 0) _exit(126);
  const int out = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
  if (out >= 0) {
    dup2(out, 1);
    dup2(out, 2);
  }
  std::vector<char*> argv;
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  execv(argv[0], argv.data());
  _exit(127);
}

void RunAsServerUser(const std::vector<std::string>& arguments, const std::string& log) {
  int status = 0;
  if (waitpid(SpawnAsServerUser(arguments, log), &status, 0) < 0 || status != 0) {
    Die(absl::StrCat(arguments[0], " failed, see ", log));
  }
}

void GiveToServerUser(const std::string& path) {
  const passwd* user = ServerUser();
  if (user != nullptr && chown(path.c_str(), user->pw_uid, user->pw_gid) != 0) Die("chown failed");
}

// initdb takes seconds, a copy of what it made a fraction.
std::string Template(const std::string& bin_dir) {
  const std::string base = absl::StrCat("/tmp/posthorn-test-postgres-", geteuid());
  mkdir(base.c_str(), 0755);
  GiveToServerUser(base);
  const int lock = open((base + ".lock").c_str(), O_RDWR | O_CREAT, 0644);
  if (lock < 0 || flock(lock, LOCK_EX) != 0) Die("cannot lock the template");
  const std::string ready = base + "/ready";
  if (!fs::exists(ready)) {
    if (fs::exists(ready + ".tmp")) fs::remove_all(ready + ".tmp");
    RunAsServerUser({bin_dir + "/initdb", "-D", ready + ".tmp", "-U", "postgres", "-A", "trust",
                     "-E", "UTF8", "--no-locale", "--no-sync"},
                    base + "/initdb.log");
    fs::rename(ready + ".tmp", ready);
  }
  close(lock);
  return ready;
}

}  // namespace

PostgresServer::PostgresServer(bool durable) : durable_(durable) {
  const std::string bin_dir = FindBinDir();
  const std::string source = Template(bin_dir);
  char name[] = "/tmp/phpg.XXXXXX";
  if (mkdtemp(name) == nullptr) Die("mkdtemp failed");
  directory_ = name;
  GiveToServerUser(directory_);
  chmod(name, 0755);
  RunAsServerUser({"/bin/cp", "-a", source, directory_ + "/data"}, directory_ + "/log");
  Start();
}

PostgresServer::~PostgresServer() {
  Stop();
  std::error_code error;
  fs::remove_all(directory_, error);
}

std::string PostgresServer::url(const std::string& database) const {
  return absl::StrCat("host=", directory_, " user=postgres dbname=", database);
}

void PostgresServer::Start() {
  const char* fsync = durable_ ? "fsync=on" : "fsync=off";
  pid_ = SpawnAsServerUser(
      {FindBinDir() + "/postgres", "-D", directory_ + "/data", "-k", directory_, "-c",
       "listen_addresses=", "-c", fsync, "-c", "max_connections=200", "-c", "shared_buffers=128MB",
       "-c", "max_wal_size=4GB", "-c", "log_min_messages=warning", "-c", "lc_messages=C"},
      directory_ + "/log");
  postgres::ConnectionOptions options;
  options.url = url();
  for (int i = 0; i < 600; ++i) {
    if (postgres::Connection::Open(options).ok()) return;
    int status = 0;
    if (waitpid(pid_, &status, WNOHANG) == pid_) Die("postgres ended, see " + directory_ + "/log");
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  Die("postgres does not accept connections, see " + directory_ + "/log");
}

void PostgresServer::Stop() {
  if (pid_ < 0) return;
  kill(pid_, SIGINT);
  int status = 0;
  waitpid(pid_, &status, 0);
  pid_ = -1;
}

void PostgresServer::Kill() {
  if (pid_ < 0) return;
  // The children notice that the postmaster is gone and end by themselves.
  kill(pid_, SIGKILL);
  int status = 0;
  waitpid(pid_, &status, 0);
  pid_ = -1;
  fs::remove(directory_ + "/data/postmaster.pid");
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
}

std::string PostgresServer::NewDatabase(const std::vector<postgres::Migration>& migrations) {
  std::string key;
  for (const postgres::Migration& m : migrations) absl::StrAppend(&key, m.number, ",");
  auto found = std::find_if(templates_.begin(), templates_.end(),
                            [&key](const auto& entry) { return entry.first == key; });
  postgres::ConnectionOptions options;
  options.url = url();
  absl::StatusOr<std::unique_ptr<postgres::Connection>> admin = postgres::Connection::Open(options);
  if (!admin.ok()) Die(std::string(admin.status().message()));
  if (found == templates_.end()) {
    const std::string name = absl::StrCat("template_", templates_.size());
    absl::Status status = (*admin)->ExecScript("CREATE DATABASE " + name);
    if (status.ok()) status = postgres::Migrate(url(name), migrations);
    if (!status.ok()) Die(status.ToString());
    templates_.emplace_back(key, name);
    found = templates_.end() - 1;
  }
  const std::string name = absl::StrCat("test_", ++databases_);
  absl::Status status = (*admin)->ExecScript(
      absl::StrCat("CREATE DATABASE ", name, " TEMPLATE ", found->second));
  if (!status.ok()) Die(status.ToString());
  return url(name);
}

}  // namespace posthorn::testing
