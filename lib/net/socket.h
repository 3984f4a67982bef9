#ifndef POSTHORN_LIB_NET_SOCKET_H_
#define POSTHORN_LIB_NET_SOCKET_H_

// For lib/net's own .cc files only.

#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <coroutine>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lib/net/event_loop_impl.h"
#include "lib/net/stream.h"

namespace posthorn::net {

// A nonblocking socket on a loop: system calls happen at once, Asio only tells when to try again.
// Belongs to the loop's thread. In a shared_ptr, because Asio's handlers may come after the stream
// is gone; then they do nothing.
class Socket : public std::enable_shared_from_this<Socket> {
 public:
  enum class Side { kRead, kWrite };
  enum class Wake { kReady, kTimeout, kInterrupted, kClosed };
  using Clock = std::chrono::steady_clock;

  // Takes the descriptor.
  Socket(EventLoop& loop, int fd);
  ~Socket();
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  // What a system call did: octets moved, or 0 with would_block, closed or an error.
  struct Result {
    std::size_t octets = 0;
    bool would_block = false;
    bool closed = false;  // end of file
    int error = 0;        // errno
  };
  Result Receive(char* buffer, std::size_t size);
  Result Peek(char* buffer, std::size_t size);
  Result Send(std::string_view bytes);
  // The outcome of a connect that was under way: 0 or an errno.
  int ConnectError();

  // co_await socket.Wait(side, deadline): until the socket may be ready, or for another reason. One
  // waiter a side. Only WaitToRead ends by an interruption.
  class Awaiter {
   public:
    Awaiter(Socket& socket, Side side, Clock::time_point deadline, bool interruptible)
        : socket_(socket), side_(side), deadline_(deadline), interruptible_(interruptible) {}
    bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<> handle);
    Wake await_resume();

   private:
    Socket& socket_;
    const Side side_;
    const Clock::time_point deadline_;
    const bool interruptible_;
  };
  Awaiter Wait(Side side, Clock::time_point deadline) {
    return Awaiter(*this, side, deadline, false);
  }
  Awaiter WaitToRead(Clock::time_point deadline) {
    return Awaiter(*this, Side::kRead, deadline, true);
  }
  static Clock::time_point DeadlineAfter(absl::Duration timeout);

  // See Stream::Interrupt.
  void Interrupt();
  // Whether an interruption is due; it is then over.
  bool TakeInterruption() { return std::exchange(interrupted_, false); }
  // Closes the descriptor and wakes who waits. Idempotent.
  void Close();
  bool closed() const { return closed_; }
  int fd() { return socket_.native_handle(); }

 private:
  using Native = boost::asio::generic::stream_protocol::socket;

  // A side waits for Asio (`armed`), for a coroutine (`waiter`), or both. After a timeout or an
  // interruption Asio's wait goes on, and the next Wait uses it.
  struct Half {
    std::coroutine_handle<> waiter;
    Clock::time_point deadline = Clock::time_point::max();
    Wake wake = Wake::kReady;
    bool armed = false;
    bool interruptible = false;
  };

  Half& half(Side side) { return side == Side::kRead ? read_ : write_; }
  void Arm(Side side);
  void ArmTimer();
  void OnTimer();
  // Resumes the waiter from the loop, not from here.
  void WakeLater(Half& half, Wake wake);

  EventLoop& loop_;
  Native socket_;
  boost::asio::steady_timer timer_;
  // Moved only when it would fire too late: most deadlines never come, and setting a timer for
  // every read costs more than the read.
  Clock::time_point timer_at_ = Clock::time_point::max();
  Half read_;
  Half write_;
  bool interrupted_ = false;
  bool closed_ = false;
};

// The status of a system call's errno on a connection.
absl::Status ConnectionError(int error);

// The address of the peer, or of this end.
PeerAddress AddressOf(int fd, bool peer);

// The stream of a connected socket. Sets TCP_NODELAY and keep-alive on TCP. On the loop's thread.
std::unique_ptr<Stream> MakeSocketStream(std::shared_ptr<Socket> socket);

}  // namespace posthorn::net

#endif  // POSTHORN_LIB_NET_SOCKET_H_
