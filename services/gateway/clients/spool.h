#ifndef POSTHORN_SERVICES_GATEWAY_CLIENTS_SPOOL_H_
#define POSTHORN_SERVICES_GATEWAY_CLIENTS_SPOOL_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lib/base/ids.h"
#include "lib/base/task.h"
#include "lib/net/staged_body.h"
#include "services/gateway/clients/envelope_options.h"

namespace posthorn::gateway {

struct OutboundRecipient {
  OutboundRecipient(std::string address_in, std::string original_address_in, AccountId account_in)
      : address(std::move(address_in)),
        original_address(std::move(original_address_in)),
        account(account_in) {}
  std::string address;           // addr-spec to send to
  std::string original_address;  // as the sender gave it, for DSNs
  AccountId account;             // set: a mailbox of this platform
  RecipientOptions options;
};

// One message of one tenant, for the queue.
struct OutboundMessage {
  OutboundMessage() = default;
  TenantId tenant;
  MessageId id;
  std::string reverse_path;
  std::vector<OutboundRecipient> recipients;
  std::string prefix;  // trace headers common to all recipients
  std::shared_ptr<const net::StagedBody> body;
  absl::Time received_at;
  std::string resend_key;        // over body and recipients; see queue.proto
  std::string local_resend_key;  // what LocalDelivery would get
  std::string idempotency_key;
  bool body_is_8bit = false;
  EnvelopeOptions options;
};

struct Enqueued {
  Enqueued() = default;
  Enqueued(MessageId id_in, bool duplicate_in) : id(id_in), duplicate(duplicate_in) {}
  MessageId id;  // of the first copy, if it was seen before
  bool duplicate = false;
};

// The queue, as who accepts messages sees it. Idempotent by (tenant, message id). Thread-safe; a
// call continues on its own executor and ends within its deadline.
class Spool {
 public:
  virtual ~Spool() = default;
  // OK: the queue has committed the message and answers for it.
  virtual Task<absl::StatusOr<Enqueued>> Enqueue(OutboundMessage message) = 0;
};

}  // namespace posthorn::gateway

#endif  // POSTHORN_SERVICES_GATEWAY_CLIENTS_SPOOL_H_
