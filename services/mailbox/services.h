#ifndef POSTHORN_SERVICES_MAILBOX_SERVICES_H_
#define POSTHORN_SERVICES_MAILBOX_SERVICES_H_

#include <memory>

#include "lib/base/failure.h"

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
class DeletedStore;
class DeliveryStore;
class DirectoryStore;
class MailTransfer;
class MailboxStore;
class TagMailboxes;
class TextIndex;
class ChangeHints;

// What every gRPC service of this process needs. Outlives them.
struct ServiceContext {
  const rpc::TokenGuard& guard;
  net::LoopPool& loops;  // calls run there, in turn
};

// What is answered for addresses that take no mail now.
struct AddressPolicy {
  Failure account_suspended = Failure::kAccountDisabled;
  Failure domain_suspended = Failure::kDomainSuspended;
  Failure over_quota = Failure::kOverQuota;
};

// The gRPC services over the stores, which outlive them. They translate, nothing else.
std::unique_ptr<grpc::Service> MakeDirectoryService(ServiceContext context, DirectoryStore& store,
                                                    AddressPolicy policy);
// What the administrator does with mail.
struct MailStores {
  DeletedStore& deleted;
  MailTransfer& transfer;
};
// Tells `hints` of what it changes.
std::unique_ptr<grpc::Service> MakeAdminService(ServiceContext context, AdminStore& store,
                                                MailStores mail, ChangeHints& hints);
std::unique_ptr<grpc::Service> MakeDeliveryService(ServiceContext context, DeliveryStore& store,
                                                   TagMailboxes& tags, AddressPolicy policy);
std::unique_ptr<grpc::Service> MakeMailboxesService(ServiceContext context, MailboxStore& store,
                                                    DeliveryStore& deliveries,
                                                    postgres::BodyStore& bodies,
                                                    TextIndex& text_index);
std::unique_ptr<grpc::Service> MakeBodiesService(ServiceContext context,
                                                 postgres::BodyStore& bodies);

}  // namespace posthorn::mailbox

#endif  // POSTHORN_SERVICES_MAILBOX_SERVICES_H_
