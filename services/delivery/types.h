#ifndef POSTHORN_SERVICES_DELIVERY_TYPES_H_
#define POSTHORN_SERVICES_DELIVERY_TYPES_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "lib/base/ids.h"

namespace posthorn::delivery {

struct BodyRef {
  std::string sha256;
  std::uint64_t size = 0;
};

struct JobRecipient {
  std::int64_t recipient_id = 0;
  std::string address;
  std::string original_address;  // as the sender gave it
  AccountId account;             // a local mailbox, or none
};

// What a report and a heartbeat name a job by. `attempt` is the fence.
struct LeaseKey {
  TenantId tenant;
  JobId job;
  int attempt = 0;
  std::string destination;
};

// One message for one destination, leased from the queue.
struct Job {
  LeaseKey key;
  MessageId message_id;
  std::string reverse_path;
  std::vector<JobRecipient> recipients;
  std::string prefix;
  std::string inline_body;             // unless stored_body is set
  std::optional<BodyRef> stored_body;  // in the queue's spool
  absl::Time received_at;
  absl::Time expires_at;
  bool body_is_8bit = false;
  bool delay_warning_due = false;
  // The sender's, for mailboxes: a copy that came another way is known as the same message.
  std::string local_resend_key;

  std::uint64_t body_size() const {
    return stored_body.has_value() ? stored_body->size : inline_body.size();
  }
};

enum class Outcome { kDelivered, kDeferred, kBounced };

// What became of one recipient in one attempt.
struct RecipientResult {
  Outcome outcome = Outcome::kDeferred;
  std::string remote_host;    // that answered; empty: none
  int smtp_code = 0;
  std::string enhanced;       // "5.1.1"
  std::string text;           // the server's words or ours, one line
  bool is_smtp_reply = false;  // `text` is what a server said
};

// The result a failure of our own makes: bounced if permanent, else deferred.
RecipientResult ResultOf(const absl::Status& failure);

// A message for the queue to take in the same transaction as a report.
struct OutboundRecipient {
  std::string address;
  std::string original_address;
  AccountId account;
};
struct OutboundMessage {
  TenantId tenant;
  MessageId message_id;
  std::string reverse_path;
  std::vector<OutboundRecipient> recipients;
  std::string prefix;
  std::string inline_body;
  std::optional<BodyRef> stored_body;
  absl::Time received_at;
  bool body_is_8bit = false;
};

struct JobReport {
  LeaseKey key;
  std::vector<std::int64_t> recipient_ids;
  std::vector<RecipientResult> results;  // in the order of recipient_ids
  std::vector<OutboundMessage> notifications;
  bool delay_warning_sent = false;
};

}  // namespace posthorn::delivery

#endif  // POSTHORN_SERVICES_DELIVERY_TYPES_H_
