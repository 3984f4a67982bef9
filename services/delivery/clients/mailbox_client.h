#ifndef POSTHORN_SERVICES_DELIVERY_CLIENTS_MAILBOX_CLIENT_H_
#define POSTHORN_SERVICES_DELIVERY_CLIENTS_MAILBOX_CLIENT_H_

#include <memory>
#include <string>

#include "services/delivery/ports.h"

namespace grpc {
class Channel;
}

namespace posthorn::delivery {

// The mailbox service over gRPC: directory, and mailboxes to deliver into. Deliveries that arrive
// while a call is under way travel together in the next one. Each belongs to one executor.
std::unique_ptr<DirectoryPort> MakeDirectoryClient(std::shared_ptr<grpc::Channel> channel,
                                                   std::string service_token,
                                                   absl::Duration deadline);
std::unique_ptr<MailboxPort> MakeMailboxClient(std::shared_ptr<grpc::Channel> channel,
                                               std::string service_token,
                                               absl::Duration deadline, Executor& executor);

}  // namespace posthorn::delivery

#endif  // POSTHORN_SERVICES_DELIVERY_CLIENTS_MAILBOX_CLIENT_H_
