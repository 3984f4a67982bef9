#ifndef POSTHORN_SERVICES_MAILBOX_ADMIN_MAIL_SERVICE_H_
#define POSTHORN_SERVICES_MAILBOX_ADMIN_MAIL_SERVICE_H_

// The part of posthorn.admin.v1 that deals with the mail of accounts; for admin_service.cc.

#include "absl/status/status.h"
#include "lib/base/task.h"
#include "posthorn/admin/v1/admin.pb.h"
#include "services/mailbox/admin_store.h"
#include "services/mailbox/deleted_store.h"
#include "services/mailbox/mail_transfer.h"
#include "services/mailbox/services.h"

namespace posthorn::mailbox {

// Translates between the API and the stores, which outlive it. Requests and responses outlive the
// tasks.
class AdminMail {
 public:
  AdminMail(AdminStore& accounts, MailStores stores) : accounts_(accounts), stores_(stores) {}

  Task<absl::Status> Run(const admin::v1::ListDeletedRequest& request,
                         admin::v1::ListDeletedResponse& response);
  Task<absl::Status> Run(const admin::v1::UndeleteRequest& request,
                         admin::v1::UndeleteResponse& response);
  Task<absl::Status> Run(const admin::v1::ListAccountMailboxesRequest& request,
                         admin::v1::ListAccountMailboxesResponse& response);
  Task<absl::Status> Run(const admin::v1::EnsureMailboxRequest& request,
                         admin::v1::EnsureMailboxResponse& response);
  Task<absl::Status> Run(const admin::v1::ExportMessagesRequest& request,
                         admin::v1::ExportMessagesResponse& response);
  Task<absl::Status> Run(const admin::v1::ReadExportedRequest& request,
                         admin::v1::ReadExportedResponse& response);
  Task<absl::Status> Run(const admin::v1::FindImportedRequest& request,
                         admin::v1::FindImportedResponse& response);
  Task<absl::Status> Run(const admin::v1::ImportMessagesRequest& request,
                         admin::v1::ImportMessagesResponse& response);

 private:
  // kNotFound.
  Task<absl::StatusOr<Account>> Find(std::string address);

  AdminStore& accounts_;
  const MailStores stores_;
};

}  // namespace posthorn::mailbox

#endif  // POSTHORN_SERVICES_MAILBOX_ADMIN_MAIL_SERVICE_H_
