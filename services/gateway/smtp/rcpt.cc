// Who may send to whom. A recipient in a domain of this platform is anybody's to write to; any
// other only through a login or a trusted network. The whole local part belongs to the directory,
// so "u%remote", "remote!u" and a quoted "u@remote" are names that do not exist here, and source
// routes are ignored: <@local:u@remote> is u@remote (RFC 5321 appendix C).
#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "lib/base/failure.h"
#include "lib/telemetry/log.h"
#include "services/gateway/smtp/handlers.h"

namespace posthorn::gateway {
namespace {

// At least those of an envelope in the maildrop (lib/maildrop).
constexpr int kLeastLocalRecipients = 500;

// A tenant's network may send for anybody outside, but not for another tenant of this platform.
Task<absl::Status> CheckTrustedSender(SmtpContext& context, TenantId tenant) {
  SmtpTransaction& transaction = *context.transaction;
  // An address literal is nobody's domain.
  if (transaction.sender_checked || transaction.reverse_path.empty() ||
      transaction.reverse_path.back() == ']') {
    co_return absl::OkStatus();
  }
  const absl::StatusOr<Resolution> sender =
      co_await context.deps.directory->Resolve(transaction.reverse_path);
  if (!sender.ok()) co_return sender.status();
  if (sender->kind != AddressKind::kRemote && sender->tenant != tenant) {
    co_return MakeFailure(Failure::kSenderNotAllowed,
                          "Sender address belongs to another customer of this server");
  }
  transaction.sender_checked = true;
  co_return absl::OkStatus();
}

Task<smtp::Reply> AddRemote(std::string address, RecipientOptions options, SmtpContext& context) {
  const absl::StatusOr<TenantId> tenant = co_await RelayTenant(context);
  if (!tenant.ok()) co_return smtp::ReplyFor(tenant.status());
  if (!*tenant) co_return smtp::ReplyFor(MakeFailure(Failure::kRelayDenied));
  if (!context.login.has_value() && !context.local.has_value()) {
    const absl::Status allowed = co_await CheckTrustedSender(context, *tenant);
    if (!allowed.ok()) co_return smtp::ReplyFor(allowed);
  }
  std::vector<Target> targets;
  targets.emplace_back(AccountId(), address);
  context.transaction->recipients.emplace_back(std::move(address), *tenant, std::move(targets));
  context.transaction->recipients.back().options = std::move(options);
  co_return smtp::Reply(250, "2.1.5", "Recipient ok, will relay" + RecipientNote(context));
}

// Who may post is each list's own rule; an address of ours counts only from who has proven to be
// ours.
Task<absl::Status> CheckPosting(SmtpContext& context, const Resolution& resolution) {
  if (resolution.kind != AddressKind::kList) co_return absl::OkStatus();
  const absl::StatusOr<TenantId> proven = co_await RelayTenant(context);
  if (!proven.ok()) co_return proven.status();
  for (const Target& target : resolution.targets) {
    if (!target.is_list) continue;
    const absl::Status allowed = co_await context.deps.directory->AuthorizePost(
        target.address, context.transaction->reverse_path, *proven);
    if (!allowed.ok()) co_return allowed;
  }
  co_return absl::OkStatus();
}

// Before the message travels, from an answer that may be some seconds old: delivery has the exact
// one.
absl::Status CheckRoom(const SmtpContext& context, const Resolution& resolution) {
  // Who has left is not told; the queue tries until there is room, and tells the sender then.
  if (context.local.has_value() && !context.local->user.handover_key.empty()) {
    return absl::OkStatus();
  }
  if (resolution.targets.size() != 1 || resolution.over_quota.ok()) return absl::OkStatus();
  const std::optional<std::uint64_t>& room = resolution.targets.front().room;
  const bool full =
      room.has_value() && (*room == 0 || context.transaction->declared_octets > *room);
  return full ? resolution.over_quota : absl::OkStatus();
}

Task<smtp::Reply> AddLocal(std::string address, Resolution resolution, RecipientOptions options,
                           SmtpContext& context) {
  absl::Status allowed = co_await CheckPosting(context, resolution);
  if (allowed.ok()) allowed = CheckRoom(context, resolution);
  if (!allowed.ok()) co_return smtp::ReplyFor(allowed);
  context.transaction->recipients.emplace_back(std::move(address), resolution.tenant,
                                               std::move(resolution.targets));
  context.transaction->recipients.back().options = std::move(options);
  co_return smtp::Reply(250, "2.1.5", "Recipient ok" + RecipientNote(context));
}

// The domain of this host's own postmaster: the first that is one of the platform's among its name
// and the names above it ("mx.mail.example", "mail.example"); its name where none is.
Task<absl::StatusOr<std::string>> OwnDomain(std::string local, const SmtpContext& context) {
  std::string_view domain = context.deps.hostname;
  while (domain.find('.') != std::string_view::npos) {
    const absl::StatusOr<Resolution> resolution =
        co_await context.deps.directory->Resolve(absl::StrCat(local, "@", std::string(domain)));
    if (!resolution.ok()) co_return resolution.status();
    if (resolution->kind != AddressKind::kRemote) co_return std::string(domain);
    domain.remove_prefix(domain.find('.') + 1);
  }
  co_return context.deps.hostname;
}

// Is `domain` the literal of the address that the client is connected to?
bool IsThisHost(const std::string& domain, const SmtpContext& context) {
  const std::string& ip = context.stream.local().ip;
  const bool six = ip.find(':') != std::string::npos;
  return !ip.empty() &&
         absl::EqualsIgnoreCase(domain, absl::StrCat("[", six ? "IPv6:" : "", ip, "]"));
}

}  // namespace

std::string RecipientNote(const SmtpContext& context) {
  if (!context.verbose) return std::string();
  return ", it is #" + std::to_string(context.transaction->recipients.size());
}

Task<absl::StatusOr<TenantId>> RelayTenant(SmtpContext& context) {
  if (context.login.has_value()) co_return context.login->tenant;
  if (context.local.has_value()) co_return co_await LocalTenant(context);
  const TrustedNetwork* const network = context.trusted_network();
  if (network == nullptr) co_return TenantId();
  if (!context.trusted_tenant) {
    const absl::StatusOr<TenantId> tenant =
        co_await context.deps.directory->FindTenant(network->tenant());
    if (!tenant.ok()) {
      if (!IsPermanent(tenant.status())) co_return tenant.status();
      log::Warn("smtp", "trusted network names an unknown tenant", {{"tenant", network->tenant()}});
      co_return TenantId();
    }
    context.trusted_tenant = *tenant;
  }
  co_return context.trusted_tenant;
}

Task<smtp::Reply> HandleRcpt(smtp::RcptCommand command, SmtpContext& context) {
  SmtpTransaction& transaction = *context.transaction;
  // posthorn-sendmail makes its envelopes without asking, while nobody is there to be asked.
  const int most = context.local.has_value()
                       ? std::max(context.limits.recipients, kLeastLocalRecipients)
                       : context.limits.recipients;
  if (transaction.recipients.size() >= static_cast<std::size_t>(most)) {
    co_return smtp::ReplyFor(MakeFailure(Failure::kTooManyRecipients));
  }
  // RFC 6531 section 3.4: what the transaction did not announce may not come.
  if (command.NeedsSmtpUtf8() && !transaction.smtputf8) {
    co_return smtp::ReplyFor(MakeFailure(Failure::kNonAsciiAddress));
  }
  if (const absl::Status s = CheckLiteral(command.to, context); !s.ok()) {
    co_return smtp::ReplyFor(s);
  }
  // RFC 5321 section 4.5.1: "postmaster" alone is the postmaster here, and so is who is at this
  // address.
  if (command.to.domain.empty() || IsThisHost(command.to.domain, context)) {
    absl::StatusOr<std::string> own = co_await OwnDomain(command.to.local_part, context);
    if (!own.ok()) co_return smtp::ReplyFor(own.status());
    command.to.domain = *std::move(own);
  }
  RecipientOptions options;
  options.notify = command.notify;
  options.original_recipient = std::move(command.original_recipient);
  std::string address = command.to.ToString();
  if (command.to.HasLiteral()) {
    co_return co_await AddRemote(std::move(address), std::move(options), context);
  }
  absl::StatusOr<Resolution> resolution = co_await context.deps.directory->Resolve(address);
  if (!resolution.ok()) co_return smtp::ReplyFor(resolution.status());
  switch (resolution->kind) {
    case AddressKind::kLocal:
    case AddressKind::kList:
      if (resolution->targets.empty()) break;
      co_return co_await AddLocal(std::move(address), *std::move(resolution), std::move(options),
                                  context);
    case AddressKind::kRemote:
      co_return co_await AddRemote(std::move(address), std::move(options), context);
    case AddressKind::kDisabled:
    case AddressKind::kDomainSuspended:
      co_return smtp::ReplyFor(resolution->refusal.ok() ? MakeFailure(Failure::kAccountDisabled)
                                                        : resolution->refusal);
    case AddressKind::kNoSuchRecipient:
      break;
  }
  co_return co_await RefuseUnknownRecipient(context);
}

}  // namespace posthorn::gateway
