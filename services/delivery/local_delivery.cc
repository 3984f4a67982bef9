#include "services/delivery/local_delivery.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/base/failure.h"

namespace posthorn::delivery {
namespace {

constexpr absl::Duration kDomainFresh = absl::Seconds(30);
constexpr absl::Duration kDomainUsable = absl::Hours(1);
constexpr std::size_t kMaxDomains = 10000;

// RFC 5321 section 4.4: the final delivery system names the reverse-path, and RFC 9228 the address
// that the message was delivered to.
std::string PrefixFor(const Job& job, const std::string& delivered_to) {
  return absl::StrCat("Return-Path: <", job.reverse_path, ">\r\nDelivered-To: ", delivered_to,
                      "\r\n", job.prefix);
}

RecipientResult Stored() {
  RecipientResult result;
  result.outcome = Outcome::kDelivered;
  result.smtp_code = 250;
  result.enhanced = "2.0.0";
  result.text = "stored in mailbox";
  return result;
}

// A call that failed as a whole says nothing about a recipient: never a reason to bounce.
std::vector<absl::Status> AllTemporary(std::size_t count, const absl::Status& status) {
  if (!IsPermanent(status)) return std::vector<absl::Status>(count, status);
  return std::vector<absl::Status>(count, MakeFailure(Failure::kUnavailable, PeerText(status)));
}

bool MeansNoSuchAccount(const absl::Status& status) {
  const Failure failure = FailureOf(status);
  return failure == Failure::kNoSuchRecipient || failure == Failure::kNotFound;
}

// Of several answers for one address the one that has to be acted on: what can be tried again
// first, then what failed for good.
RecipientResult Worst(RecipientResult a, RecipientResult b) {
  const auto rank = [](const RecipientResult& r) {
    return r.outcome == Outcome::kDeferred ? 2 : r.outcome == Outcome::kBounced ? 1 : 0;
  };
  return rank(a) >= rank(b) ? a : b;
}

// RFC 3461 section 5.2.7: what was asked for goes on with the message. Of an alias of several
// addresses the sender hears that it was expanded, and then nothing of success any more.
RecipientOptions ForwardOptions(const JobRecipient& recipient, bool expanded) {
  RecipientOptions options = recipient.options;
  if (options.original_recipient.empty() && options.notify_given) {
    options.original_recipient = absl::StrCat("rfc822;", recipient.original_address);
  }
  if (expanded && options.success) {
    options.success = false;
    options.never = !options.failure && !options.delay;
  }
  return options;
}

}  // namespace

Task<LocalResult> LocalDelivery::Deliver(const Job& job) {
  LocalResult result;
  result.results.resize(job.recipients.size());
  Bodies bodies;
  std::vector<MailboxRecipient> known;
  std::vector<std::size_t> known_index;
  std::vector<std::size_t> unknown;
  for (std::size_t i = 0; i < job.recipients.size(); ++i) {
    const JobRecipient& recipient = job.recipients[i];
    if (!recipient.account) {
      unknown.push_back(i);
      continue;
    }
    MailboxRecipient mailbox;
    mailbox.account = recipient.account;
    mailbox.address = recipient.address;
    mailbox.prefix = PrefixFor(job, recipient.address);
    known.push_back(std::move(mailbox));
    known_index.push_back(i);
  }
  if (!known.empty()) {
    const std::vector<absl::Status> stored =
        co_await Store(job, job.key.tenant, std::move(known), bodies);
    for (std::size_t k = 0; k < stored.size(); ++k) {
      if (stored[k].ok()) {
        result.results[known_index[k]] = Stored();
      } else if (MeansNoSuchAccount(stored[k])) {
        unknown.push_back(known_index[k]);  // the address may lead elsewhere by now
      } else {
        result.results[known_index[k]] = ResultOf(stored[k]);
      }
    }
  }
  for (const std::size_t i : unknown) co_await DeliverResolved(job, i, bodies, result);
  co_return result;
}

Task<void> LocalDelivery::DeliverResolved(const Job& job, std::size_t index, Bodies& bodies,
                                          LocalResult& result) {
  const JobRecipient& recipient = job.recipients[index];
  RecipientResult& slot = result.results[index];
  const absl::StatusOr<Resolution> resolved = co_await directory_.Resolve(recipient.address);
  if (!resolved.ok()) {
    slot = ResultOf(resolved.status());
    slot.outcome = Outcome::kDeferred;
    co_return;
  }
  switch (resolved->kind) {
    case Resolution::Kind::kLocal:
      break;
    case Resolution::Kind::kNoSuchRecipient:
    case Resolution::Kind::kRemote:
      slot = ResultOf(MakeFailure(Failure::kNoSuchRecipient));
      co_return;
    case Resolution::Kind::kDisabled:
      slot = ResultOf(MakeFailure(Failure::kAccountDisabled));
      co_return;
  }
  std::vector<MailboxRecipient> accounts;
  OutboundMessage forward;
  const bool expanded = resolved->targets.size() > 1;
  for (const ResolvedTarget& target : resolved->targets) {
    if (target.account) {
      MailboxRecipient mailbox;
      mailbox.account = target.account;
      mailbox.address = target.address;
      mailbox.prefix = PrefixFor(job, target.address);
      accounts.push_back(std::move(mailbox));
    } else {
      OutboundRecipient out;
      out.address = target.remote_address;
      out.original_address = recipient.original_address;
      out.options = ForwardOptions(recipient, expanded);
      forward.recipients.push_back(std::move(out));
    }
  }
  slot = Stored();
  const std::vector<absl::Status> stored =
      co_await Store(job, resolved->tenant, std::move(accounts), bodies);
  for (const absl::Status& status : stored) {
    if (!status.ok()) slot = Worst(slot, ResultOf(status));
  }
  // A deferred address is resolved again, and what is stored now is known as a duplicate then; the
  // forward has no such memory, so it leaves only with the last answer.
  if (forward.recipients.empty() || slot.outcome == Outcome::kDeferred) co_return;
  if (stored.empty()) slot.text = "forwarded";
  slot.handover = expanded ? Handover::kExpanded : Handover::kForwarded;
  forward.tenant = job.key.tenant;
  forward.message_id = MessageId::Generate(clock_.Now());
  forward.reverse_path = job.reverse_path;
  forward.prefix = absl::StrCat("Delivered-To: ", recipient.address, "\r\n", job.prefix);
  forward.inline_body = job.inline_body;
  forward.stored_body = job.stored_body;
  forward.received_at = job.received_at;
  forward.body_is_8bit = job.body_is_8bit;
  forward.options = job.options;
  forward.options.hold_until.reset();
  result.forwards.push_back(std::move(forward));
  result.forwarded.push_back(index);
}

// One status a recipient.
Task<std::vector<absl::Status>> LocalDelivery::Store(const Job& job, TenantId tenant,
                                                     std::vector<MailboxRecipient> recipients,
                                                     Bodies& bodies) {
  const std::size_t count = recipients.size();
  if (count == 0) co_return std::vector<absl::Status>();
  MailboxDelivery delivery;
  delivery.tenant = tenant;
  delivery.message_id = job.message_id;
  delivery.reverse_path = job.reverse_path;
  delivery.recipients = std::move(recipients);
  delivery.received_at = job.received_at;
  delivery.resend_key = job.local_resend_key;
  if (!job.stored_body.has_value()) {
    delivery.inline_body = job.inline_body;
  } else {
    auto it = bodies.stored.find(tenant);
    if (it == bodies.stored.end()) {
      const std::unique_ptr<BodyReader> reader =
          queue_.ReadBody(job.key.tenant, *job.stored_body, 0);
      absl::StatusOr<BodyRef> copied = co_await mailbox_.PutBody(tenant, *reader);
      if (copied.ok() && copied->size != job.stored_body->size) {
        copied = MakeFailure(Failure::kStorageDown, "the body ended early");
      }
      if (!copied.ok()) co_return AllTemporary(count, copied.status());
      it = bodies.stored.emplace(tenant, *std::move(copied)).first;
    }
    delivery.stored_body = it->second;
  }
  absl::StatusOr<std::vector<absl::Status>> statuses =
      co_await mailbox_.Deliver(std::move(delivery));
  if (!statuses.ok()) co_return AllTemporary(count, statuses.status());
  if (statuses->size() != count) {
    co_return std::vector<absl::Status>(count, absl::InternalError("results do not match"));
  }
  co_return *std::move(statuses);
}

Task<absl::StatusOr<bool>> LocalDelivery::IsOurs(std::string domain, std::string address) {
  const absl::Time now = clock_.Now();
  const auto it = domains_.find(domain);
  if (it != domains_.end() && now - it->second.at < kDomainFresh) co_return it->second.ours;
  const absl::StatusOr<Resolution> resolved = co_await directory_.Resolve(std::move(address));
  if (!resolved.ok()) {
    const auto known = domains_.find(domain);
    if (known != domains_.end() && now - known->second.at < kDomainUsable) {
      co_return known->second.ours;
    }
    co_return resolved.status();
  }
  if (domains_.size() >= kMaxDomains) domains_.clear();
  Known& known = domains_[domain];
  known.ours = resolved->kind != Resolution::Kind::kRemote;
  known.at = now;
  co_return known.ours;
}

}  // namespace posthorn::delivery
