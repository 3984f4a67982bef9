#ifndef POSTHORN_SERVICES_GATEWAY_CLIENTS_QUEUE_CLIENT_H_
#define POSTHORN_SERVICES_GATEWAY_CLIENTS_QUEUE_CLIENT_H_

#include <memory>

#include "services/gateway/clients/rpc_settings.h"
#include "services/gateway/clients/spool.h"

namespace grpc {
class Channel;
}

namespace posthorn::gateway {

// The queue service's spool: concurrent calls travel together; bodies over 64 KiB are streamed
// into its body store first.
std::unique_ptr<Spool> MakeQueueClient(std::shared_ptr<grpc::Channel> queue, RpcSettings settings);

}  // namespace posthorn::gateway

#endif  // POSTHORN_SERVICES_GATEWAY_CLIENTS_QUEUE_CLIENT_H_
