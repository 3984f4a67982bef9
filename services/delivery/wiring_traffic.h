#ifndef POSTHORN_SERVICES_DELIVERY_WIRING_TRAFFIC_H_
#define POSTHORN_SERVICES_DELIVERY_WIRING_TRAFFIC_H_

#include "absl/status/statusor.h"
#include "services/delivery/traffic_gate.h"

namespace posthorn::config::v1 {
class Delivery;
}

namespace posthorn::delivery {

// delivery.traffic, replies, source_pools, source_rules and ip_preference. An error names the key.
// Sources whose addresses this machine does not have are left out: other workers have them. `random`
// is left to the caller, one for each executor.
absl::StatusOr<TrafficSettings> TrafficSettingsOf(const config::v1::Delivery& config);

}  // namespace posthorn::delivery

#endif  // POSTHORN_SERVICES_DELIVERY_WIRING_TRAFFIC_H_
