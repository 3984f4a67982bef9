#include "lib/base/failure.h"
#include "services/gateway/smtp/handlers.h"

namespace posthorn::gateway {

Task<smtp::Reply> HandleMail(smtp::MailCommand command, SmtpContext& context) {
  // RFC 6409 section 4.3: a submission server wants to know who it is talking to.
  if (context.IsSubmission() && !context.login.has_value() &&
      context.trusted_network() == nullptr) {
    co_return smtp::ReplyFor(MakeFailure(Failure::kAuthenticationRequired));
  }
  // RFC 1870 section 6.1: refused before a single octet travels.
  if (command.size.has_value() &&
      *command.size > static_cast<std::uint64_t>(context.limits.message_octets)) {
    co_return smtp::ReplyFor(MakeFailure(Failure::kMessageTooLarge));
  }
  std::string reverse_path = command.from.ToString();
  if (context.login.has_value()) {
    const absl::Status allowed = co_await context.deps.directory->AuthorizeSender(
        context.login->tenant, context.login->account, reverse_path);
    if (!allowed.ok()) co_return smtp::ReplyFor(allowed);
  }
  context.transaction.emplace(std::move(reverse_path));
  context.transaction->declared_octets = command.size.value_or(0);
  co_return smtp::Reply(250, "2.1.0", "Sender ok");
}

}  // namespace posthorn::gateway
