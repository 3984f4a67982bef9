#ifndef POSTHORN_SERVICES_GATEWAY_CLIENTS_DELIVERY_CLIENT_H_
#define POSTHORN_SERVICES_GATEWAY_CLIENTS_DELIVERY_CLIENT_H_

#include <memory>

#include "services/gateway/clients/local_delivery.h"
#include "services/gateway/clients/rpc_settings.h"

namespace grpc {
class Channel;
}

namespace posthorn::gateway {

// The mailbox service's LocalDelivery: concurrent calls travel together; bodies over 64 KiB are
// streamed into its body store first.
std::unique_ptr<LocalDelivery> MakeDeliveryClient(std::shared_ptr<grpc::Channel> mailbox,
                                                  RpcSettings settings);

}  // namespace posthorn::gateway

#endif  // POSTHORN_SERVICES_GATEWAY_CLIENTS_DELIVERY_CLIENT_H_
