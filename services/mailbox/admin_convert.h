#ifndef POSTHORN_SERVICES_MAILBOX_ADMIN_CONVERT_H_
#define POSTHORN_SERVICES_MAILBOX_ADMIN_CONVERT_H_

#include "posthorn/admin/v1/admin.pb.h"
#include "services/mailbox/admin_store.h"

// Between the records of AdminStore and posthorn.admin.v1. Enumerations have the same numbers.
namespace posthorn::mailbox {

void ToProto(TenantRecord record, admin::v1::Tenant* out);
void ToProto(DomainRecord record, admin::v1::Domain* out);
void ToProto(AccountRecord record, admin::v1::Account* out);
void ToProto(AppPasswordRecord record, admin::v1::AppPassword* out);
void ToProto(AliasRecord record, admin::v1::Alias* out);
void ToProto(ListRecord record, admin::v1::List* out);
void ToProto(KeyRecord record, admin::v1::Key* out);

DomainChange FromProto(const admin::v1::SetDomainRequest& request);
AccountChange FromProto(const admin::v1::SetAccountRequest& request);
ListChange FromProto(const admin::v1::AddListRequest& request);
ListChange FromProto(const admin::v1::SetListRequest& request);

}  // namespace posthorn::mailbox

#endif  // POSTHORN_SERVICES_MAILBOX_ADMIN_CONVERT_H_
