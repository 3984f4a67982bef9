#include "absl/strings/str_cat.h"
#include "lib/base/failure.h"
#include "services/gateway/smtp/handlers.h"

namespace posthorn::gateway {
namespace {

absl::Status BadParameter(std::string_view text) {
  return MakeFailure(Failure::kBadParameter, text);
}

// From what was said relative to now to what the queue keeps.
absl::StatusOr<EnvelopeOptions> OptionsOf(const smtp::MailCommand& command,
                                          const SmtpContext& context) {
  const absl::Time now = context.deps.clock->Now();
  EnvelopeOptions options;
  options.envelope_id = command.envelope_id;
  options.ret = command.ret;
  options.require_tls = command.require_tls;
  options.priority = command.priority.value_or(0);
  options.body_is_binary = command.body == smtp::BodyType::kBinaryMime;
  options.verp_delimiters = command.verp_delimiters;
  options.hold_until = command.hold_until;
  if (command.hold_for.has_value()) options.hold_until = now + absl::Seconds(*command.hold_for);
  if (options.hold_until.has_value() && *options.hold_until > now + context.limits.max_hold) {
    return BadParameter("Held longer than FUTURERELEASE allows");
  }
  if (command.deliver_by.has_value()) {
    options.deliver_by.emplace(now + absl::Seconds(command.deliver_by->seconds),
                               command.deliver_by->notify, command.deliver_by->trace);
    if (options.hold_until.has_value() && !options.deliver_by->notify &&
        options.deliver_by->by <= *options.hold_until) {
      return BadParameter("BY ends before the message is released");
    }
  }
  return options;
}

// RFC 6710 section 4.1: a priority above the common one is for those we know.
bool MayRaisePriority(const SmtpContext& context) {
  return context.login.has_value() || context.local.has_value() ||
         context.trusted_network() != nullptr;
}

absl::Status CheckSize(const smtp::MailCommand& command, const SmtpContext& context) {
  if (!command.size.has_value()) return absl::OkStatus();
  // RFC 1870 section 6.1: refused before a single octet travels.
  if (*command.size > static_cast<std::uint64_t>(context.message_octets())) {
    return MakeFailure(Failure::kMessageTooLarge);
  }
  if (*command.size > net::StagedBody::kMemoryOctets &&
      *command.size > context.deps.staging->free_octets()) {
    return MakeFailure(Failure::kInsufficientStorage);
  }
  return absl::OkStatus();
}

// The rate of this client: counts the message that begins.
absl::Status CheckRate(SmtpContext& context) {
  const int limit = context.options.messages_per_minute;
  if (limit == 0 ||
      context.shared.messages.Add(context.client().ip, context.deps.clock->Now()) <= limit) {
    return absl::OkStatus();
  }
  return MakeFailure(Failure::kRateLimited);
}

}  // namespace

absl::Status CheckLiteral(const smtp::Mailbox& mailbox, const SmtpContext& context) {
  if (!mailbox.HasLiteral() || context.options.domain_literals) return absl::OkStatus();
  return MakeFailure(Failure::kBadAddress, "Address literals are not accepted here");
}

Task<smtp::Reply> HandleMail(smtp::MailCommand command, SmtpContext& context) {
  // RFC 6409 section 4.3: a submission server wants to know who it is talking to.
  if (context.IsSubmission() && !context.login.has_value() && !context.local.has_value() &&
      context.trusted_network() == nullptr) {
    co_return smtp::ReplyFor(MakeFailure(Failure::kAuthenticationRequired));
  }
  absl::Status refusal = CheckSize(command, context);
  if (refusal.ok()) refusal = CheckLiteral(command.from, context);
  absl::StatusOr<EnvelopeOptions> options = OptionsOf(command, context);
  if (refusal.ok()) refusal = options.status();
  if (refusal.ok()) refusal = CheckRate(context);
  if (!refusal.ok()) co_return smtp::ReplyFor(refusal);
  std::string reverse_path = command.from.ToString();
  if (context.login.has_value()) {
    const absl::Status allowed = co_await context.deps.directory->AuthorizeSender(
        context.login->tenant, context.login->account, reverse_path);
    if (!allowed.ok()) co_return smtp::ReplyFor(allowed);
  }
  if (context.local.has_value()) {
    const absl::Status allowed = co_await AuthorizeLocalSender(reverse_path, context);
    if (!allowed.ok()) co_return smtp::ReplyFor(allowed);
  }
  context.transaction.emplace(std::move(reverse_path));
  context.transaction->declared_octets = command.size.value_or(0);
  context.transaction->options = *std::move(options);
  context.transaction->smtputf8 = command.smtputf8;
  if (context.transaction->options.priority > 0 && !MayRaisePriority(context)) {
    context.transaction->options.priority = 0;
    // RFC 6710 section 4.1: the new priority comes first.
    co_return smtp::Reply(250, "2.3.6", "0 is the priority of this message");
  }
  co_return smtp::Reply(250, "2.1.0", "Sender ok");
}

}  // namespace posthorn::gateway
