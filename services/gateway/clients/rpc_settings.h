#ifndef POSTHORN_SERVICES_GATEWAY_CLIENTS_RPC_SETTINGS_H_
#define POSTHORN_SERVICES_GATEWAY_CLIENTS_RPC_SETTINGS_H_

#include <string>
#include <utility>

#include "absl/time/time.h"

namespace posthorn::gateway {

// What every call of a client carries.
struct RpcSettings {
  RpcSettings() = default;
  RpcSettings(std::string token_in, absl::Duration timeout_in)
      : token(std::move(token_in)), timeout(timeout_in) {}
  std::string token;                            // credential of this service
  absl::Duration timeout = absl::Seconds(10);   // of one call
};

}  // namespace posthorn::gateway

#endif  // POSTHORN_SERVICES_GATEWAY_CLIENTS_RPC_SETTINGS_H_
