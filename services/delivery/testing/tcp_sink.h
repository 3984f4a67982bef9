#ifndef POSTHORN_SERVICES_DELIVERY_TESTING_TCP_SINK_H_
#define POSTHORN_SERVICES_DELIVERY_TESTING_TCP_SINK_H_

#include <memory>
#include <utility>

#include "lib/net/event_loop.h"
#include "lib/net/listener.h"
#include "services/delivery/testing/smtp_sink.h"

namespace posthorn::delivery {

// An SmtpSink on a free loopback port, on a loop of its own.
class TcpSink {
 public:
  TcpSink() : loops_(1) {
    absl::StatusOr<net::BoundSocket> socket = net::BoundSocket::Bind("127.0.0.1", 0);
    if (!socket.ok()) std::abort();
    port_ = socket->local().port;
    listener_ = std::make_unique<net::Listener>(
        *std::move(socket), loops_,
        [this](std::unique_ptr<net::Stream> stream) { return sink.Serve(std::move(stream)); });
  }
  ~TcpSink() { listener_->Stop(); }
  int port() const { return port_; }

  SmtpSink sink;

 private:
  net::LoopPool loops_;
  int port_ = 0;
  std::unique_ptr<net::Listener> listener_;
};

}  // namespace posthorn::delivery

#endif  // POSTHORN_SERVICES_DELIVERY_TESTING_TCP_SINK_H_
