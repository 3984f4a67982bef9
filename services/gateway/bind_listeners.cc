#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/base/failure.h"
#include "posthorn/config/v1/config.pb.h"
#include "services/gateway/bound_sockets.h"
#include "services/gateway/wiring.h"

namespace posthorn::gateway {
namespace {

// An error that names the key, for a socket of `prefix`address and `prefix`port.
absl::Status NameTheKey(const std::string& prefix, const absl::Status& status) {
  const bool bad_address = FailureOf(status) == Failure::kInvalidArgument;
  return MakeFailure(FailureOf(status), absl::StrCat(prefix, bad_address ? "address" : "port", ": ",
                                                     status.message()));
}

using Listeners = google::protobuf::RepeatedPtrField<config::v1::Listener>;

absl::Status BindAll(const Listeners& listeners, const char* section,
                     std::vector<net::BoundSocket>& sockets) {
  for (int i = 0; i < listeners.size(); ++i) {
    absl::StatusOr<net::BoundSocket> socket =
        net::BoundSocket::Bind(listeners[i].address(), listeners[i].port());
    if (!socket.ok()) {
      return NameTheKey(absl::StrCat("gateway.", section, "[", i, "]."), socket.status());
    }
    sockets.push_back(*std::move(socket));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<BoundSockets> BindListeners(const config::v1::Config& config) {
  const config::v1::Gateway& gateway = config.gateway();
  BoundSockets sockets;
  absl::Status status = BindAll(gateway.smtp_listeners(), "smtp_listeners", sockets.smtp);
  if (status.ok()) status = BindAll(gateway.imap_listeners(), "imap_listeners", sockets.imap);
  if (status.ok()) status = BindAll(gateway.pop3_listeners(), "pop3_listeners", sockets.pop3);
  if (!status.ok()) return status;
  if (const config::v1::LocalSubmission& local = gateway.local_submission();
      !local.domain().empty()) {
    absl::StatusOr<net::BoundSocket> socket = net::BoundSocket::BindUnix(local.socket_path());
    if (!socket.ok()) {
      return MakeFailure(FailureOf(socket.status()),
                         absl::StrCat("gateway.local_submission.socket_path: ",
                                      socket.status().message()));
    }
    sockets.local.emplace(*std::move(socket));
  }
  absl::StatusOr<net::BoundSocket> api =
      net::BoundSocket::Bind(gateway.api_address(), gateway.api_port());
  if (!api.ok()) return NameTheKey("gateway.api_", api.status());
  sockets.api.emplace(*std::move(api));
  return sockets;
}

}  // namespace posthorn::gateway
