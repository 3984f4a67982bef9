#ifndef POSTHORN_SERVICES_GATEWAY_ACCEPT_SUBMISSION_H_
#define POSTHORN_SERVICES_GATEWAY_ACCEPT_SUBMISSION_H_

#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "lib/base/ids.h"
#include "lib/base/task.h"
#include "lib/mime/header_editor.h"
#include "lib/mime/submission_header.h"
#include "lib/net/staged_body.h"
#include "services/gateway/accept/message_acceptor.h"
#include "services/gateway/clients/directory.h"

namespace posthorn::gateway {

// What happens to a submitted message whose From or Sender names somebody else than its submitter.
enum class FromPolicy {
  kReject,   // refused: kSenderNotAllowed
  kRewrite,  // From stays as it was written, and Sender names the submitter (RFC 6409 section 8.1)
};

// Who hands a message in.
struct Submitter {
  enum class Kind {
    kAccount,         // may write as each of its own addresses
    kKey,             // an application's: as each address in the tenant's domains
    kTrustedNetwork,  // as anybody who is not another tenant's
    kLocalUser,       // of this machine: as `address`
  };
  Submitter() = default;
  Submitter(Kind kind_in, TenantId tenant_in, AccountId account_in, std::string address_in)
      : kind(kind_in), tenant(tenant_in), account(account_in), address(std::move(address_in)) {}
  Kind kind = Kind::kAccount;
  TenantId tenant;
  AccountId account;    // of kAccount
  std::string address;  // the login's; empty: the reverse-path alone says who it is
};

// What a submission server does to a message and no other server may do (RFC 6409 sections 6 and
// 8): Date, Message-ID and From where they are missing or empty; Bcc and Resent-Bcc taken out; From
// and Sender held against the submitter's addresses. Every other octet stays.
class SubmissionPolicy {
 public:
  // `directory` and `area` outlive it.
  SubmissionPolicy(Directory& directory, net::StagingArea& area, std::string hostname)
      : directory_(directory), area_(area), hostname_(std::move(hostname)) {}

  // `header` has been fed request.body. Where the message changes, request.body becomes another
  // one and request.resend_key is taken from the message as it was received. `request` belongs to
  // the caller, who awaits this. Failures: kSenderNotAllowed, kInsufficientStorage, or what the
  // directory says; the request is as before then, and is to be refused.
  Task<absl::Status> Apply(Submitter submitter, FromPolicy policy,
                           std::unique_ptr<const mime::SubmissionHeader> header,
                           AcceptRequest& request);

 private:
  // May the submitter name these? The first that it may not is the error's.
  Task<absl::Status> CheckAuthors(const Submitter& submitter, const std::string& reverse_path,
                                  const char* field, mime::SubmissionHeader::Authors authors);
  Task<absl::Status> CheckAddress(const Submitter& submitter, const std::string& reverse_path,
                                  std::string address);
  Task<absl::Status> Edit(mime::HeaderEdits edits, AcceptRequest& request);

  Directory& directory_;
  net::StagingArea& area_;
  const std::string hostname_;
};

}  // namespace posthorn::gateway

#endif  // POSTHORN_SERVICES_GATEWAY_ACCEPT_SUBMISSION_H_
