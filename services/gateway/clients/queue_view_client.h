#ifndef POSTHORN_SERVICES_GATEWAY_CLIENTS_QUEUE_VIEW_CLIENT_H_
#define POSTHORN_SERVICES_GATEWAY_CLIENTS_QUEUE_VIEW_CLIENT_H_

#include <memory>

#include "services/gateway/clients/queue_view.h"
#include "services/gateway/clients/rpc_settings.h"

namespace grpc {
class Channel;
}

namespace posthorn::gateway {

// QueueView by gRPC.
std::unique_ptr<QueueView> MakeQueueViewClient(std::shared_ptr<grpc::Channel> queue,
                                               RpcSettings settings);

}  // namespace posthorn::gateway

#endif  // POSTHORN_SERVICES_GATEWAY_CLIENTS_QUEUE_VIEW_CLIENT_H_
