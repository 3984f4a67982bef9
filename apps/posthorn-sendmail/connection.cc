#include "apps/posthorn-sendmail/connection.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace posthorn::sendmail {
namespace {

constexpr std::size_t kPiece = 64 * 1024;
// A listener whose queue is full answers EAGAIN at once.
constexpr int kConnectAttempts = 20;
constexpr absl::Duration kConnectPause = absl::Milliseconds(250);

absl::Status Away(const std::string& what, int error) {
  return absl::UnavailableError(absl::StrCat(what, ": ", std::strerror(error)));
}

// Waits until `fd` is ready for `events`.
absl::Status Wait(int fd, short events, absl::Time deadline) {
  for (;;) {
    pollfd wait{fd, events, 0};
    const absl::Duration left = deadline - absl::Now();
    if (left <= absl::ZeroDuration()) return absl::UnavailableError("the platform does not answer");
    const int ready = poll(&wait, 1, static_cast<int>(absl::ToInt64Milliseconds(left) + 1));
    if (ready > 0) return absl::OkStatus();
    if (ready < 0 && errno != EINTR) return Away("poll", errno);
  }
}

// False: the descriptor takes no more.
bool WriteWhole(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t put = write(fd, bytes.data(), bytes.size());
    if (put < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      pollfd wait{fd, POLLOUT, 0};
      poll(&wait, 1, -1);
      continue;
    }
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(put));
  }
  return true;
}

}  // namespace

absl::StatusOr<Connection> Connection::Open(const std::string& socket) {
  sockaddr_un address{};
  if (socket.size() >= sizeof(address.sun_path)) return Away(socket, ENAMETOOLONG);
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, socket.data(), socket.size());
  Connection connection(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (connection.fd_ < 0) return Away(socket, errno);
  for (int attempt = 1;; ++attempt) {
    if (connect(connection.fd_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) {
      return connection;
    }
    if (errno != EAGAIN || attempt == kConnectAttempts) return Away(socket, errno);
    absl::SleepFor(kConnectPause);
  }
}

Connection::Connection(Connection&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

Connection::~Connection() {
  if (fd_ >= 0) close(fd_);
}

absl::Status Connection::Write(std::string_view bytes, absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  while (!bytes.empty()) {
    const ssize_t put = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (put >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(put));
    } else if (errno == EAGAIN) {
      if (absl::Status s = Wait(fd_, POLLOUT, deadline); !s.ok()) return s;
    } else if (errno != EINTR) {
      return Away("write", errno);
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> Connection::Read(absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  std::string bytes(kPiece, '\0');
  for (;;) {
    const ssize_t got = recv(fd_, bytes.data(), bytes.size(), 0);
    if (got >= 0) {
      bytes.resize(static_cast<std::size_t>(got));
      return bytes;
    }
    if (errno == EAGAIN) {
      if (absl::Status s = Wait(fd_, POLLIN, deadline); !s.ok()) return s;
    } else if (errno != EINTR) {
      return Away("read", errno);
    }
  }
}

absl::Status Connection::Relay(int input, int output) {
  std::string buffer(kPiece, '\0');
  bool input_open = true;
  for (;;) {
    pollfd wait[2] = {{fd_, POLLIN, 0}, {input_open ? input : -1, POLLIN, 0}};
    if (poll(wait, 2, -1) < 0) {
      if (errno == EINTR) continue;
      return Away("poll", errno);
    }
    if (wait[0].revents != 0) {
      const ssize_t got = recv(fd_, buffer.data(), buffer.size(), 0);
      if (got == 0) return absl::OkStatus();
      if (got < 0 && errno != EAGAIN && errno != EINTR) return Away("read", errno);
      if (got > 0 && !WriteWhole(output, std::string_view(buffer.data(),
                                                          static_cast<std::size_t>(got)))) {
        return Away("standard output", errno);
      }
    }
    if (wait[1].revents != 0) {
      const ssize_t got = read(input, buffer.data(), buffer.size());
      if (got > 0) {
        if (!WriteWhole(fd_, std::string_view(buffer.data(), static_cast<std::size_t>(got)))) {
          return Away("write", errno);
        }
      } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
        // The answers to what was said still come.
        input_open = false;
        shutdown(fd_, SHUT_WR);
      }
    }
  }
}

}  // namespace posthorn::sendmail
