#include "tests/support/redis_fixture.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <utility>
#include <vector>

namespace posthorn::testing {
namespace {

constexpr int kStartAttempts = 500;  // of 20 ms

[[noreturn]] void Die(const char* what) {
  std::fprintf(stderr, "redis fixture: %s: %s\n", what, std::strerror(errno));
  std::abort();
}

bool Accepts(const std::string& socket_path) {
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) Die("socket");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, socket_path.c_str(), sizeof(address.sun_path) - 1);
  const bool ok = ::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
  ::close(fd);
  return ok;
}

}  // namespace

RedisServer::RedisServer() : RedisServer(std::string()) {}

RedisServer::RedisServer(std::string password) : password_(std::move(password)) {
  std::string pattern = "/tmp/posthorn-redis-XXXXXX";
  if (::mkdtemp(pattern.data()) == nullptr) Die("mkdtemp");
  directory_ = pattern;
  socket_ = directory_ + "/redis.sock";
  Start();
}

RedisServer::~RedisServer() {
  Kill();
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

void RedisServer::Start() {
  if (pid_ > 0) return;
  ::unlink(socket_.c_str());
  std::vector<std::string> args = {"redis-server", "--port", "0", "--unixsocket", socket_,
                                   "--save", "", "--appendonly", "no", "--dir", directory_,
                                   "--logfile", directory_ + "/redis.log"};
  if (!password_.empty()) args.insert(args.end(), {"--requirepass", password_});
  std::vector<char*> argv;
  for (std::string& arg : args) argv.push_back(arg.data());
  argv.push_back(nullptr);
  pid_ = ::fork();
  if (pid_ < 0) Die("fork");
  if (pid_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::execvp(argv[0], argv.data());
    ::_exit(127);
  }
  for (int i = 0; i < kStartAttempts; ++i) {
    if (Accepts(socket_)) return;
    if (::waitpid(pid_, nullptr, WNOHANG) == pid_) break;
    ::usleep(20000);
  }
  Die("redis-server does not start");
}

void RedisServer::Signal(int signal) {
  if (pid_ > 0) ::kill(pid_, signal);
}
void RedisServer::Pause() { Signal(SIGSTOP); }
void RedisServer::Resume() { Signal(SIGCONT); }

void RedisServer::Kill() {
  if (pid_ <= 0) return;
  Signal(SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

}  // namespace posthorn::testing
