#include "lib/rpc/acceptor.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <utility>

#include "lib/telemetry/log.h"

namespace posthorn::rpc::internal {
namespace {

// How long to wait when a connection cannot be taken, most likely for want of descriptors.
constexpr int kPauseMilliseconds = 200;

}  // namespace

Acceptor::Acceptor(net::BoundSocket socket, std::unique_ptr<Target> target)
    : port_(socket.local().port),
      listener_(socket.Release()),
      wake_(::eventfd(0, EFD_CLOEXEC)),
      target_(std::move(target)),
      thread_([this] { Run(); }) {}

Acceptor::~Acceptor() {
  const std::uint64_t one = 1;
  const ssize_t written = ::write(wake_, &one, sizeof(one));
  (void)written;  // cannot fail: the counter is 0 or 1
  thread_.join();
  ::close(listener_);
  ::close(wake_);
}

void Acceptor::Run() {
  pollfd waits[] = {{wake_, POLLIN, 0}, {listener_, POLLIN, 0}};
  for (;;) {
    if (::poll(waits, 2, -1) < 0) continue;  // a signal
    if (waits[0].revents != 0) return;
    const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      const int on = 1;
      ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
      Target::NewConnectionParameters connection;
      connection.listener_fd = listener_;
      connection.fd = fd;
      target_->HandleNewConnection(&connection);
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      log::Warn("rpc", "cannot accept", {{"port", port_}, {"errno", errno}});
      ::poll(waits, 1, kPauseMilliseconds);
    }
  }
}

}  // namespace posthorn::rpc::internal
