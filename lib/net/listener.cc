#include "lib/net/listener.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/asio/posix/stream_descriptor.hpp>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/base/failure.h"
#include "lib/net/socket.h"
#include "lib/telemetry/log.h"

namespace posthorn::net {
namespace {

constexpr int kBacklog = 4096;
constexpr int kAcceptsPerTurn = 64;
constexpr absl::Duration kOutOfDescriptorsPause = absl::Milliseconds(200);

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  int family() const { return storage.ss_family; }
};

// False: `ip` is no address.
bool ParseAddress(const std::string& ip, int port, SocketAddress& result) {
  auto* v4 = reinterpret_cast<sockaddr_in*>(&result.storage);
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&result.storage);
  if (inet_pton(AF_INET, ip.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(static_cast<std::uint16_t>(port));
    result.size = sizeof(*v4);
    return true;
  }
  if (inet_pton(AF_INET6, ip.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(static_cast<std::uint16_t>(port));
    result.size = sizeof(*v6);
    return true;
  }
  return false;
}

void SetOption(int fd, int level, int option) {
  const int on = 1;
  setsockopt(fd, level, option, &on, sizeof(on));
}

absl::Status ListenError(const std::string& address, int port, int error) {
  PeerAddress where;
  where.ip = address;
  where.port = port;
  return MakeFailure(Failure::kUnavailable, absl::StrCat("cannot listen on ", where.ToString(),
                                                         ": ", std::strerror(error)));
}

absl::Status ConnectFailure(const std::string& where, absl::string_view reason) {
  return MakeFailure(Failure::kConnectFailed,
                     absl::StrCat("connect to ", where, ": ", reason));
}

EventLoop& CurrentLoop() { return dynamic_cast<EventLoop&>(*Executor::Current()); }

Task<absl::StatusOr<std::unique_ptr<Stream>>> ConnectTo(SocketAddress target, std::string where,
                                                        SocketAddress source,
                                                        absl::Duration timeout) {
  const int fd = ::socket(target.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) co_return ConnectFailure(where, std::strerror(errno));
  if (source.size != 0 && ::bind(fd, source.get(), source.size) != 0) {
    const int error = errno;
    ::close(fd);
    co_return absl::FailedPreconditionError(
        absl::StrCat("source address for ", where, ": ", std::strerror(error)));
  }
  int error = ::connect(fd, target.get(), target.size) == 0 ? 0 : errno;
  const auto socket = std::make_shared<Socket>(CurrentLoop(), fd);
  if (error == EINPROGRESS) {
    const Socket::Wake wake =
        co_await socket->Wait(Socket::Side::kWrite, Socket::DeadlineAfter(timeout));
    if (wake == Socket::Wake::kTimeout) {
      socket->Close();
      co_return ConnectFailure(where, "timed out");
    }
    error = socket->ConnectError();
  }
  if (error != 0) {
    socket->Close();
    co_return ConnectFailure(where, std::strerror(error));
  }
  co_return MakeSocketStream(socket);
}

Task<void> ServeConnection(std::shared_ptr<const ConnectionHandler> handler, int fd) {
  std::unique_ptr<Stream> stream =
      MakeSocketStream(std::make_shared<Socket>(CurrentLoop(), fd));
  co_await (*handler)(std::move(stream));
}

}  // namespace

absl::StatusOr<BoundSocket> BoundSocket::Bind(const std::string& address, int port) {
  SocketAddress target;
  if (!ParseAddress(address, port, target)) {
    return MakeFailure(Failure::kInvalidArgument,
                       absl::StrCat("cannot listen on ", address, ": not an IP address"));
  }
  const int fd = ::socket(target.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return ListenError(address, port, errno);
  SetOption(fd, SOL_SOCKET, SO_REUSEADDR);
  // 0.0.0.0 and :: can both be configured.
  if (target.family() == AF_INET6) SetOption(fd, IPPROTO_IPV6, IPV6_V6ONLY);
  // Listening already here: only then is the port really taken. Clients wait until it is served.
  if (::bind(fd, target.get(), target.size) != 0 || ::listen(fd, kBacklog) != 0) {
    const int error = errno;
    ::close(fd);
    return ListenError(address, port, error);
  }
  return BoundSocket(fd, AddressOf(fd, false));
}

absl::StatusOr<BoundSocket> BoundSocket::BindUnix(const std::string& path) {
  const auto error = [&path](const char* reason) {
    return MakeFailure(Failure::kUnavailable,
                       absl::StrCat("cannot listen on ", path, ": ", reason));
  };
  sockaddr_un address{};
  if (path.size() >= sizeof(address.sun_path)) {
    return error("too long for a unix socket, which has 107 octets");
  }
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  const auto* const target = reinterpret_cast<const sockaddr*>(&address);
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return error(std::strerror(errno));
  // A socket file outlives who listened on it.
  const int probe = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const bool taken = probe >= 0 && (::connect(probe, target, sizeof(address)) == 0 ||
                                    errno == EAGAIN || errno == EPROTOTYPE || errno == EACCES);
  const bool stale = !taken && errno == ECONNREFUSED;
  if (probe >= 0) ::close(probe);
  if (taken) {
    ::close(fd);
    return error("somebody else listens on it");
  }
  if (stale) ::unlink(path.c_str());
  // Not by chmod afterwards: whoever owns the directory could have put another file there by then.
  const mode_t mask = ::umask(0111);
  const int bound = ::bind(fd, target, sizeof(address));
  const int bind_error = errno;
  ::umask(mask);
  if (bound != 0 || ::listen(fd, kBacklog) != 0) {
    const int reason = bound != 0 ? bind_error : errno;
    ::close(fd);
    return error(std::strerror(reason));
  }
  return BoundSocket(fd, AddressOf(fd, false));
}

absl::StatusOr<BoundSocket> BoundSocket::Adopt(int fd) {
  int listening = 0;
  socklen_t size = sizeof(listening);
  if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) != 0 || listening == 0) {
    return MakeFailure(Failure::kInvalidArgument,
                       absl::StrCat("descriptor ", fd, " is no listening socket"));
  }
  fcntl(fd, F_SETFD, fcntl(fd, F_GETFD) | FD_CLOEXEC);
  fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
  return BoundSocket(fd, AddressOf(fd, false));
}

BoundSocket::BoundSocket(BoundSocket&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), local_(std::move(other.local_)) {}

BoundSocket& BoundSocket::operator=(BoundSocket&& other) noexcept {
  if (this != &other) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = std::exchange(other.fd_, -1);
    local_ = std::move(other.local_);
  }
  return *this;
}

BoundSocket::~BoundSocket() {
  if (fd_ >= 0) ::close(fd_);
}

int BoundSocket::Release() { return std::exchange(fd_, -1); }

struct Listener::Impl : std::enable_shared_from_this<Listener::Impl> {
  Impl(BoundSocket socket, LoopPool& loops_in, ConnectionHandler handler_in)
      : local(socket.local()),
        fd(socket.Release()),
        loops(loops_in),
        loop(loops_in.Next()),
        handler(std::make_shared<const ConnectionHandler>(std::move(handler_in))),
        descriptor(loop.impl().io, fd) {}

  void Wait() {
    if (stopped.load()) return;
    descriptor.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                          [self = shared_from_this()](const boost::system::error_code& error) {
                            if (!error) self->loop.impl().Enter([&self] { self->Accept(); });
                          });
  }

  void Accept() {
    for (int i = 0; i < kAcceptsPerTurn && !stopped.load(); ++i) {
      const int accepted = ::accept4(fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (accepted >= 0) {
        Spawn(loops.Next(), ServeConnection(handler, accepted));
        continue;
      }
      if (errno == EAGAIN || errno == EWOULDBLOCK) break;
      if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        // The connection stays in the backlog; without a pause this would spin.
        log::Error("net", "cannot accept", {{"address", local.ToString()},
                                            {"error", std::strerror(errno)}});
        loop.PostAfter(kOutOfDescriptorsPause, [self = shared_from_this()] { self->Wait(); });
        return;
      }
      // ECONNABORTED and network errors concern one connection only (accept(2)).
      if (stopped.load() || errno == EINVAL || errno == EBADF) return;
    }
    Wait();
  }

  const PeerAddress local;
  const int fd;  // owned by `descriptor`
  LoopPool& loops;
  EventLoop& loop;
  const std::shared_ptr<const ConnectionHandler> handler;
  std::atomic<bool> stopped{false};
  boost::asio::posix::stream_descriptor descriptor;
};

Listener::Listener(BoundSocket socket, LoopPool& loops, ConnectionHandler handler)
    : impl_(std::make_shared<Impl>(std::move(socket), loops, std::move(handler))) {
  impl_->loop.Post([impl = impl_] { impl->Wait(); });
}

Listener::~Listener() { Stop(); }

void Listener::Stop() {
  if (impl_->stopped.exchange(true)) return;
  // Refuses new connections at once, from any thread; the descriptor closes on its loop.
  ::shutdown(impl_->fd, SHUT_RD);
  impl_->loop.Post([impl = impl_] {
    boost::system::error_code error;
    impl->descriptor.close(error);
  });
}

const PeerAddress& Listener::local() const { return impl_->local; }

Task<absl::StatusOr<std::unique_ptr<Stream>>> Connect(std::string ip, int port,
                                                      std::string source_ip,
                                                      absl::Duration timeout) {
  PeerAddress where;
  where.ip = ip;
  where.port = port;
  SocketAddress target;
  SocketAddress source;
  if (!ParseAddress(ip, port, target)) co_return ConnectFailure(ip, "not an IP address");
  if (!source_ip.empty() && !ParseAddress(source_ip, 0, source)) {
    co_return ConnectFailure(where.ToString(), "source is not an IP address");
  }
  absl::StatusOr<std::unique_ptr<Stream>> stream =
      co_await ConnectTo(target, where.ToString(), source, timeout);
  co_return std::move(stream);
}

Task<absl::StatusOr<std::unique_ptr<Stream>>> ConnectUnix(std::string path,
                                                          absl::Duration timeout) {
  SocketAddress target;
  auto* address = reinterpret_cast<sockaddr_un*>(&target.storage);
  if (path.size() >= sizeof(address->sun_path)) {
    co_return ConnectFailure(path, "path too long for a unix socket");
  }
  address->sun_family = AF_UNIX;
  std::memcpy(address->sun_path, path.data(), path.size());
  target.size = sizeof(*address);
  const SocketAddress no_source;
  absl::StatusOr<std::unique_ptr<Stream>> stream =
      co_await ConnectTo(target, path, no_source, timeout);
  co_return std::move(stream);
}

}  // namespace posthorn::net
