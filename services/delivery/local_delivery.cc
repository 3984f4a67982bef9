#include "services/delivery/local_delivery.h"

#include <openssl/evp.h>

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "lib/base/failure.h"
#include "lib/smtp/header_scan.h"

namespace posthorn::delivery {
namespace {

constexpr absl::Duration kDomainFresh = absl::Seconds(30);
constexpr absl::Duration kDomainUsable = absl::Hours(1);
constexpr std::size_t kMaxDomains = 10000;
// How far Delivered-To is looked for in a body that is streamed.
constexpr std::uint64_t kHeaderOctets = 128 * 1024;

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

// Postfix's local(8) and Dovecot ask the same: a message that names a mailbox in Delivered-To has
// been there, and comes back.
bool HasBeenIn(const std::vector<std::string>& delivered_to, const std::string& address) {
  return !delivered_to.empty() && std::find(delivered_to.begin(), delivered_to.end(),
                                            absl::AsciiStrToLower(address)) != delivered_to.end();
}

// Of several answers for one address the one that has to be acted on: what can be tried again
// first, then what failed for good.
RecipientResult Worst(RecipientResult a, RecipientResult b) {
  const auto rank = [](const RecipientResult& r) {
    return r.outcome == Outcome::kDeferred ? 2 : r.outcome == Outcome::kBounced ? 1 : 0;
  };
  return rank(a) >= rank(b) ? a : b;
}

// The members of a list share a message, or, where they are many, one of these: its body is stored
// once for all of them.
constexpr std::size_t kMembersOfOneMessage = 10000;
constexpr std::size_t kListParts = 32;

// RFC 2919; none where the address has signs that cannot be in it.
std::string ListId(const std::string& address) {
  const std::size_t at = address.rfind('@');
  const bool plain = std::all_of(address.begin(), address.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_' ||
           c == '.' || c == '+' || c == '=' || c == '@';
  });
  if (at == std::string::npos || !plain || address.find('@') != at) return std::string();
  return absl::StrCat("List-Id: <", address.substr(0, at), ".", address.substr(at + 1), ">\r\n");
}

std::string Digest(const std::string& text) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int length = 0;
  EVP_Digest(text.data(), text.size(), digest, &length, EVP_sha256(), nullptr);
  return std::string(digest, digest + length);
}

// A second attempt finds what the first enqueued: the report of an attempt can come too late to
// count, and then the next one does the same work.
MessageId IdOfPart(const MessageId& message, const std::string& list, std::size_t part) {
  const std::string digest = Digest(absl::StrCat(message.bytes(), list, " ", part));
  // A UUIDv7 with the time of the message (RFC 9562 section 5.7).
  std::string bytes = message.bytes();
  for (std::size_t i = 6; i < bytes.size(); ++i) bytes[i] = digest[i];
  bytes[6] = static_cast<char>((digest[6] & 0x0f) | 0x70);
  bytes[8] = static_cast<char>((digest[8] & 0x3f) | 0x80);
  const absl::StatusOr<MessageId> id = MessageId::FromBytes(bytes);
  return id.ok() ? *id : message;
}

const std::string& AddressOf(const ResolvedTarget& target) {
  return target.account ? target.address : target.remote_address;
}

// By what each member is called, so that between two attempts nobody changes to a message that is
// enqueued already because another member came or went.
std::vector<std::vector<OutboundRecipient>> PartsOf(const ListExpansion& list, bool own_tenant) {
  const std::size_t parts = list.targets.size() > kMembersOfOneMessage ? kListParts : 1;
  std::vector<std::vector<OutboundRecipient>> result(parts);
  for (const ResolvedTarget& target : list.targets) {
    OutboundRecipient recipient;
    if (own_tenant) recipient.account = target.account;
    recipient.address = AddressOf(target);
    recipient.original_address = recipient.address;
    const auto part = static_cast<unsigned char>(Digest(recipient.address).front()) % parts;
    result[part].push_back(std::move(recipient));
  }
  return result;
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
  const absl::StatusOr<std::vector<std::string>> delivered_to = co_await DeliveredTo(job);
  if (!delivered_to.ok()) {
    for (RecipientResult& slot : result.results) {
      slot = ResultOf(delivered_to.status());
      slot.outcome = Outcome::kDeferred;
    }
    co_return result;
  }
  std::vector<MailboxRecipient> known;
  std::vector<std::size_t> known_index;
  std::vector<std::size_t> unknown;
  for (std::size_t i = 0; i < job.recipients.size(); ++i) {
    const JobRecipient& recipient = job.recipients[i];
    if (!recipient.account) {
      unknown.push_back(i);
      continue;
    }
    if (HasBeenIn(*delivered_to, recipient.address)) {
      result.results[i] = ResultOf(MakeFailure(Failure::kMailLoop));
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
  for (const std::size_t i : unknown) {
    co_await DeliverResolved(job, i, *delivered_to, bodies, result);
  }
  co_return result;
}

Task<absl::StatusOr<std::vector<std::string>>> LocalDelivery::DeliveredTo(const Job& job) {
  smtp::HeaderScan scan;
  scan.Feed(job.prefix);
  if (!job.stored_body.has_value()) {
    scan.Feed(job.inline_body);
  } else {
    const std::unique_ptr<BodyReader> reader =
        queue_.ReadBody(job.key.tenant, *job.stored_body, kHeaderOctets);
    while (!scan.done()) {
      const absl::StatusOr<std::string> piece = co_await reader->Next();
      if (!piece.ok()) co_return piece.status();
      if (piece->empty()) break;
      scan.Feed(*piece);
    }
  }
  scan.Finish();
  co_return scan.delivered_to();
}

// `job`, `delivered_to`, `bodies` and `result` belong to Deliver, which awaits this.
Task<void> LocalDelivery::DeliverResolved(const Job& job, std::size_t index,
                                          const std::vector<std::string>& delivered_to,
                                          Bodies& bodies, LocalResult& result) {
  const JobRecipient& recipient = job.recipients[index];
  RecipientResult& slot = result.results[index];
  if (HasBeenIn(delivered_to, recipient.address)) {
    slot = ResultOf(MakeFailure(Failure::kMailLoop));
    co_return;
  }
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
    case Resolution::Kind::kRefused:
      slot = ResultOf(resolved->refusal);
      co_return;
  }
  std::vector<MailboxRecipient> accounts;
  std::vector<std::string> lists;
  OutboundMessage forward;
  bool looped = false;
  const bool expanded = resolved->targets.size() > 1;
  for (const ResolvedTarget& target : resolved->targets) {
    if (!target.list_address.empty()) {
      lists.push_back(target.list_address);
    } else if (target.account && HasBeenIn(delivered_to, target.address)) {
      looped = true;
    } else if (target.account) {
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
  slot = looped ? ResultOf(MakeFailure(Failure::kMailLoop)) : Stored();
  const std::vector<absl::Status> stored =
      co_await Store(job, resolved->tenant, std::move(accounts), bodies);
  for (const absl::Status& status : stored) {
    if (!status.ok()) slot = Worst(slot, ResultOf(status));
  }
  for (std::string& list : lists) {
    std::string note;
    const absl::Status expanded = co_await Expand(job, std::move(list), note);
    if (!expanded.ok()) {
      slot = Worst(slot, ResultOf(expanded));
    } else if (slot.outcome == Outcome::kDelivered && stored.empty()) {
      slot.text = note;
    }
  }
  // A deferred address is resolved again, and what is stored now is known as a duplicate then; the
  // forward has no such memory, so it leaves only with the last answer.
  if (forward.recipients.empty() || slot.outcome == Outcome::kDeferred) co_return;
  if (stored.empty() && lists.empty()) slot.text = "forwarded";
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

Task<absl::Status> LocalDelivery::Expand(const Job& job, std::string list, std::string& note) {
  // A notification is no post: it would tell all members of what concerns the owner.
  if (job.reverse_path.empty()) co_return MakeFailure(Failure::kPostNotAllowed);
  const absl::StatusOr<ListExpansion> expansion = co_await directory_.ExpandList(list);
  if (!expansion.ok()) {
    co_return FailureOf(expansion.status()) == Failure::kNotFound
        ? MakeFailure(Failure::kNoSuchRecipient)
        : expansion.status();
  }
  const bool own_tenant = expansion->tenant == job.key.tenant;
  if (!own_tenant) {
    // Through another tenant's alias or list: its gateway has not asked this list's rule, and who
    // wrote has proven nothing to this tenant.
    const absl::Status allowed = co_await directory_.AuthorizePost(list, job.reverse_path);
    if (!allowed.ok()) co_return allowed;
  }
  const std::string prefix =
      absl::StrCat(ListId(expansion->address), "Delivered-To: ", expansion->address, "\r\n",
                   job.prefix);
  std::vector<std::vector<OutboundRecipient>> parts = PartsOf(*expansion, own_tenant);
  for (std::size_t part = 0; part < parts.size(); ++part) {
    if (parts[part].empty()) continue;
    OutboundMessage message;
    message.tenant = job.key.tenant;
    message.message_id = IdOfPart(job.message_id, expansion->address, part);
    message.reverse_path = expansion->bounces;
    message.recipients = std::move(parts[part]);
    message.prefix = prefix;
    message.inline_body = job.inline_body;
    message.stored_body = job.stored_body;
    message.received_at = job.received_at;
    message.body_is_8bit = job.body_is_8bit;
    const absl::Status queued = co_await queue_.Enqueue(std::move(message));
    // The members' message is ours: what is wrong with it is nothing to tell the sender of.
    if (!queued.ok()) {
      co_return IsPermanent(queued) ? MakeFailure(Failure::kUnavailable, PeerText(queued)) : queued;
    }
  }
  note = absl::StrCat("sent to ", expansion->targets.size(), " members");
  co_return absl::OkStatus();
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
