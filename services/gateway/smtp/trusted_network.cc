#include "services/gateway/smtp/trusted_network.h"

#include "absl/strings/str_cat.h"
#include "lib/base/failure.h"

namespace posthorn::gateway {
namespace {

absl::Status Invalid(std::string_view text, absl::string_view why) {
  return MakeFailure(Failure::kInvalidArgument,
                     absl::StrCat("trusted network \"", absl::string_view(text.data(), text.size()),
                                  "\": ", why));
}

}  // namespace

absl::StatusOr<TrustedNetwork> TrustedNetwork::Parse(std::string_view text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos || equals + 1 == text.size()) {
    return Invalid(text, "needs \"=tenant\"");
  }
  const absl::StatusOr<net::IpNetwork> network = net::IpNetwork::Parse(text.substr(0, equals));
  if (!network.ok()) return Invalid(text, network.status().message());
  return TrustedNetwork(*network, std::string(text.substr(equals + 1)));
}

}  // namespace posthorn::gateway
