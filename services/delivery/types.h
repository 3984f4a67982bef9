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

// What the sender asked for with ESMTP parameters; the defaults are "nothing".
struct DeliverBy {
  absl::Time by;
  bool return_after = false;  // "R": past the time it comes back; else "N": the sender is told
  bool trace = false;
};
struct EnvelopeOptions {
  std::string envelope_id;  // ENVID, decoded (RFC 3461 section 4.4)
  enum class Ret { kUnspecified, kFull, kHeaders };
  Ret ret = Ret::kUnspecified;
  bool require_tls = false;  // RFC 8689
  std::optional<absl::Time> hold_until;
  int priority = 0;  // RFC 6710
  std::optional<DeliverBy> deliver_by;
  bool smtputf8 = false;        // the envelope or the header needs it
  bool body_is_binary = false;  // RFC 3030
  std::string verp_delimiters;  // each recipient has a reverse-path of its own; empty: not so
  bool tls_optional = false;    // what the domain publishes about TLS is not followed
};
struct RecipientOptions {
  std::string original_recipient;  // ORCPT, decoded: "rfc822;bob@example.net"
  // NOTIFY (RFC 3461 section 4.1). Without it the sender hears of failures, and of delays as the
  // queue's policy has it.
  bool notify_given = false;
  bool never = false, success = false, failure = false, delay = false;

  bool WantsSuccess() const { return success; }
  bool WantsFailure() const { return !notify_given || failure; }
  bool WantsDelay() const { return !notify_given || delay; }
};

struct JobRecipient {
  std::int64_t recipient_id = 0;
  std::string address;
  std::string original_address;  // as the sender gave it
  AccountId account;             // a local mailbox, or none
  RecipientOptions options;
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
  EnvelopeOptions options;
  std::string bounce_reason;       // not empty: an operator wants it returned, not tried
  std::vector<std::string> route;  // hosts that an operator wants it to go to
  bool deliver_by_notified = false;  // the sender knows that options.deliver_by has passed
  int waits = 0;  // of the attempts so far, those that only found a limit

  std::uint64_t body_size() const {
    return stored_body.has_value() ? stored_body->size : inline_body.size();
  }
};

enum class Outcome { kDelivered, kDeferred, kBounced };

// Who answers for a recipient that counts as delivered, and so what a sender that asked for
// NOTIFY=SUCCESS is told now (RFC 3461 section 5.2).
enum class Handover {
  kMailbox,     // "delivered"
  kExpanded,    // forwarded to several: "expanded"
  kForwarded,   // to one, with what was asked for: nothing now
  kRelayed,     // to a server without DSN: "relayed"
  kPassedOn,    // to a server that was asked to tell the sender: nothing now
};

// What became of one recipient in one attempt.
struct RecipientResult {
  Outcome outcome = Outcome::kDeferred;
  std::string remote_host;    // that answered; empty: none
  int smtp_code = 0;
  std::string enhanced;       // "5.1.1"
  std::string text;           // the server's words or ours, one line
  bool is_smtp_reply = false;  // `text` is what a server said
  Handover handover = Handover::kMailbox;  // of kDelivered
  // The sender is told that the message was handed over, unless it asked never to be: DELIVERBY
  // with a trace, or to a server without it (RFC 2852 section 4).
  bool tell_handover = false;
  // Not tried: a limit makes it wait until then. `outcome` is kDeferred.
  std::optional<absl::Time> waits_until;
};

// The result a failure of our own makes: bounced if permanent, else deferred.
RecipientResult ResultOf(const absl::Status& failure);

// A message for the queue to take in the same transaction as a report.
struct OutboundRecipient {
  std::string address;
  std::string original_address;
  AccountId account;
  RecipientOptions options;
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
  EnvelopeOptions options;
};

struct JobReport {
  LeaseKey key;
  std::vector<std::int64_t> recipient_ids;
  std::vector<RecipientResult> results;  // in the order of recipient_ids
  std::vector<OutboundMessage> notifications;
  bool delay_warning_sent = false;
  bool deliver_by_notified = false;
  std::optional<absl::Time> retry_before;  // the next attempt comes no later
  // Nothing was tried: the job waits until then, and the attempt doesn't count.
  std::optional<absl::Time> waits_until;
  int waits = 0;  // of the job
};

}  // namespace posthorn::delivery

#endif  // POSTHORN_SERVICES_DELIVERY_TYPES_H_
