#include "services/mailbox/redis_hints.h"

#include "absl/strings/str_cat.h"
#include "lib/net/event_loop.h"
#include "lib/redis/client.h"

namespace posthorn::mailbox {
namespace {

constexpr int kChannels = 1024;

class RedisHints final : public ChangeHints {
 public:
  RedisHints(const std::string& address, const std::string& password)
      : client_(loop_, redis::Options(address, password)) {}

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

std::unique_ptr<ChangeHints> MakeRedisHints(const std::string& address,
                                            const std::string& password) {
  return std::make_unique<RedisHints>(address, password);
}

}  // namespace posthorn::mailbox
