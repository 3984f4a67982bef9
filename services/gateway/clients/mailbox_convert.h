#ifndef POSTHORN_SERVICES_GATEWAY_CLIENTS_MAILBOX_CONVERT_H_
#define POSTHORN_SERVICES_GATEWAY_CLIENTS_MAILBOX_CONVERT_H_

// Only for clients/*.cc: Protobuf headers. Between mailbox.proto and mail_store.h.

#include <vector>

#include "posthorn/mailbox/v1/mailbox.pb.h"
#include "services/gateway/clients/mail_store.h"

namespace posthorn::gateway {

MailboxInfo FromProto(const mailbox::v1::MailboxInfo& proto);
MailEntry FromProto(const mailbox::v1::Entry& proto);
// Moves the octets out.
MessageData FromProto(mailbox::v1::MessageData& proto);

void ToProto(const MessageFlags& flags, mailbox::v1::Flags& proto);
void ToProto(const std::vector<UidRange>& ranges,
             google::protobuf::RepeatedPtrField<mailbox::v1::UidRange>& proto);
void ToProto(const StoreSearchKey& key, mailbox::v1::SearchKey& proto);

}  // namespace posthorn::gateway

#endif  // POSTHORN_SERVICES_GATEWAY_CLIENTS_MAILBOX_CONVERT_H_
