#ifndef POSTHORN_SERVICES_MAILBOX_SERVICES_H_
#define POSTHORN_SERVICES_MAILBOX_SERVICES_H_

#include <memory>

namespace grpc {
class Service;
}
namespace posthorn::net {
class LoopPool;
}
namespace posthorn::postgres {
class BodyStore;
}
namespace posthorn::rpc {
class TokenGuard;
}

namespace posthorn::mailbox {

class AdminStore;
class DeliveryStore;
class DirectoryStore;
class MailboxStore;

// What every gRPC service of this process needs. Outlives them.
struct ServiceContext {
  const rpc::TokenGuard& guard;
  net::LoopPool& loops;  // calls run there, in turn
};

// The gRPC services over the stores, which outlive them. They translate, nothing else.
std::unique_ptr<grpc::Service> MakeDirectoryService(ServiceContext context, DirectoryStore& store);
std::unique_ptr<grpc::Service> MakeAdminService(ServiceContext context, AdminStore& store);
std::unique_ptr<grpc::Service> MakeDeliveryService(ServiceContext context, DeliveryStore& store);
std::unique_ptr<grpc::Service> MakeMailboxesService(ServiceContext context, MailboxStore& store,
                                                    DeliveryStore& deliveries,
                                                    postgres::BodyStore& bodies);
std::unique_ptr<grpc::Service> MakeBodiesService(ServiceContext context,
                                                 postgres::BodyStore& bodies);

}  // namespace posthorn::mailbox

#endif  // POSTHORN_SERVICES_MAILBOX_SERVICES_H_
