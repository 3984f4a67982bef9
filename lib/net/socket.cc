#include "lib/net/socket.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace posthorn::net {
namespace {

Socket::Result ResultOf(ssize_t returned) {
  Socket::Result result;
  if (returned > 0) {
    result.octets = static_cast<std::size_t>(returned);
  } else if (returned == 0) {
    result.closed = true;
  } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
    result.would_block = true;
  } else {
    result.error = errno;
  }
  return result;
}

template <typename Call>
Socket::Result Retry(Call call) {
  ssize_t returned = 0;
  do {
    returned = call();
  } while (returned < 0 && errno == EINTR);
  return ResultOf(returned);
}

}  // namespace

Socket::Socket(EventLoop& loop, int fd) : loop_(loop), socket_(loop.impl().io), timer_(loop.impl().io) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  boost::system::error_code error;
  const boost::asio::generic::stream_protocol protocol(address.ss_family, 0);
  socket_.assign(protocol, fd, error);
  if (error) {
    ::close(fd);
    closed_ = true;
    return;
  }
  socket_.native_non_blocking(true, error);
}

Socket::~Socket() = default;

Socket::Result Socket::Receive(char* buffer, std::size_t size) {
  return Retry([&] { return ::recv(socket_.native_handle(), buffer, size, 0); });
}

Socket::Result Socket::Peek(char* buffer, std::size_t size) {
  return Retry([&] { return ::recv(socket_.native_handle(), buffer, size, MSG_PEEK); });
}

Socket::Result Socket::Send(std::string_view bytes) {
  return Retry(
      [&] { return ::send(socket_.native_handle(), bytes.data(), bytes.size(), MSG_NOSIGNAL); });
}

int Socket::ConnectError() {
  int error = 0;
  socklen_t size = sizeof(error);
  if (getsockopt(socket_.native_handle(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) return errno;
  return error;
}

Socket::Clock::time_point Socket::DeadlineAfter(absl::Duration timeout) {
  // An endless timeout would overflow the clock.
  return Clock::now() + absl::ToChronoMicroseconds(std::min(timeout, absl::Hours(24 * 365)));
}

bool Socket::Awaiter::await_suspend(std::coroutine_handle<> handle) {
  Half& half = socket_.half(side_);
  if (socket_.closed_) {
    half.wake = Wake::kClosed;
    return false;
  }
  half.waiter = handle;
  half.deadline = deadline_;
  half.interruptible = interruptible_;
  if (!half.armed) socket_.Arm(side_);
  socket_.ArmTimer();
  return true;
}

Socket::Wake Socket::Awaiter::await_resume() { return socket_.half(side_).wake; }

void Socket::Arm(Side side) {
  half(side).armed = true;
  const auto what = side == Side::kRead ? Native::wait_read : Native::wait_write;
  socket_.async_wait(what, [self = shared_from_this(), side](const boost::system::error_code&) {
    Half& half = self->half(side);
    half.armed = false;
    const std::coroutine_handle<> waiter = std::exchange(half.waiter, nullptr);
    if (!waiter) return;
    // An error shows in the system call that is tried next.
    half.wake = self->closed_ ? Wake::kClosed : Wake::kReady;
    self->loop_.impl().Enter([waiter] { waiter.resume(); });
  });
}

void Socket::ArmTimer() {
  Clock::time_point next = Clock::time_point::max();
  for (const Half* half : {&read_, &write_}) {
    if (half->waiter) next = std::min(next, half->deadline);
  }
  if (next >= timer_at_) return;
  timer_at_ = next;
  timer_.expires_at(next);
  timer_.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
    if (!error) self->OnTimer();
  });
}

void Socket::OnTimer() {
  timer_at_ = Clock::time_point::max();
  const Clock::time_point now = Clock::now();
  for (Half* half : {&read_, &write_}) {
    if (half->waiter && half->deadline <= now) WakeLater(*half, Wake::kTimeout);
  }
  ArmTimer();
}

void Socket::WakeLater(Half& half, Wake wake) {
  const std::coroutine_handle<> waiter = std::exchange(half.waiter, nullptr);
  if (!waiter) return;
  half.wake = wake;
  loop_.Post([waiter] { waiter.resume(); });
}

void Socket::Interrupt() {
  interrupted_ = true;
  if (read_.interruptible) WakeLater(read_, Wake::kInterrupted);
}

void Socket::Close() {
  if (std::exchange(closed_, true)) return;
  boost::system::error_code error;
  socket_.close(error);
  timer_.cancel();
  WakeLater(read_, Wake::kClosed);
  WakeLater(write_, Wake::kClosed);
}

absl::Status ConnectionError(int error) {
  return absl::UnavailableError(absl::StrCat("connection lost: ", std::strerror(error)));
}

PeerAddress AddressOf(int fd, bool peer) {
  PeerAddress result;
  sockaddr_storage storage{};
  socklen_t size = sizeof(storage);
  auto* address = reinterpret_cast<sockaddr*>(&storage);
  if ((peer ? getpeername(fd, address, &size) : getsockname(fd, address, &size)) != 0) {
    return result;
  }
  char text[INET6_ADDRSTRLEN] = "";
  if (storage.ss_family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(&storage);
    result.ip = inet_ntop(AF_INET, &v4->sin_addr, text, sizeof(text));
    result.port = ntohs(v4->sin_port);
  } else if (storage.ss_family == AF_INET6) {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&storage);
    result.ip = inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof(text));
    result.port = ntohs(v6->sin6_port);
    // A socket for both families shows IPv4 peers like this.
    constexpr std::string_view kMapped = "::ffff:";
    if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) result.ip.erase(0, kMapped.size());
  }
  return result;
}

bool PeerAddress::IsLoopback() const {
  return ip.empty() || ip == "::1" || std::string_view(ip).substr(0, 4) == "127.";
}

std::string PeerAddress::ToString() const {
  if (ip.empty()) return "unix";
  if (absl::StrContains(ip, ':')) return absl::StrCat("[", ip, "]:", port);
  return absl::StrCat(ip, ":", port);
}

}  // namespace posthorn::net
