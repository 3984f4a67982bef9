#ifndef POSTHORN_SERVICES_GATEWAY_CLIENTS_MAILBOX_CLIENT_H_
#define POSTHORN_SERVICES_GATEWAY_CLIENTS_MAILBOX_CLIENT_H_

#include <memory>

#include "services/gateway/clients/mail_store.h"
#include "services/gateway/clients/rpc_settings.h"

namespace grpc {
class Channel;
}

namespace posthorn::gateway {

// The mailbox service's Mailboxes and Bodies. `settings.timeout` bounds unary calls; streams, which
// go at the pace of the mail client, may take ten minutes.
std::unique_ptr<MailStore> MakeMailboxClient(std::shared_ptr<grpc::Channel> mailbox,
                                             RpcSettings settings);

}  // namespace posthorn::gateway

#endif  // POSTHORN_SERVICES_GATEWAY_CLIENTS_MAILBOX_CLIENT_H_
