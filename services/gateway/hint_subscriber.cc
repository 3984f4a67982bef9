#include "services/gateway/hint_subscriber.h"

#include <string_view>
#include <utility>

#include "lib/redis/client.h"

namespace posthorn::gateway {

struct HintSubscriber::Impl {
  Impl(net::EventLoop& loop, redis::Options options, ChangeHub& hub)
      : subscriber(
            loop, std::move(options),
            [&hub](std::string_view, std::string_view message) { hub.OnHint(message); },
            [&hub] { hub.OnResubscribed(); }) {
    subscriber.SubscribePattern("posthorn:hint:*");
  }
  redis::Subscriber subscriber;
};

HintSubscriber::HintSubscriber(net::EventLoop& loop, std::string address, std::string password,
                               ChangeHub& hub)
    : impl_(std::make_unique<Impl>(loop, redis::Options(std::move(address), std::move(password)),
                                   hub)) {}

HintSubscriber::~HintSubscriber() = default;

bool HintSubscriber::connected() const { return impl_->subscriber.connected(); }

}  // namespace posthorn::gateway
