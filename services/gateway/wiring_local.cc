#include "services/gateway/wiring_local.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/base/failure.h"
#include "lib/maildrop/directory.h"
#include "lib/net/peer_user.h"
#include "posthorn/config/v1/config.pb.h"
#include "services/gateway/gateway_settings.h"

namespace posthorn::gateway {

absl::StatusOr<std::unique_ptr<LocalSubmission>> LocalSubmission::Make(
    const config::v1::Config& config, net::EventLoop& loop, PickupDependencies parts) {
  const config::v1::LocalSubmission& settings = config.gateway().local_submission();
  if (settings.domain().empty()) return std::unique_ptr<LocalSubmission>();
  absl::StatusOr<SmtpListenerOptions> options = LocalListenerFrom(settings);
  if (!options.ok()) return options.status();
  PickupOptions for_pickup;
  for_pickup.directory = config.data_dir() + "/maildrop";
  for_pickup.refused_directory = config.data_dir() + "/maildrop.refused";
  for_pickup.hostname = config.hostname();
  if (const absl::Status s = maildrop::Prepare(for_pickup.directory); !s.ok()) {
    return MakeFailure(Failure::kInvalidArgument,
                       absl::StrCat("data_dir: ", std::string(s.message())));
  }
  std::unique_ptr<LocalSubmission> local(new LocalSubmission(*std::move(options)));
  parts.listener = &local->options_;
  local->pickup_ = std::make_shared<Pickup>(loop, parts, std::move(for_pickup));
  return local;
}

Task<void> LocalSubmission::Serve(SessionRegistry& registry, SmtpServer& server,
                                  std::unique_ptr<net::Stream> stream) const {
  const SessionRegistry::Entry entry(registry, stream.get());
  const std::optional<uid_t> user = net::PeerUser(*stream);
  if (!user.has_value()) {
    stream.reset();  // before its entry
    co_return;
  }
  co_await server.ServeLocal(std::move(stream), options_, FindLocalUser(*user));
}

}  // namespace posthorn::gateway
