#include "services/queue/convert.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "lib/base/failure.h"
#include "lib/smtp/verp.h"

namespace posthorn::queue {
namespace {

constexpr std::size_t kMaxInlineBody = 64 * 1024;
constexpr std::size_t kMaxPrefix = 64 * 1024;
constexpr std::size_t kMaxIdempotencyKey = 512;
constexpr std::size_t kMaxEnvelopeId = 100;         // RFC 3461 section 4.4
constexpr std::size_t kMaxOriginalRecipient = 500;  // RFC 3461 section 4.2
constexpr int kMaxPriority = 9;

absl::Status Malformed(std::string_view what) {
  return MakeFailure(Failure::kInvalidArgument, what);
}

absl::Time FromProto(const google::protobuf::Timestamp& time) {
  return absl::FromUnixSeconds(time.seconds()) + absl::Nanoseconds(time.nanos());
}

void ToProto(absl::Time time, google::protobuf::Timestamp& to) {
  const std::int64_t seconds = absl::ToUnixSeconds(time);
  to.set_seconds(seconds);
  to.set_nanos(static_cast<std::int32_t>(
      absl::ToInt64Nanoseconds(time - absl::FromUnixSeconds(seconds))));
}

const char* NameOf(const QueuedRecipient& recipient) {
  if (recipient.held && !recipient.leased && recipient.state < RecipientState::kDelivered) {
    return "held";
  }
  switch (recipient.state) {
    case RecipientState::kDelivered: return "delivered";
    case RecipientState::kBounced: return "bounced";
    case RecipientState::kCancelled: return "cancelled";
    case RecipientState::kQueued: return recipient.leased ? "leased" : "queued";
    case RecipientState::kDeferred: return recipient.leased ? "leased" : "deferred";
  }
  return "queued";
}

const char* NameOf(EventKind kind) {
  switch (kind) {
    case EventKind::kAccepted: return "accepted";
    case EventKind::kDeferred: return "deferred";
    case EventKind::kDelivered: return "delivered";
    case EventKind::kBounced: return "bounced";
    case EventKind::kExpired: return "expired";
    case EventKind::kCancelled: return "cancelled";
  }
  return "";
}

absl::Status TakeOptions(const v1::EnvelopeOptions& from, Message& message) {
  if (from.envelope_id().size() > kMaxEnvelopeId) return Malformed("envelope_id is too long");
  if (from.priority() < -kMaxPriority || from.priority() > kMaxPriority) {
    return Malformed("priority must be from -9 to 9");
  }
  if (from.has_deliver_by() && (!from.deliver_by().has_by() || from.deliver_by().mode() == 0)) {
    return Malformed("deliver_by needs a time and a mode");
  }
  if (!from.verp_delimiters().empty() && !smtp::IsVerpDelimiters(from.verp_delimiters())) {
    return Malformed("verp_delimiters are two of -, = and +");
  }
  message.priority = from.priority();
  if (from.has_hold_until()) message.hold_until = FromProto(from.hold_until());
  message.options = from.SerializeAsString();
  return absl::OkStatus();
}

absl::Status TakeOptions(const v1::RecipientOptions& from, Recipient& recipient) {
  if (from.original_recipient().size() > kMaxOriginalRecipient) {
    return Malformed("original_recipient is too long");
  }
  for (const int notify : from.notify()) {
    if (notify == v1::RecipientOptions::NOTIFY_NEVER && from.notify_size() > 1) {
      return Malformed("NOTIFY_NEVER stands alone");
    }
  }
  recipient.options = from.SerializeAsString();
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Message> FromProto(v1::OutboundMessage&& from) {
  Message message;
  message.tenant = TenantId(from.tenant_id());
  if (from.tenant_id() <= 0) return Malformed("tenant_id is missing");
  absl::StatusOr<MessageId> id = MessageId::FromBytes(from.message_id());
  if (!id.ok()) return Malformed("message_id must have 16 octets");
  message.id = *id;
  if (from.recipients().empty()) return Malformed("no recipients");
  if (from.prefix().size() > kMaxPrefix) return Malformed("prefix is too long");
  if (from.idempotency_key().size() > kMaxIdempotencyKey) {
    return Malformed("idempotency_key is too long");
  }
  message.reverse_path = std::move(*from.mutable_reverse_path());
  message.prefix = std::move(*from.mutable_prefix());
  for (v1::OutboundRecipient& recipient : *from.mutable_recipients()) {
    Recipient to;
    to.address = std::move(*recipient.mutable_address());
    to.original_address = std::move(*recipient.mutable_original_address());
    if (to.original_address.empty()) to.original_address = to.address;
    to.account = AccountId(recipient.account_id());
    if (absl::Status s = TakeOptions(recipient.options(), to); !s.ok()) return s;
    message.recipients.push_back(std::move(to));
  }
  switch (from.body_case()) {
    case v1::OutboundMessage::kInlineBody:
      if (from.inline_body().size() > kMaxInlineBody) return Malformed("inline_body is too long");
      message.size = from.inline_body().size();
      message.inline_body = std::move(*from.mutable_inline_body());
      break;
    case v1::OutboundMessage::kStoredBody:
      if (from.stored_body().sha256().size() != 32) {
        return Malformed("stored_body.sha256 must have 32 octets");
      }
      message.size = from.stored_body().size();
      message.body_sha256 = std::move(*from.mutable_stored_body()->mutable_sha256());
      break;
    default:
      return Malformed("no body");
  }
  message.received_at =
      from.has_received_at() ? FromProto(from.received_at()) : absl::InfinitePast();
  message.body_is_8bit = from.body_is_8bit();
  message.resend_key = std::move(*from.mutable_resend_key());
  message.idempotency_key = std::move(*from.mutable_idempotency_key());
  message.local_resend_key = std::move(*from.mutable_local_resend_key());
  if (absl::Status s = TakeOptions(from.options(), message); !s.ok()) return s;
  return message;
}

v1::Job ToProto(LeasedJob&& job) {
  v1::Job to;
  to.set_tenant_id(job.ref.tenant.value());
  to.set_job_id(job.ref.job.value());
  to.set_attempt(job.attempt);
  to.set_message_id(job.message.bytes());
  to.set_destination(std::move(job.destination));
  to.set_reverse_path(std::move(job.reverse_path));
  for (LeasedRecipient& recipient : job.recipients) {
    v1::JobRecipient& added = *to.add_recipients();
    added.set_recipient_id(recipient.id);
    added.set_address(std::move(recipient.address));
    added.set_original_address(std::move(recipient.original_address));
    added.set_account_id(recipient.account.value());
    if (!recipient.options.empty()) added.mutable_options()->ParseFromString(recipient.options);
  }
  to.set_prefix(std::move(job.prefix));
  if (job.inline_body.has_value()) {
    to.set_inline_body(*std::move(job.inline_body));
  } else {
    to.mutable_stored_body()->set_sha256(std::move(job.body_sha256));
    to.mutable_stored_body()->set_size(job.size);
  }
  ToProto(job.received_at, *to.mutable_received_at());
  ToProto(job.expires_at, *to.mutable_expires_at());
  to.set_body_is_8bit(job.body_is_8bit);
  to.set_delay_warning_due(job.delay_warning_due);
  to.set_local_resend_key(std::move(job.local_resend_key));
  if (!job.options.empty()) to.mutable_options()->ParseFromString(job.options);
  to.set_deliver_by_notified(job.deliver_by_notified);
  to.set_bounce_reason(std::move(job.bounce_reason));
  to.set_waits(job.waits);
  for (const absl::string_view host : absl::StrSplit(job.route, ',', absl::SkipEmpty())) {
    to.add_route(std::string(host));
  }
  return to;
}

LeaseKey FromProto(const v1::LeaseKey& from) {
  LeaseKey key;
  key.ref.tenant = TenantId(from.tenant_id());
  key.ref.job = JobId(from.job_id());
  key.ref.hash = HashOf(from.destination());
  key.attempt = from.attempt();
  key.destination = from.destination();
  return key;
}

absl::StatusOr<JobReport> FromProto(v1::JobReport&& from) {
  JobReport report;
  report.key = FromProto(from.job());
  for (v1::RecipientReport& recipient : *from.mutable_recipients()) {
    RecipientReport to;
    switch (recipient.outcome()) {
      case v1::RecipientReport::OUTCOME_DELIVERED: to.outcome = RecipientState::kDelivered; break;
      case v1::RecipientReport::OUTCOME_DEFERRED: to.outcome = RecipientState::kDeferred; break;
      case v1::RecipientReport::OUTCOME_BOUNCED: to.outcome = RecipientState::kBounced; break;
      default: return Malformed("unknown outcome");
    }
    to.id = recipient.recipient_id();
    to.remote_host = std::move(*recipient.mutable_remote_host());
    to.smtp_code = recipient.smtp_code();
    to.enhanced_status = std::move(*recipient.mutable_enhanced_status());
    to.text = std::move(*recipient.mutable_text());
    report.recipients.push_back(std::move(to));
  }
  report.retry_at = from.has_retry_at() ? FromProto(from.retry_at()) : absl::InfinitePast();
  for (v1::OutboundMessage& notification : *from.mutable_notifications()) {
    absl::StatusOr<Message> message = FromProto(std::move(notification));
    if (!message.ok()) return message.status();
    report.notifications.push_back(*std::move(message));
  }
  report.delay_warning_sent = from.delay_warning_sent();
  report.deliver_by_notified = from.deliver_by_notified();
  report.waited = from.waited();
  report.waits = from.waits();
  if (from.has_retry_before()) report.retry_before = FromProto(from.retry_before());
  return report;
}

absl::StatusOr<Filter> FromProto(const v1::MessageFilter& from) {
  Filter filter;
  filter.tenant = TenantId(from.tenant_id());
  if (!from.message_id().empty()) {
    absl::StatusOr<MessageId> id = MessageId::FromBytes(from.message_id());
    if (!id.ok()) return Malformed("message_id must have 16 octets");
    filter.message = *id;
  }
  filter.destination = absl::AsciiStrToLower(from.destination());
  filter.reverse_path = absl::AsciiStrToLower(from.reverse_path());
  return filter;
}

v1::QueuedMessage ToProto(const QueuedMessage& message) {
  v1::QueuedMessage to;
  to.set_tenant_id(message.tenant.value());
  to.set_message_id(message.id.bytes());
  to.set_reverse_path(message.reverse_path);
  to.set_size(message.size);
  ToProto(message.received_at, *to.mutable_received_at());
  ToProto(message.expires_at, *to.mutable_expires_at());
  if (!message.options.empty()) to.mutable_options()->ParseFromString(message.options);
  for (const QueuedRecipient& recipient : message.recipients) {
    v1::QueuedRecipient& added = *to.add_recipients();
    added.set_address(recipient.address);
    added.set_destination(recipient.destination);
    added.set_state(NameOf(recipient));
    added.set_attempts(recipient.attempts);
    if (recipient.next_attempt_at.has_value()) {
      ToProto(*recipient.next_attempt_at, *added.mutable_next_attempt_at());
    }
    added.set_last_reply(recipient.last_reply);
  }
  return to;
}

v1::MessageEvent ToProto(const Event& event) {
  v1::MessageEvent to;
  ToProto(event.at, *to.mutable_at());
  to.set_kind(NameOf(event.kind));
  to.set_recipient(event.recipient);
  to.set_destination(event.destination);
  to.set_attempt(event.attempt);
  to.set_remote_host(event.remote_host);
  to.set_smtp_code(event.smtp_code);
  to.set_enhanced_status(event.enhanced_status);
  to.set_text(event.reply);
  return to;
}

}  // namespace posthorn::queue
