#include "apps/posthorn/health_check.h"

#include <netdb.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "apps/posthorn/files.h"

namespace posthorn::app {
namespace {

constexpr int kTimeoutSeconds = 3;
constexpr std::size_t kMaxAnswer = 65536;

// Where to ask a server that listens on `address`.
std::string HostFor(const std::string& address) {
  if (address == "0.0.0.0") return "127.0.0.1";
  if (address == "::") return "::1";
  return address;
}

absl::StatusOr<int> Connect(const std::string& host, int port) {
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICHOST;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), absl::StrCat(port).c_str(), &hints, &found) != 0) {
    return absl::InvalidArgumentError("http.address: is not an IP address");
  }
  const int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const timeval timeout{kTimeoutSeconds, 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
  const bool connected = fd >= 0 && connect(fd, found->ai_addr, found->ai_addrlen) == 0;
  freeaddrinfo(found);
  if (connected) return fd;
  const absl::Status error = ErrnoError(absl::StrCat("nobody answers at ", host, ":", port));
  if (fd >= 0) close(fd);
  return error;
}

}  // namespace

absl::Status RunHealthCheck(const config::v1::Config& config) {
  const std::string host = HostFor(config.http().address());
  const absl::StatusOr<int> fd = Connect(host, config.http().port());
  if (!fd.ok()) return fd.status();
  const std::string request = absl::StrCat("GET /readyz HTTP/1.1\r\nHost: ", host,
                                           "\r\nConnection: close\r\n\r\n");
  std::string answer;
  if (send(*fd, request.data(), request.size(), MSG_NOSIGNAL) ==
      static_cast<ssize_t>(request.size())) {
    char buffer[4096];
    ssize_t got = 0;
    while (answer.size() < kMaxAnswer && (got = recv(*fd, buffer, sizeof(buffer), 0)) > 0) {
      answer.append(buffer, static_cast<std::size_t>(got));
    }
  }
  close(*fd);
  if (absl::StartsWith(answer, "HTTP/1.1 200") || absl::StartsWith(answer, "HTTP/1.0 200")) {
    return absl::OkStatus();
  }
  if (answer.empty()) {
    return absl::UnavailableError(absl::StrCat("no answer from ", host, ":", config.http().port()));
  }
  const std::size_t body = answer.find("\r\n\r\n");
  std::string reason = body == std::string::npos ? answer : answer.substr(body + 4);
  reason.resize(std::min(reason.size(), reason.find_first_of("\r\n")));
  return absl::UnavailableError(absl::StrCat("not ready: ", reason));
}

}  // namespace posthorn::app
