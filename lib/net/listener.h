#ifndef POSTHORN_LIB_NET_LISTENER_H_
#define POSTHORN_LIB_NET_LISTENER_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "lib/net/event_loop.h"
#include "lib/net/stream.h"

namespace posthorn::net {

// A bound socket that nobody accepts on yet: bound before privileges are dropped.
// `address` is an IP address; port 0 picks one. The error names address and port.
class BoundSocket {
 public:
  static absl::StatusOr<BoundSocket> Bind(const std::string& address, int port);
  // A unix socket that every user of this machine may connect to, in place of one that nobody
  // listens on any more. kUnavailable: somebody does, or the path is too long (107 octets). Changes
  // the umask for a moment: before there are other threads.
  static absl::StatusOr<BoundSocket> BindUnix(const std::string& path);
  // Takes over a listening socket that a parent process bound and left open over exec.
  static absl::StatusOr<BoundSocket> Adopt(int fd);
  BoundSocket(BoundSocket&&) noexcept;
  BoundSocket& operator=(BoundSocket&&) noexcept;
  ~BoundSocket();
  const PeerAddress& local() const { return local_; }
  int Release();  // gives the descriptor away

 private:
  BoundSocket(int fd, PeerAddress local) : fd_(fd), local_(std::move(local)) {}
  int fd_ = -1;
  PeerAddress local_;
};

// Called on the loop that will own the stream.
using ConnectionHandler = std::function<Task<void>(std::unique_ptr<Stream>)>;

// Accepts connections and spawns `handler` for each, spread over the loops. Running out of
// descriptors is logged and waited out. Stop ends accepting at once; connections go on.
class Listener {
 public:
  Listener(BoundSocket socket, LoopPool& loops, ConnectionHandler handler);
  ~Listener();  // stops
  void Stop();
  const PeerAddress& local() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

// Opens a TCP connection to an IP address from the current loop, from `source_ip` if not empty; one
// that this machine does not have is FAILED_PRECONDITION.
Task<absl::StatusOr<std::unique_ptr<Stream>>> Connect(std::string ip, int port,
                                                      std::string source_ip,
                                                      absl::Duration timeout);
// The same for a unix socket.
Task<absl::StatusOr<std::unique_ptr<Stream>>> ConnectUnix(std::string path,
                                                          absl::Duration timeout);

}  // namespace posthorn::net

#endif  // POSTHORN_LIB_NET_LISTENER_H_
