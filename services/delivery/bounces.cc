#include "services/delivery/bounces.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/base/failure.h"
#include "lib/telemetry/log.h"
#include "services/delivery/delivery_metrics.h"
#include "services/delivery/string_reader.h"

namespace posthorn::delivery {
namespace {

// What the queue takes with the report itself.
constexpr std::size_t kMaxInline = 64 * 1024;

constexpr dsn::Kind kKinds[] = {dsn::Kind::kFailure, dsn::Kind::kDelay, dsn::Kind::kDelivered,
                                dsn::Kind::kRelayed, dsn::Kind::kExpanded};

dsn::Recipient Describe(const JobRecipient& recipient, const RecipientResult& result) {
  dsn::Recipient described;
  described.final_address = recipient.address;
  if (recipient.original_address != recipient.address) {
    described.original_address = recipient.original_address;
  }
  described.original_recipient = recipient.options.original_recipient;
  described.status = result.enhanced;
  described.diagnostic = result.text;
  described.diagnostic_is_smtp = result.is_smtp_reply;
  described.remote_host = result.remote_host;
  return described;
}

// What the sender hears of this recipient now, if anything.
std::optional<dsn::Kind> KindFor(const Job& job, std::size_t index, const RecipientResult& result,
                                 bool overdue) {
  const RecipientOptions& options = job.recipients[index].options;
  if (options.never) return std::nullopt;
  switch (result.outcome) {
    case Outcome::kBounced:
      if (options.WantsFailure()) return dsn::Kind::kFailure;
      return std::nullopt;
    case Outcome::kDeferred:
      if (overdue || (job.delay_warning_due && options.WantsDelay())) return dsn::Kind::kDelay;
      return std::nullopt;
    case Outcome::kDelivered:
      break;
  }
  if (result.tell_handover) return dsn::Kind::kRelayed;
  if (!options.WantsSuccess()) return std::nullopt;
  switch (result.handover) {
    case Handover::kMailbox: return dsn::Kind::kDelivered;
    case Handover::kExpanded: return dsn::Kind::kExpanded;
    case Handover::kRelayed: return dsn::Kind::kRelayed;
    case Handover::kForwarded:
    case Handover::kPassedOn: break;
  }
  return std::nullopt;
}

}  // namespace

bool Bounces::IsTooLate(const Job& job) const {
  const std::optional<DeliverBy>& deliver_by = job.options.deliver_by;
  return deliver_by.has_value() && deliver_by->return_after && clock_.Now() >= deliver_by->by;
}

bool Bounces::IsOverdue(const Job& job) const {
  const std::optional<DeliverBy>& deliver_by = job.options.deliver_by;
  return deliver_by.has_value() && !deliver_by->return_after && !job.deliver_by_notified &&
         clock_.Now() >= deliver_by->by;
}

void Bounces::Expire(const Job& job, std::vector<RecipientResult>& results) const {
  const bool too_late = IsTooLate(job);
  if (clock_.Now() < job.expires_at && !too_late) return;
  for (RecipientResult& result : results) {
    if (result.outcome != Outcome::kDeferred) continue;
    result.outcome = Outcome::kBounced;
    const FailureRow& row = RowOf(Failure::kExpired);
    result.smtp_code = row.smtp_code;
    result.enhanced = std::string(row.enhanced);
    result.text = absl::StrCat(too_late ? "not delivered by the time that the sender set"
                                        : "delivery time expired",
                               "; the last reason: ", result.text);
    result.is_smtp_reply = false;
  }
}

Task<absl::StatusOr<std::vector<OutboundMessage>>> Bounces::Compose(
    const Job& job, const std::vector<RecipientResult>& results, bool overdue) {
  std::vector<OutboundMessage> messages;
  std::vector<dsn::Notification> notifications;
  if (job.reverse_path.empty()) co_return messages;
  for (const dsn::Kind kind : kKinds) {
    dsn::Notification notification;
    notification.kind = kind;
    for (std::size_t i = 0; i < results.size(); ++i) {
      if (KindFor(job, i, results[i], overdue) != kind) continue;
      dsn::Recipient recipient = Describe(job.recipients[i], results[i]);
      if (kind == dsn::Kind::kDelay && overdue) recipient.status = "4.4.7";
      notification.recipients.push_back(std::move(recipient));
    }
    if (!notification.recipients.empty()) notifications.push_back(std::move(notification));
  }
  if (notifications.empty()) co_return messages;

  const std::vector<OutboundRecipient> senders = co_await SendersOf(job);
  if (senders.empty()) {
    log::Warn("delivery", "the sender to be notified does not exist",
              {{"id", job.message_id.ToString()}, {"from", job.reverse_path}});
    co_return messages;
  }
  // RFC 3461 section 4.3: RET is for failures. RFC 8689 section 5: no more of a message that was to
  // be protected than its header.
  const bool full = notifications.front().kind == dsn::Kind::kFailure &&
                    job.options.ret == EnvelopeOptions::Ret::kFull && !job.options.require_tls &&
                    job.prefix.size() + job.body_size() <= dsn::kMaxFull;
  const std::string front = co_await FrontOf(job, full ? dsn::kMaxFull : dsn::kMaxHeaders);
  for (dsn::Notification& notification : notifications) {
    notification.original = front;
    notification.full = full && notification.kind == dsn::Kind::kFailure &&
                        front.size() == job.prefix.size() + job.body_size();
    absl::StatusOr<OutboundMessage> message =
        co_await Notify(job, std::move(notification), senders);
    if (!message.ok()) co_return message.status();
    messages.push_back(*std::move(message));
  }
  Metrics().notifications.Increment(static_cast<double>(messages.size()));
  co_return messages;
}

// Where the sender is. Without an answer the bare address is queued: it is resolved again when it
// is delivered.
Task<std::vector<OutboundRecipient>> Bounces::SendersOf(const Job& job) {
  std::vector<OutboundRecipient> senders;
  OutboundRecipient bare;
  bare.address = bare.original_address = job.reverse_path;
  const absl::StatusOr<Resolution> resolved = co_await directory_.Resolve(job.reverse_path);
  if (!resolved.ok() || resolved->kind == Resolution::Kind::kRemote ||
      (resolved->kind == Resolution::Kind::kLocal && resolved->tenant != job.key.tenant)) {
    // Another tenant's account is not named in this tenant's spool.
    senders.push_back(std::move(bare));
  } else if (resolved->kind == Resolution::Kind::kLocal) {
    for (const ResolvedTarget& target : resolved->targets) {
      OutboundRecipient sender;
      sender.account = target.account;
      sender.address = target.account ? target.address : target.remote_address;
      sender.original_address = job.reverse_path;
      senders.push_back(std::move(sender));
    }
  }
  co_return senders;
}

// As much of the message as a notification may repeat: the prefix, and `limit` octets of the body.
Task<std::string> Bounces::FrontOf(const Job& job, std::size_t limit) {
  std::string front = job.prefix;
  if (!job.stored_body.has_value()) {
    front.append(job.inline_body, 0, limit);
    co_return front;
  }
  const std::unique_ptr<BodyReader> reader =
      queue_.ReadBody(job.key.tenant, *job.stored_body, limit);
  while (front.size() < job.prefix.size() + limit) {
    const absl::StatusOr<std::string> piece = co_await reader->Next();
    // A notification without all headers is better than none.
    if (!piece.ok() || piece->empty()) break;
    front.append(*piece);
  }
  co_return front;
}

Task<absl::StatusOr<OutboundMessage>> Bounces::Notify(const Job& job,
                                                      dsn::Notification notification,
                                                      std::vector<OutboundRecipient> senders) {
  const absl::Time now = clock_.Now();
  OutboundMessage message;
  message.tenant = job.key.tenant;
  message.message_id = MessageId::Generate(now);
  message.recipients = std::move(senders);
  message.received_at = now;
  message.options.priority = job.options.priority;

  notification.reporting_host = hostname_;
  notification.to = job.reverse_path;
  notification.message_id = message.message_id.ToString();
  notification.envelope_id = job.options.envelope_id;
  notification.now = now;
  notification.arrival = job.received_at;
  notification.retry_until = job.expires_at;
  dsn::Composed composed = dsn::Compose(notification);
  message.body_is_8bit = composed.body_is_8bit;
  if (composed.message.size() <= kMaxInline) {
    message.inline_body = std::move(composed.message);
    co_return message;
  }
  StringReader reader(composed.message);
  absl::StatusOr<BodyRef> stored = co_await queue_.PutBody(job.key.tenant, reader);
  if (!stored.ok()) co_return stored.status();
  message.stored_body = *std::move(stored);
  co_return message;
}

}  // namespace posthorn::delivery
