#ifndef POSTHORN_SERVICES_GATEWAY_CLIENTS_LOCAL_DELIVERY_H_
#define POSTHORN_SERVICES_GATEWAY_CLIENTS_LOCAL_DELIVERY_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "lib/base/ids.h"
#include "lib/base/task.h"
#include "lib/net/staged_body.h"

namespace posthorn::gateway {

struct LocalRecipient {
  LocalRecipient(AccountId account_in, std::string address_in, std::string prefix_in)
      : account(account_in), address(std::move(address_in)), prefix(std::move(prefix_in)) {}
  AccountId account;
  std::string address;  // where the alias chain ended: its tag may name a mailbox
  std::string prefix;   // the trace headers of this copy
};

// One message for mailboxes of one tenant.
struct LocalMessage {
  LocalMessage() = default;
  TenantId tenant;
  MessageId id;
  std::string reverse_path;
  std::vector<LocalRecipient> recipients;
  std::shared_ptr<const net::StagedBody> body;
  absl::Time received_at;
  std::string resend_key;  // empty: no resend detection
};

// Puts messages into mailboxes. Idempotent by (tenant, account, message id). Thread-safe; a call
// continues on its own executor and ends within its deadline.
class LocalDelivery {
 public:
  virtual ~LocalDelivery() = default;
  // One status a recipient, in order. OK: committed, now or by an earlier call. A temporary failure
  // leaves open whether it was stored.
  virtual Task<std::vector<absl::Status>> Deliver(LocalMessage message) = 0;
};

}  // namespace posthorn::gateway

#endif  // POSTHORN_SERVICES_GATEWAY_CLIENTS_LOCAL_DELIVERY_H_
