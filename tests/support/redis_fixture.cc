#include "tests/support/redis_fixture.h"

#include <fcntl.h>
#include <netinet/in.h>
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
#include <fstream>
#include <utility>
#include <vector>

namespace posthorn::testing {
namespace {

constexpr int kStartAttempts = 500;  // of 20 ms

[[noreturn]] void Die(const char* what) {
  std::fprintf(stderr, "redis fixture: %s: %s\n", what, std::strerror(errno));
  std::abort();
}

template <typename Address>
bool Connects(int family, const Address& address) {
  const int fd = ::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) Die("socket");
  const bool ok = ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
  ::close(fd);
  return ok;
}

sockaddr_in Loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  return address;
}

// Below the ports of outgoing connections, and with room for the bus of a cluster, 10000 above.
int FreePort() {
  static int next = 11000 + static_cast<int>(::getpid() * 7919L % 9000);
  for (int tries = 0; tries < 10000; ++tries) {
    const int port = next++;
    if (next > 21000) next = 11000;
    bool free = true;
    for (const int one : {port, port + 10000}) {
      const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      const sockaddr_in address = Loopback(one);
      free = free && ::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
      ::close(fd);
    }
    if (free) return port;
  }
  Die("no free port");
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

RedisServer::RedisServer(Unstarted) {
  std::string pattern = "/tmp/posthorn-redis-XXXXXX";
  if (::mkdtemp(pattern.data()) == nullptr) Die("mkdtemp");
  directory_ = pattern;
  socket_ = directory_ + "/redis.sock";
  port_ = FreePort();
}

RedisServer::RedisServer(std::vector<std::string> arguments,
                         std::vector<std::string> tls_arguments)
    : RedisServer(Unstarted()) {
  const std::string port = std::to_string(port_);
  arguments_ = tls_arguments.empty()
                   ? std::vector<std::string>{"--port", port}
                   : std::vector<std::string>{"--port", "0", "--tls-port", port};
  arguments_.insert(arguments_.end(), {"--bind", "127.0.0.1"});
  arguments_.insert(arguments_.end(), tls_arguments.begin(), tls_arguments.end());
  arguments_.insert(arguments_.end(), arguments.begin(), arguments.end());
  Start();
}

std::unique_ptr<RedisServer> RedisServer::Sentinel(const std::string& config) {
  std::unique_ptr<RedisServer> server(new RedisServer(Unstarted()));
  server->sentinel_ = true;
  const std::string file = server->directory_ + "/sentinel.conf";
  std::ofstream(file) << "bind 127.0.0.1\nport " << server->port_ << "\ndir "
                      << server->directory_ << "\n" << config;
  server->arguments_ = {file, "--sentinel"};
  server->Start();
  return server;
}

RedisServer::~RedisServer() {
  Kill();
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

void RedisServer::Start() {
  if (pid_ > 0) return;
  ::unlink(socket_.c_str());
  std::vector<std::string> args = {"redis-server"};
  if (!sentinel_) {
    args.insert(args.end(), {"--port", "0", "--unixsocket", socket_, "--save", "",
                             "--appendonly", "no", "--dir", directory_, "--logfile",
                             directory_ + "/redis.log"});
  }
  args.insert(args.end(), arguments_.begin(), arguments_.end());
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
    if (Accepts()) return;
    if (::waitpid(pid_, nullptr, WNOHANG) == pid_) break;
    ::usleep(20000);
  }
  Die("redis-server does not start");
}

bool RedisServer::Accepts() const {
  if (port_ != 0 && !Connects(AF_INET, Loopback(port_))) return false;
  if (sentinel_) return true;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, socket_.c_str(), sizeof(address.sun_path) - 1);
  return Connects(AF_UNIX, address);
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
