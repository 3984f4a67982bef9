#include <algorithm>
#include <mutex>
#include <set>
#include <utility>

#include "absl/time/clock.h"
#include "lib/redis/client.h"
#include "lib/redis/link.h"

namespace posthorn::redis {
namespace {

// A silent connection is asked whether it lives.
constexpr absl::Duration kPingInterval = absl::Seconds(10);

std::vector<std::string> WithVerb(std::string verb, const std::set<std::string>& names) {
  std::vector<std::string> command = {std::move(verb)};
  command.insert(command.end(), names.begin(), names.end());
  return command;
}

}  // namespace

class Subscriber::Impl final : public Link::Handler, public std::enable_shared_from_this<Impl> {
 public:
  Impl(net::EventLoop& loop, Options options, MessageCallback on_message,
       ConnectedCallback on_connected)
      : link_(loop, std::move(options)),
        on_message_(std::move(on_message)),
        on_connected_(std::move(on_connected)) {}

  void Start() {
    link_.Start(shared_from_this());
    KeepAlive();
  }
  void Stop() { link_.Stop(); }
  bool up() const { return link_.up(); }

  // `wanted` points to the member that `names` join or leave.
  void Change(std::string verb, std::set<std::string> Impl::*wanted, bool add,
              std::vector<std::string> names) {
    if (names.empty()) return;
    link_.loop().Post([self = shared_from_this(), verb = std::move(verb), wanted, add,
                       names = std::move(names)]() mutable {
      for (const std::string& name : names) {
        if (add) {
          (self.get()->*wanted).insert(name);
        } else {
          (self.get()->*wanted).erase(name);
        }
      }
      if (!self->link_.up()) return;  // OnUp asks for all
      names.insert(names.begin(), std::move(verb));
      self->link_.Write(FormatCommand(names));
    });
  }

  void OnUp() override {
    last_heard_ = absl::Now();
    std::string wire;
    if (!channels_.empty()) AppendCommand(WithVerb("SUBSCRIBE", channels_), wire);
    if (!patterns_.empty()) AppendCommand(WithVerb("PSUBSCRIBE", patterns_), wire);
    // Replies keep their order: the pong says that all subscriptions stand.
    AppendCommand({"PING"}, wire);
    awaiting_first_pong_ = true;
    link_.Write(wire);
  }

  void OnReply(Reply reply) override {
    last_heard_ = absl::Now();
    const std::vector<Reply>& parts = reply.elements;
    const std::string& kind = parts.empty() ? reply.text : parts[0].text;
    if (kind == "message" && parts.size() == 3) {
      on_message_(parts[1].text, parts[2].text);
    } else if (kind == "pmessage" && parts.size() == 4) {
      on_message_(parts[2].text, parts[3].text);
    } else if (kind == "pong" || kind == "PONG") {
      if (std::exchange(awaiting_first_pong_, false) && on_connected_) on_connected_();
    } else if (reply.is_error()) {
      link_.Break();
    }
  }

  void OnDown() override {}

  std::set<std::string> channels_;  // of the loop
  std::set<std::string> patterns_;  // of the loop

 private:
  void KeepAlive() {
    link_.loop().PostAfter(kPingInterval, [weak = weak_from_this()] {
      const std::shared_ptr<Impl> self = weak.lock();
      if (!self) return;
      const absl::Duration silence = absl::Now() - self->last_heard_;
      if (self->link_.up() && silence > 2 * kPingInterval) {
        self->link_.Break();
      } else if (self->link_.up() && silence > kPingInterval / 2) {
        self->link_.Write(FormatCommand({"PING"}));
      }
      self->KeepAlive();
    });
  }

  Link link_;
  MessageCallback on_message_;
  ConnectedCallback on_connected_;
  absl::Time last_heard_;             // of the loop
  bool awaiting_first_pong_ = false;  // of the loop
};

Subscriber::Subscriber(net::EventLoop& loop, Options options, MessageCallback on_message,
                       ConnectedCallback on_connected)
    : impl_(std::make_shared<Impl>(loop, std::move(options), std::move(on_message),
                                   std::move(on_connected))) {
  impl_->Start();
}
Subscriber::~Subscriber() { Stop(); }
void Subscriber::Stop() { impl_->Stop(); }
bool Subscriber::connected() const { return impl_->up(); }

void Subscriber::Subscribe(std::vector<std::string> channels) {
  impl_->Change("SUBSCRIBE", &Impl::channels_, true, std::move(channels));
}
void Subscriber::Unsubscribe(std::vector<std::string> channels) {
  impl_->Change("UNSUBSCRIBE", &Impl::channels_, false, std::move(channels));
}
void Subscriber::SubscribePattern(std::string pattern) {
  impl_->Change("PSUBSCRIBE", &Impl::patterns_, true, {std::move(pattern)});
}

}  // namespace posthorn::redis
