// XCLIENT, as Postfix documents it (XCLIENT_README): a trusted proxy says whom it speaks for. The
// session begins anew with a greeting; what was said before the command is forgotten.
#include <utility>

#include "absl/strings/numbers.h"
#include "lib/base/failure.h"
#include "lib/telemetry/log.h"
#include "services/gateway/smtp/handlers.h"

namespace posthorn::gateway {
namespace {

// Stands in no network, and is not loopback.
constexpr char kUnknownIp[] = "unknown";

}  // namespace

Task<smtp::Reply> HandleXclient(smtp::XclientCommand command, SmtpContext& context) {
  if (!context.MayUseXclient()) {
    co_return smtp::ReplyFor(
        MakeFailure(Failure::kPermissionDenied, "XCLIENT is not for this client"));
  }
  std::optional<Login> login;
  if (command.login.has_value() && !command.login->empty()) {
    Credentials credentials(*command.login, "", command.ip.value_or(context.client().ip), "smtp");
    absl::StatusOr<Login> found =
        co_await context.deps.directory->AuthenticateIdentity(std::move(credentials));
    if (!found.ok()) co_return smtp::ReplyFor(found.status());
    login = *std::move(found);
  }
  net::PeerAddress client = context.client();
  if (command.ip.has_value()) client.ip = command.ip->empty() ? kUnknownIp : *command.ip;
  if (command.port.has_value() && !absl::SimpleAtoi(*command.port, &client.port)) client.port = 0;
  ForgetClient(context);
  context.client_behind = std::move(client);
  context.trusted_tenant = TenantId();
  if (command.name.has_value()) context.client_name = *std::move(command.name);
  context.login = std::move(login);
  // DESTADDR and DESTPORT need nothing: policy is the listener's, and there is one.
  if (command.helo.has_value()) context.helo = *std::move(command.helo);
  context.esmtp = !context.helo.empty() && command.protocol != "SMTP";
  log::Debug("smtp", "client behind a proxy",
             {{"proxy", context.stream.peer().ip}, {"client", context.client().ip}});
  co_return Greeting(context);
}

}  // namespace posthorn::gateway
