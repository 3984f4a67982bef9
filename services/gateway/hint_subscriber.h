#ifndef POSTHORN_SERVICES_GATEWAY_HINT_SUBSCRIBER_H_
#define POSTHORN_SERVICES_GATEWAY_HINT_SUBSCRIBER_H_

#include <functional>
#include <memory>
#include <string>

#include "lib/net/event_loop.h"
#include "services/gateway/change_hub.h"

namespace posthorn::gateway {

// Feeds change hints from Redis to a hub, and tells it when some may have been missed; likewise who
// remembers answers of the directory. Connects and reconnects by itself; destroyed before the loop
// stops, not on the loop's thread.
class HintSubscriber {
 public:
  // `address`: "host:port" or the path of a unix socket.
  // `directory_changed` runs on the loop.
  HintSubscriber(net::EventLoop& loop, std::string address, std::string password, ChangeHub& hub,
                 std::function<void()> directory_changed);
  ~HintSubscriber();

  bool connected() const;  // a hint: may change at once

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace posthorn::gateway

#endif  // POSTHORN_SERVICES_GATEWAY_HINT_SUBSCRIBER_H_
