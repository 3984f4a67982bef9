#include "services/delivery/bounces.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/base/failure.h"
#include "lib/telemetry/log.h"
#include "services/delivery/delivery_metrics.h"

namespace posthorn::delivery {
namespace {

bool Has(const std::vector<RecipientResult>& results, Outcome outcome) {
  return std::any_of(results.begin(), results.end(),
                     [outcome](const RecipientResult& r) { return r.outcome == outcome; });
}

dsn::Recipient Describe(const JobRecipient& recipient, const RecipientResult& result) {
  dsn::Recipient described;
  described.final_address = recipient.address;
  if (recipient.original_address != recipient.address) {
    described.original_address = recipient.original_address;
  }
  described.status = result.enhanced;
  described.diagnostic = result.text;
  described.diagnostic_is_smtp = result.is_smtp_reply;
  described.remote_host = result.remote_host;
  return described;
}

}  // namespace

void Bounces::Expire(const Job& job, std::vector<RecipientResult>& results) const {
  if (clock_.Now() < job.expires_at) return;
  for (RecipientResult& result : results) {
    if (result.outcome != Outcome::kDeferred) continue;
    result.outcome = Outcome::kBounced;
    const FailureRow& row = RowOf(Failure::kExpired);
    result.smtp_code = row.smtp_code;
    result.enhanced = std::string(row.enhanced);
    result.text = absl::StrCat("delivery time expired; the last reason: ", result.text);
    result.is_smtp_reply = false;
  }
}

Task<std::vector<OutboundMessage>> Bounces::Compose(const Job& job,
                                                    const std::vector<RecipientResult>& results) {
  std::vector<OutboundMessage> notifications;
  const bool bounced = Has(results, Outcome::kBounced);
  const bool late = job.delay_warning_due && Has(results, Outcome::kDeferred);
  if (job.reverse_path.empty() || (!bounced && !late)) co_return notifications;

  // Where the sender is. Without an answer the bare address is queued: it is resolved again when
  // it is delivered.
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
  if (senders.empty()) {
    log::Warn("delivery", "the sender to be notified does not exist",
              {{"id", job.message_id.ToString()}, {"from", job.reverse_path}});
    co_return notifications;
  }
  const std::string headers = co_await HeadersOf(job);
  if (bounced) {
    notifications.push_back(Notify(job, results, Outcome::kBounced, headers, senders));
  }
  if (late) notifications.push_back(Notify(job, results, Outcome::kDeferred, headers, senders));
  Metrics().notifications.Increment(static_cast<double>(notifications.size()));
  co_return notifications;
}

// As much of the front of the message as a notification may repeat.
Task<std::string> Bounces::HeadersOf(const Job& job) {
  std::string headers = job.prefix;
  if (!job.stored_body.has_value()) {
    headers.append(job.inline_body, 0, dsn::kMaxHeaders);
    co_return headers;
  }
  const std::unique_ptr<BodyReader> reader =
      queue_.ReadBody(job.key.tenant, *job.stored_body, dsn::kMaxHeaders);
  while (headers.size() < job.prefix.size() + dsn::kMaxHeaders) {
    const absl::StatusOr<std::string> piece = co_await reader->Next();
    // A notification without all headers is better than none.
    if (!piece.ok() || piece->empty()) break;
    headers.append(*piece);
  }
  co_return headers;
}

OutboundMessage Bounces::Notify(const Job& job, const std::vector<RecipientResult>& results,
                                Outcome outcome, const std::string& headers,
                                const std::vector<OutboundRecipient>& senders) const {
  const absl::Time now = clock_.Now();
  OutboundMessage message;
  message.tenant = job.key.tenant;
  message.message_id = MessageId::Generate(now);
  message.recipients = senders;
  message.received_at = now;

  dsn::Notification notification;
  notification.kind = outcome == Outcome::kBounced ? dsn::Kind::kFailure : dsn::Kind::kDelay;
  notification.reporting_host = hostname_;
  notification.to = job.reverse_path;
  notification.message_id = message.message_id.ToString();
  notification.now = now;
  notification.arrival = job.received_at;
  notification.retry_until = job.expires_at;
  notification.original_headers = headers;
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (results[i].outcome != outcome) continue;
    notification.recipients.push_back(Describe(job.recipients[i], results[i]));
  }
  dsn::Composed composed = dsn::Compose(notification);
  message.inline_body = std::move(composed.message);
  message.body_is_8bit = composed.body_is_8bit;
  return message;
}

}  // namespace posthorn::delivery
