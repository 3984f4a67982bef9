// The commit rule (ARCHITECTURE.md, "Accepting a message"):
//
//   recipients --by tenant--> group --all single mailboxes?-- yes --> Deliver --+-- stored
//                                  |                                            +-- permanent
//                                  no                                           +-- temporary,
//                                  |                                            |   in doubt
//                                  +-----------------> Enqueue <----------------+
//
// A recipient refused for good while others are accepted goes to the queue as well, unless each
// has an answer of its own: the queue tries once more and tells the sender. A full mailbox is no
// doubt either: it is the client's to try again, unless others are accepted.
#include "services/gateway/accept/commit_acceptor.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/ascii.h"
#include "lib/base/failure.h"
#include "lib/smtp/international.h"
#include "lib/telemetry/log.h"
#include "lib/telemetry/metrics.h"
#include "services/gateway/accept/resend_key.h"
#include "services/gateway/accept/trace_header.h"

namespace posthorn::gateway {
namespace {

struct Metrics {
  metrics::Counter& direct = metrics::MakeCounter(
      "posthorn_gateway_recipients_delivered_total",
      "Recipients whose copy went straight into a mailbox. Far below the recipients accepted: "
      "look at posthorn_gateway_recipients_deferred_to_queue_total.");
  metrics::Counter& fallback = metrics::MakeCounter(
      "posthorn_gateway_recipients_deferred_to_queue_total",
      "Local recipients that direct delivery did not confirm, so that the queue has them. Rising: "
      "the mailbox service or its database is slow or away; no mail is lost.");
  metrics::Counter& queued = metrics::MakeCounter(
      "posthorn_gateway_messages_queued_total",
      "Messages handed to the queue: remote, forwarded, or deferred. Informational.");
  metrics::Counter& uncommitted = metrics::MakeCounter(
      "posthorn_gateway_messages_uncommitted_total",
      "Messages answered with a temporary error because neither mailbox nor queue could commit. "
      "Rising: clients retry, but check both services and PostgreSQL now.");

  static Metrics& Get() {
    static Metrics* const metrics = new Metrics;
    return *metrics;
  }
};

// Has this mailbox had the message before? Postfix's local(8) and Dovecot ask the same.
bool HasBeenIn(const AcceptRequest& request, const std::string& address) {
  return !request.delivered_to.empty() &&
         std::find(request.delivered_to.begin(), request.delivered_to.end(),
                   absl::AsciiStrToLower(address)) != request.delivered_to.end();
}

}  // namespace

// The recipients of one tenant, by their index in the request.
struct CommitAcceptor::Group {
  explicit Group(TenantId tenant_in) : tenant(tenant_in) {}
  TenantId tenant;
  std::vector<std::size_t> recipients;
  std::vector<std::size_t> queue;  // of these, what the queue gets
  bool direct = true;
  std::optional<MessageId> first_copy;  // the queue has seen it before
};

CommitAcceptor::CommitAcceptor(LocalDelivery& delivery, Spool& spool, std::string hostname)
    : delivery_(delivery), spool_(spool), hostname_(std::move(hostname)) {}

// `request`, `group` and `result` belong to Accept, which awaits this.
Task<void> CommitAcceptor::DeliverDirectly(const AcceptRequest& request,
                                           const std::string& resend_key,
                                           const std::string& received, Group& group,
                                           AcceptResult& result) {
  LocalMessage message;
  message.tenant = group.tenant;
  message.id = request.id;
  message.reverse_path = request.reverse_path;
  message.body = request.body;
  message.received_at = request.received_at;
  message.resend_key = resend_key;
  // Two addresses of one account get one copy, and the same answer.
  absl::flat_hash_map<AccountId, std::size_t> position;
  for (const std::size_t index : group.recipients) {
    const AcceptRecipient& recipient = request.recipients[index];
    const Target& target = recipient.targets.front();
    if (HasBeenIn(request, target.address)) {
      result.recipients[index] = MakeFailure(Failure::kMailLoop);
      continue;
    }
    if (!position.emplace(target.account, message.recipients.size()).second) continue;
    message.recipients.emplace_back(
        target.account, target.address,
        DeliveryHeaders(request.reverse_path, target.address) + received);
  }
  if (message.recipients.empty()) co_return;
  const std::vector<absl::Status> statuses = co_await delivery_.Deliver(std::move(message));
  for (const std::size_t index : group.recipients) {
    if (!result.recipients[index].ok()) continue;  // a loop
    const std::size_t at = position[request.recipients[index].targets.front().account];
    result.recipients[index] =
        at < statuses.size() ? statuses[at] : MakeFailure(Failure::kUnavailable);
    const absl::Status& status = result.recipients[index];
    if (status.ok()) {
      Metrics::Get().direct.Increment();
    } else if (!IsPermanent(status) && FailureOf(status) != Failure::kOverQuota) {
      Metrics::Get().fallback.Increment();
      group.queue.push_back(index);
    }
  }
}

// As DeliverDirectly.
Task<void> CommitAcceptor::Enqueue(const AcceptRequest& request, const std::string& resend_key,
                                   const std::string& received, Group& group,
                                   AcceptResult& result) {
  OutboundMessage message;
  message.tenant = group.tenant;
  message.id = request.id;
  message.reverse_path = request.reverse_path;
  message.prefix = received;
  message.body = request.body;
  message.received_at = request.received_at;
  message.local_resend_key = resend_key;
  if (!request.idempotency_key.empty()) {
    message.idempotency_key =
        group.tenant == request.sender_tenant
            ? request.idempotency_key
            : ForeignIdempotencyKey(request.sender_tenant, request.idempotency_key);
  }
  message.body_is_8bit = request.body_is_8bit;
  std::set<std::pair<AccountId, std::string>> seen;
  for (const std::size_t index : group.queue) {
    const AcceptRecipient& recipient = request.recipients[index];
    for (const Target& target : recipient.targets) {
      // A mailbox counts once, whatever the address that led to it.
      if (!seen.emplace(target.account, target.account ? "" : target.address).second) continue;
      message.recipients.emplace_back(target.address, recipient.address, target.account);
      message.recipients.back().options = recipient.options;
    }
  }
  message.options = request.options;
  // RFC 6531 section 3.4: also for what an alias made of an ASCII address.
  for (const OutboundRecipient& recipient : message.recipients) {
    if (!smtp::IsAscii(recipient.address)) message.options.smtputf8 = true;
  }
  if (!smtp::IsAscii(request.reverse_path)) message.options.smtputf8 = true;
  std::vector<std::string> addresses;
  for (const OutboundRecipient& recipient : message.recipients) {
    addresses.push_back(recipient.address);
  }
  message.resend_key = EnvelopeResendKey(resend_key, std::move(addresses));
  const absl::StatusOr<Enqueued> enqueued = co_await spool_.Enqueue(std::move(message));
  for (const std::size_t index : group.queue) result.recipients[index] = enqueued.status();
  if (!enqueued.ok()) {
    Metrics::Get().uncommitted.Increment();
    log::Warn("accept", "message not committed",
              {{"id", request.id.ToString()}, {"error", enqueued.status()}});
    co_return;
  }
  Metrics::Get().queued.Increment();
  if (enqueued->duplicate) group.first_copy = enqueued->id;
}

Task<AcceptResult> CommitAcceptor::Accept(AcceptRequest request) {
  AcceptResult result;
  result.id = request.id;
  result.recipients.resize(request.recipients.size());

  absl::StatusOr<std::string> key = std::string();
  if (request.resend_key.has_value()) {
    key = *request.resend_key;
  } else {
    key = co_await ResendKey(request.reverse_path, request.message_id_header, request.body);
  }
  if (!key.ok()) {
    for (absl::Status& status : result.recipients) status = MakeFailure(Failure::kUnavailable);
    log::Error("accept", "staged body unreadable",
               {{"id", request.id.ToString()}, {"error", key.status()}});
    co_return result;
  }
  const std::string received =
      ReceivedHeader(request.trace, hostname_, request.id,
                     request.recipients.size() == 1 ? request.recipients.front().address : "",
                     request.received_at);

  std::vector<Group> groups;
  for (std::size_t i = 0; i < request.recipients.size(); ++i) {
    const AcceptRecipient& recipient = request.recipients[i];
    auto group = std::find_if(groups.begin(), groups.end(),
                              [&](const Group& g) { return g.tenant == recipient.tenant; });
    if (group == groups.end()) group = groups.emplace(groups.end(), recipient.tenant);
    group->recipients.push_back(i);
    if (recipient.targets.size() != 1 || !recipient.targets.front().account ||
        recipient.options.NeedsQueue() || request.options.NeedsQueue()) {
      group->direct = false;
    }
  }
  bool any_taken = false;  // stored, or on its way to the queue
  for (Group& group : groups) {
    if (!request.idempotency_key.empty() || group.recipients.size() > kMaxDirectRecipients) {
      group.direct = false;
    }
    if (group.direct) {
      co_await DeliverDirectly(request, *key, received, group, result);
    } else {
      group.queue = group.recipients;
    }
    any_taken = any_taken || !group.queue.empty() ||
                std::any_of(group.recipients.begin(), group.recipients.end(),
                            [&](std::size_t i) { return result.recipients[i].ok(); });
  }
  for (Group& group : groups) {
    if (group.direct && any_taken && !request.answers_per_recipient) {
      for (const std::size_t i : group.recipients) {
        const absl::Status& status = result.recipients[i];
        if (!status.ok() &&
            (IsPermanent(status) || FailureOf(status) == Failure::kOverQuota)) {
          group.queue.push_back(i);
        }
      }
    }
    if (group.queue.empty()) continue;
    co_await Enqueue(request, *key, received, group, result);
  }
  // The first copy's id speaks for the message only if nothing of it is new.
  result.duplicate = std::all_of(groups.begin(), groups.end(),
                                 [](const Group& g) { return g.first_copy.has_value(); });
  if (result.duplicate) result.id = *groups.front().first_copy;
  co_return result;
}

}  // namespace posthorn::gateway
