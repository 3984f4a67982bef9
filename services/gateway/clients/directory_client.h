#ifndef POSTHORN_SERVICES_GATEWAY_CLIENTS_DIRECTORY_CLIENT_H_
#define POSTHORN_SERVICES_GATEWAY_CLIENTS_DIRECTORY_CLIENT_H_

#include <memory>

#include "lib/base/clock.h"
#include "services/gateway/clients/directory.h"
#include "services/gateway/clients/rpc_settings.h"

namespace grpc {
class Channel;
}

namespace posthorn::gateway {

// The mailbox service's Directory. Where mail for a local address goes is kept for five seconds, or
// until Forget. `clock` outlives the client.
std::unique_ptr<Directory> MakeDirectoryClient(std::shared_ptr<grpc::Channel> mailbox,
                                               RpcSettings settings, const Clock& clock);

}  // namespace posthorn::gateway

#endif  // POSTHORN_SERVICES_GATEWAY_CLIENTS_DIRECTORY_CLIENT_H_
