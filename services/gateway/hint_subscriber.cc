#include "services/gateway/hint_subscriber.h"

#include <string_view>
#include <utility>

#include "lib/redis/client.h"

namespace posthorn::gateway {
namespace {

constexpr char kDirectoryChannel[] = "posthorn:directory";

}  // namespace

struct HintSubscriber::Impl {
  Impl(net::EventLoop& loop, redis::Options options, ChangeHub& hub,
       std::function<void()> directory_changed)
      : subscriber(
            loop, std::move(options),
            [&hub, directory_changed](std::string_view channel, std::string_view message) {
              if (channel == kDirectoryChannel) {
                directory_changed();
              } else {
                hub.OnHint(message);
              }
            },
            [&hub, directory_changed] {
              directory_changed();
              hub.OnResubscribed();
            }) {
    subscriber.SubscribePattern("posthorn:hint:*");
    subscriber.Subscribe({kDirectoryChannel});
  }
  redis::Subscriber subscriber;
};

HintSubscriber::HintSubscriber(net::EventLoop& loop, redis::Options options, ChangeHub& hub,
                               std::function<void()> directory_changed)
    : impl_(std::make_unique<Impl>(loop, std::move(options), hub, std::move(directory_changed))) {}

HintSubscriber::~HintSubscriber() = default;

bool HintSubscriber::connected() const { return impl_->subscriber.connected(); }

}  // namespace posthorn::gateway
