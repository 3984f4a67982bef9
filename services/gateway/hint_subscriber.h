#ifndef POSTHORN_SERVICES_GATEWAY_HINT_SUBSCRIBER_H_
#define POSTHORN_SERVICES_GATEWAY_HINT_SUBSCRIBER_H_

#include <functional>
#include <memory>

#include "lib/net/event_loop.h"
#include "lib/redis/options.h"
#include "services/gateway/change_hub.h"

namespace posthorn::gateway {

// Feeds change hints from Redis to a hub, and tells it when some may have been missed; likewise who
// remembers answers of the directory. Connects and reconnects by itself; destroyed before the loop
// stops, not on the loop's thread.
class HintSubscriber {
 public:
  // `directory_changed` runs on the loop.
  HintSubscriber(net::EventLoop& loop, redis::Options options, ChangeHub& hub,
                 std::function<void()> directory_changed);
  ~HintSubscriber();

  bool connected() const;  // a hint: may change at once

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace posthorn::gateway

#endif  // POSTHORN_SERVICES_GATEWAY_HINT_SUBSCRIBER_H_
