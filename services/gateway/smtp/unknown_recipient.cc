// Whoever guesses addresses waits for the answers and is sent away in the end, whether it does so in
// one session or in many.
#include <algorithm>

#include "lib/base/executor.h"
#include "lib/base/failure.h"
#include "lib/telemetry/log.h"
#include "lib/telemetry/metrics.h"
#include "services/gateway/smtp/handlers.h"

namespace posthorn::gateway {
namespace {

metrics::Counter& Guessers() {
  static metrics::Counter& counter = metrics::MakeCounter(
      "posthorn_gateway_smtp_guessers_refused_total",
      "Sessions closed after too many unknown recipients. Rising: somebody tries addresses, or a "
      "list has many dead ones; the log names the clients.");
  return counter;
}

}  // namespace

Task<smtp::Reply> RefuseUnknownRecipient(SmtpContext& context) {
  const int by_session = ++context.unknown_recipients;
  // A mail server in front hands on what others sent to it: the guesses are not its own. Users of
  // this machine guess nothing.
  if (context.IsLmtp() || context.trusted_network() != nullptr || context.local.has_value()) {
    co_return smtp::ReplyFor(MakeFailure(Failure::kNoSuchRecipient));
  }
  const std::string& ip = context.client().ip;
  const int by_address =
      context.shared.unknown_recipients.Add(ip, context.deps.clock->Now());
  const int unknown = std::max(by_session, by_address);
  if (unknown > context.limits.unknown_recipients) {
    Guessers().Increment();
    log::Info("smtp", "too many unknown recipients", {{"client", ip}, {"recipients", unknown}});
    co_return smtp::ReplyFor(MakeFailure(Failure::kTooManyUnknownRecipients));
  }
  if (unknown > context.limits.unknown_recipients_at_once) {
    co_await SleepFor(context.limits.unknown_recipient_delay);
  }
  co_return smtp::ReplyFor(MakeFailure(Failure::kNoSuchRecipient));
}

}  // namespace posthorn::gateway
