#ifndef POSTHORN_SERVICES_DELIVERY_CLIENTS_TRAFFIC_CLIENT_H_
#define POSTHORN_SERVICES_DELIVERY_CLIENTS_TRAFFIC_CLIENT_H_

#include <memory>
#include <string>

#include "services/delivery/traffic_port.h"

namespace grpc {
class Channel;
}

namespace posthorn::delivery {

// posthorn.queue.v1.Traffic at `channel`. Calls that take longer than `deadline` fail.
std::unique_ptr<TrafficPort> MakeTrafficClient(std::shared_ptr<grpc::Channel> channel,
                                               std::string service_token, absl::Duration deadline);

}  // namespace posthorn::delivery

#endif  // POSTHORN_SERVICES_DELIVERY_CLIENTS_TRAFFIC_CLIENT_H_
