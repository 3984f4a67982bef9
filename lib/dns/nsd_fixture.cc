#include "lib/dns/nsd_fixture.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <utility>

#include "absl/strings/str_cat.h"

namespace posthorn::dns {
namespace {

constexpr int kStarts = 20;

[[noreturn]] void Die(const std::string& why) {
  std::fprintf(stderr, "nsd fixture: %s\n", why.c_str());
  std::abort();
}

sockaddr_in Loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

// Whether nobody holds the port, for datagrams and for connections: nsd needs both.
bool IsFree(int port) {
  bool free = true;
  for (const int type : {SOCK_DGRAM, SOCK_STREAM}) {
    const int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
    const sockaddr_in address = Loopback(port);
    free = free && fd >= 0 &&
           bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    if (fd >= 0) close(fd);
  }
  return free;
}

// A port below those that the kernel gives to outgoing connections, so that none of these takes it
// before nsd does.
int FreePort() {
  std::random_device random;
  std::uniform_int_distribution<int> ports(10000, 31999);
  for (int i = 0; i < 1000; ++i) {
    if (const int port = ports(random); IsFree(port)) return port;
  }
  Die("no free port");
}

// Asks for the root's SOA; any answer, REFUSED too, means that the server runs.
bool Answers(int port) {
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = Loopback(port);
  const unsigned char query[] = {0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 6, 0, 1};
  bool answered = false;
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
      send(fd, query, sizeof query, 0) == static_cast<ssize_t>(sizeof query)) {
    pollfd poller = {fd, POLLIN, 0};
    char buffer[512];
    answered = poll(&poller, 1, 50) == 1 && recv(fd, buffer, sizeof buffer, 0) > 0;
  }
  close(fd);
  return answered;
}

}  // namespace

NsdFixture::NsdFixture(std::string zone, std::string records)
    : zone_(std::move(zone)), records_(std::move(records)) {
  char pattern[] = "/tmp/posthorn-nsd-XXXXXX";
  if (mkdtemp(pattern) == nullptr) Die("no temporary directory");
  directory_ = pattern;
  // Another process may take a port between the look at it and nsd's start.
  for (int i = 0; i < kStarts; ++i) {
    port_ = FreePort();
    if (Run()) return;
  }
  Die(absl::StrCat("nsd ended, see ", directory_, "/log"));
}

NsdFixture::~NsdFixture() {
  Stop();
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

void NsdFixture::WriteZone() {
  std::ofstream(directory_ + "/zone")
      << "$ORIGIN " << zone_ << ".\n$TTL 60\n@ SOA ns hostmaster 1 3600 600 86400 60\n@ NS ns\n"
      << "ns A 127.0.0.1\n"
      << records_;
  std::ofstream(directory_ + "/nsd.conf")
      << "server:\n  ip-address: 127.0.0.1@" << port_ << "\n  port: " << port_
      << "\n  username: \"\"\n  server-count: 1\n  database: \"\"\n  zonesdir: \"" << directory_
      << "\"\n  pidfile: \"" << directory_ << "/nsd.pid\"\n  xfrdfile: \"" << directory_
      << "/xfrd.state\"\n  xfrdir: \"" << directory_ << "\"\n  zonelistfile: \"" << directory_
      << "/zone.list\"\n  logfile: \"" << directory_ << "/log\"\n  rrl-ratelimit: 0\n"
      << "remote-control:\n  control-enable: no\nzone:\n  name: \"" << zone_
      << "\"\n  zonefile: \"zone\"\n";
}

void NsdFixture::Start() {
  // What is left of the last run may hold the port for a moment.
  for (int i = 0; i < kStarts; ++i) {
    if (Run()) return;
    usleep(100000);
  }
  Die(absl::StrCat("nsd ended, see ", directory_, "/log"));
}

bool NsdFixture::Run() {
  WriteZone();
  const std::string config = directory_ + "/nsd.conf";
  pid_ = fork();
  if (pid_ < 0) Die("fork");
  if (pid_ == 0) {
    setpgid(0, 0);
    const int null = open("/dev/null", O_RDWR);
    dup2(null, 1);
    dup2(null, 2);
    for (const char* program : {"/usr/sbin/nsd", "/usr/local/sbin/nsd"}) {
      execl(program, "nsd", "-d", "-c", config.c_str(), static_cast<char*>(nullptr));
    }
    _exit(127);
  }
  for (int i = 0; i < 200; ++i) {
    int status = 0;
    if (waitpid(pid_, &status, WNOHANG) == pid_) {
      pid_ = -1;
      return false;
    }
    if (Answers(port_)) return true;
    usleep(20000);
  }
  Die("nsd does not answer");
}

void NsdFixture::Stop() {
  if (pid_ <= 0) return;
  // nsd runs as a few processes in one group of their own.
  kill(-pid_, SIGTERM);
  for (int i = 0; i < 100; ++i) {
    if (waitpid(pid_, nullptr, WNOHANG) == pid_) {
      kill(-pid_, SIGKILL);
      pid_ = -1;
      return;
    }
    usleep(20000);
  }
  kill(-pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

void NsdFixture::SetRecords(std::string records) {
  Stop();
  records_ = std::move(records);
  Start();
}

}  // namespace posthorn::dns
