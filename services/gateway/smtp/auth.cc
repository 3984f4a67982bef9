// RFC 4954, with PLAIN (RFC 4616) and LOGIN (what old clients speak: two prompts).
#include "lib/base/failure.h"
#include "lib/telemetry/log.h"
#include "lib/telemetry/metrics.h"
#include "services/gateway/session/sasl.h"
#include "services/gateway/smtp/handlers.h"

namespace posthorn::gateway {
namespace {

constexpr char kAskName[] = "VXNlcm5hbWU6";      // "Username:"
constexpr char kAskPassword[] = "UGFzc3dvcmQ6";  // "Password:"

// RFC 4954 section 6 gives AUTH its own code for what cannot be decoded.
smtp::Reply CannotDecode() { return smtp::Reply(501, "5.5.2", "Cannot decode response"); }

void EndExchange(SmtpContext& context) {
  context.auth.reset();
  context.input = SmtpInput::kCommand;
}

Task<smtp::Reply> CheckPassword(NameAndPassword given, SmtpContext& context) {
  static metrics::Counter& failures = metrics::MakeCounter(
      "posthorn_gateway_smtp_authentication_failures_total",
      "Logins refused on submission. A steep rise: somebody is guessing passwords; see the log for "
      "addresses.");
  Credentials credentials(std::move(given.name), std::move(given.password),
                          context.client().ip, "smtp");
  const std::string name = credentials.login;
  absl::StatusOr<Login> login =
      co_await context.deps.directory->Authenticate(std::move(credentials));
  if (!login.ok()) {
    if (IsPermanent(login.status())) failures.Increment();
    log::Info("smtp", "authentication failed",
              {{"login", name}, {"client", context.client().ip}, {"error", login.status()}});
    // RFC 4954 section 4.7.3: what is temporary here is 454.
    co_return smtp::ReplyFor(IsPermanent(login.status())
                                 ? MakeFailure(Failure::kAuthenticationFailed)
                                 : MakeFailure(Failure::kAuthenticationBusy));
  }
  context.login = *std::move(login);
  co_return smtp::Reply(235, "2.7.0", "Authentication successful");
}

Task<smtp::Reply> ContinuePlain(std::string response, SmtpContext& context) {
  EndExchange(context);
  const absl::StatusOr<std::string> message = DecodeSaslBase64(response);
  if (!message.ok()) co_return CannotDecode();
  absl::StatusOr<NameAndPassword> given = ParseSaslPlain(*message);
  if (!given.ok()) {
    if (FailureOf(given.status()) == Failure::kSyntax) co_return CannotDecode();
    co_return smtp::ReplyFor(given.status());
  }
  NameAndPassword name_and_password = *std::move(given);
  co_return co_await CheckPassword(std::move(name_and_password), context);
}

Task<smtp::Reply> ContinueLogin(std::string response, SmtpContext& context) {
  absl::StatusOr<std::string> text = DecodeSaslBase64(response);
  if (!text.ok() || text->empty() || text->find('\0') != std::string::npos) {
    EndExchange(context);
    co_return CannotDecode();
  }
  if (!context.auth->login_name.has_value()) {
    context.auth->login_name = *std::move(text);
    co_return smtp::Reply(334, "", kAskPassword);
  }
  NameAndPassword given(*std::move(context.auth->login_name), *std::move(text));
  EndExchange(context);
  co_return co_await CheckPassword(std::move(given), context);
}

}  // namespace

Task<smtp::Reply> HandleAuth(smtp::AuthCommand command, SmtpContext& context) {
  if (context.login.has_value()) {
    co_return smtp::ReplyFor(MakeFailure(Failure::kBadSequence, "Already authenticated"));
  }
  if (!context.AuthenticationIsSafe()) {
    co_return smtp::ReplyFor(MakeFailure(Failure::kEncryptionRequired));
  }
  const bool plain = command.mechanism == "PLAIN";
  if (!plain && command.mechanism != "LOGIN") {
    co_return smtp::Reply(504, "5.5.4", "Authentication mechanism not supported");
  }
  SmtpAuthExchange exchange;
  exchange.plain = plain;
  context.auth = std::move(exchange);
  context.input = SmtpInput::kAuthResponse;
  if (!command.initial_response.has_value()) {
    co_return smtp::Reply(334, "", plain ? "" : kAskName);
  }
  std::string response = *std::move(command.initial_response);
  co_return co_await HandleAuthResponse(std::move(response), context);
}

Task<smtp::Reply> HandleAuthResponse(std::string line, SmtpContext& context) {
  if (line == "*") {
    EndExchange(context);
    co_return smtp::Reply(501, "5.7.0", "Authentication cancelled");
  }
  if (context.auth->plain) co_return co_await ContinuePlain(std::move(line), context);
  co_return co_await ContinueLogin(std::move(line), context);
}

}  // namespace posthorn::gateway
