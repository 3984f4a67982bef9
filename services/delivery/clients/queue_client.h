#ifndef POSTHORN_SERVICES_DELIVERY_CLIENTS_QUEUE_CLIENT_H_
#define POSTHORN_SERVICES_DELIVERY_CLIENTS_QUEUE_CLIENT_H_

#include <memory>
#include <string>

#include "services/delivery/ports.h"

namespace grpc {
class Channel;
}

namespace posthorn::delivery {

// The queue service over gRPC. Thread-safe.
std::unique_ptr<QueuePort> MakeQueueClient(std::shared_ptr<grpc::Channel> channel,
                                           std::string service_token, absl::Duration deadline);

}  // namespace posthorn::delivery

#endif  // POSTHORN_SERVICES_DELIVERY_CLIENTS_QUEUE_CLIENT_H_
