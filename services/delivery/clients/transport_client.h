#ifndef POSTHORN_SERVICES_DELIVERY_CLIENTS_TRANSPORT_CLIENT_H_
#define POSTHORN_SERVICES_DELIVERY_CLIENTS_TRANSPORT_CLIENT_H_

#include <memory>
#include <string>

#include "absl/time/time.h"
#include "services/delivery/sts_policies.h"
#include "services/delivery/tls_reporter.h"

namespace grpc {
class Channel;
}

namespace posthorn::delivery {

// What workers keep together, over posthorn.queue.v1.Transport. Thread-safe.
std::unique_ptr<StsStore> MakeTransportClient(std::shared_ptr<grpc::Channel> channel,
                                              std::string service_token, absl::Duration deadline);
std::unique_ptr<TlsReportPort> MakeTlsReportClient(std::shared_ptr<grpc::Channel> channel,
                                                   std::string service_token,
                                                   absl::Duration deadline);

}  // namespace posthorn::delivery

#endif  // POSTHORN_SERVICES_DELIVERY_CLIENTS_TRANSPORT_CLIENT_H_
