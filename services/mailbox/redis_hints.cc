#include "services/mailbox/redis_hints.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/net/event_loop.h"
#include "lib/redis/client.h"

namespace posthorn::mailbox {
namespace {

constexpr int kChannels = 1024;

class RedisHints final : public ChangeHints {
 public:
  explicit RedisHints(redis::Options options) : client_(loop_, std::move(options)) {}

  void Changed(Account account, ModSeq modseq) override {
    client_.PublishAndForget(
        absl::StrCat("posthorn:hint:", account.account.value() % kChannels),
        absl::StrCat(account.tenant.value(), " ", account.account.value(), " ", modseq));
  }

  void DirectoryChanged() override { client_.PublishAndForget("posthorn:directory", "changed"); }

 private:
  net::EventLoop loop_;
  redis::Client client_;
};

}  // namespace

std::unique_ptr<ChangeHints> MakeRedisHints(redis::Options options) {
  return std::make_unique<RedisHints>(std::move(options));
}

}  // namespace posthorn::mailbox
