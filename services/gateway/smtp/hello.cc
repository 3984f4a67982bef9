#include "absl/strings/str_cat.h"
#include "services/gateway/smtp/handlers.h"

namespace posthorn::gateway {
namespace {

void Greet(SmtpContext& context, std::string name, bool esmtp) {
  context.helo = std::move(name);
  context.esmtp = esmtp;
  context.transaction.reset();  // RFC 5321 section 4.1.4
}

// RFC 5321 section 4.1.1.1, with the keywords of RFC 2920, 1870, 6152, 2034, 3207 and 4954.
smtp::Reply Extensions(const SmtpContext& context) {
  std::string text = absl::StrCat(context.deps.hostname, " greets ", context.helo,
                                  "\nPIPELINING\nSIZE ", context.limits.message_octets,
                                  "\n8BITMIME\nENHANCEDSTATUSCODES");
  if (context.deps.tls != nullptr && !context.stream.tls().active) text += "\nSTARTTLS";
  if (context.IsSubmission() && context.AuthenticationIsSafe() && !context.login.has_value()) {
    absl::StrAppend(&text, "\nAUTH");
    for (const std::string_view name : context.deps.authenticator->Offered(context.stream)) {
      absl::StrAppend(&text, " ", std::string(name));
    }
  }
  text += "\nHELP";
  return smtp::Reply(250, "", std::move(text));
}

}  // namespace

smtp::Reply Greeting(const SmtpContext& context) {
  return smtp::Reply(
      220, "", absl::StrCat(context.deps.hostname, context.IsLmtp() ? " LMTP" : " ESMTP",
                            " Posthorn"));
}

Task<smtp::Reply> HandleHello(smtp::HeloCommand command, SmtpContext& context) {
  Greet(context, std::move(command.name), false);
  co_return smtp::Reply(250, "", context.deps.hostname);
}

Task<smtp::Reply> HandleHello(smtp::EhloCommand command, SmtpContext& context) {
  Greet(context, std::move(command.name), true);
  co_return Extensions(context);
}

Task<smtp::Reply> HandleHello(smtp::LhloCommand command, SmtpContext& context) {
  Greet(context, std::move(command.name), true);
  co_return Extensions(context);
}

}  // namespace posthorn::gateway
