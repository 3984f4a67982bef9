#ifndef POSTHORN_SERVICES_QUEUE_TYPES_H_
#define POSTHORN_SERVICES_QUEUE_TYPES_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "lib/base/ids.h"

namespace posthorn::queue {

// Mailboxes of this platform are one destination.
inline constexpr char kLocalDestination[] = "local";
inline constexpr std::size_t kRecipientsPerJob = 100;

struct Recipient {
  Recipient() = default;
  std::string address;
  std::string original_address;
  AccountId account;
  std::string options;  // as EnvelopeOptions below, a RecipientOptions
};

// A message to accept. Either `inline_body` (up to 64 KiB) or `body_sha256` of a stored one.
struct Message {
  TenantId tenant;
  MessageId id;
  std::string reverse_path;
  std::vector<Recipient> recipients;
  std::string prefix;
  std::optional<std::string> inline_body;
  std::string body_sha256;
  std::uint64_t size = 0;  // octets of the body
  absl::Time received_at;  // what cannot be true (InfinitePast, the future) becomes now
  bool body_is_8bit = false;
  std::string resend_key;
  std::string idempotency_key;
  std::string local_resend_key;
  // What the sender asked for: a packed EnvelopeOptions of queue.proto; empty: nothing. The queue
  // carries it to the worker, and itself goes by these two of it.
  std::string options;
  absl::Time hold_until = absl::InfinitePast();  // no attempt before
  int priority = 0;                              // -9 to 9
};

struct Accepted {
  MessageId id;  // another than the message's if it was accepted before under that one
  bool duplicate = false;
};

// Names a job to the schedule: `hash` finds its shard.
struct JobRef {
  TenantId tenant;
  JobId job;
  int hash = 0;
  friend bool operator==(const JobRef&, const JobRef&) = default;
};

struct LeasedRecipient {
  std::int64_t id = 0;
  std::string address;
  std::string original_address;
  AccountId account;
  std::string options;
};

struct LeasedJob {
  JobRef ref;
  int attempt = 0;
  // The attempt before ended without a report: its worker may have delivered.
  bool repeated = false;
  MessageId message;
  std::string destination;
  std::string reverse_path;
  std::vector<LeasedRecipient> recipients;
  std::string prefix;
  std::optional<std::string> inline_body;
  std::string body_sha256;
  std::uint64_t size = 0;
  absl::Time received_at;
  absl::Time expires_at;
  bool body_is_8bit = false;
  bool delay_warning_due = false;
  std::string local_resend_key;
  std::string options;
  bool deliver_by_notified = false;
  std::string bounce_reason;  // not empty: an operator wants it returned
  std::string route;          // hosts, separated by commas, that an operator wants it to go to
  int waits = 0;              // of the attempts, those that only found a limit
};

// A lease as its holder names it.
struct LeaseKey {
  JobRef ref;
  int attempt = 0;
  std::string destination;
};

// As the column queue.recipient.state.
enum class RecipientState { kQueued = 0, kDeferred = 1, kDelivered = 2, kBounced = 3, kCancelled = 4 };

struct RecipientReport {
  std::int64_t id = 0;
  RecipientState outcome = RecipientState::kDeferred;  // kDeferred, kDelivered or kBounced
  std::string remote_host;
  int smtp_code = 0;
  std::string enhanced_status;
  std::string text;
};

// A report of the current attempt ends it: recipients that are neither delivered nor bounced wait
// until `retry_at`, those it doesn't name with their state unchanged.
struct JobReport {
  LeaseKey key;
  std::vector<RecipientReport> recipients;
  absl::Time retry_at;
  std::vector<Message> notifications;
  bool delay_warning_sent = false;
  bool deliver_by_notified = false;
  absl::Time retry_before = absl::InfiniteFuture();  // the next attempt comes no later
  // Nothing was tried, because of a limit: the attempt doesn't count.
  bool waited = false;
  int waits = 0;  // as in LeasedJob
};

// What a report came to.
struct JobOutcome {
  enum class Kind { kDone, kWaits, kOutdated, kUnknown };
  Kind kind = Kind::kUnknown;
  int late_deliveries = 0;  // recorded for an attempt that was not current any more
};

// For operators. Empty or none: any.
struct Filter {
  TenantId tenant;
  std::optional<MessageId> message;
  std::string destination;
  std::string reverse_path;
};

struct QueuedRecipient {
  std::string address;
  std::string destination;
  RecipientState state = RecipientState::kQueued;
  bool leased = false;
  bool held = false;  // by an operator
  int attempts = 0;
  std::optional<absl::Time> next_attempt_at;
  std::string last_reply;
};

struct QueuedMessage {
  TenantId tenant;
  MessageId id;
  std::string reverse_path;
  std::uint64_t size = 0;
  absl::Time received_at;
  absl::Time expires_at;
  std::vector<QueuedRecipient> recipients;
  std::string options;
};

// As the column queue.event.kind.
enum class EventKind {
  kAccepted = 1, kDeferred = 2, kDelivered = 3, kBounced = 4, kExpired = 5, kCancelled = 6
};

struct Event {
  absl::Time at;
  EventKind kind = EventKind::kAccepted;
  std::string recipient;  // empty: all
  std::string destination;
  int attempt = 0;
  std::string remote_host;
  int smtp_code = 0;
  std::string enhanced_status;
  std::string reply;
};

// A message's events, the earliest first; the tenant is none if nothing is known of the message.
struct History {
  TenantId tenant;
  std::vector<Event> events;
};

// Jobs for one destination, by the age of their messages.
struct DestinationSummary {
  std::string destination;
  std::int64_t jobs = 0;
  std::int64_t deferred = 0;  // tried at least once
  std::int64_t held = 0;
  std::vector<std::int64_t> by_age;  // as kAgeMinutes
};
// The first column of by_age is below the first of these, the last from the last on.
inline constexpr int kAgeMinutes[] = {5, 10, 20, 40, 80, 160, 320, 640, 1280};

// Where mail for this recipient goes: "local" or the lower-case domain. Addresses come with
// A-labels (the gateway's work).
std::string DestinationOf(const Recipient& recipient);
// Never negative; the same on every replica and in every version.
int HashOf(const std::string& destination);

}  // namespace posthorn::queue

#endif  // POSTHORN_SERVICES_QUEUE_TYPES_H_
