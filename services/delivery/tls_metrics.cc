#include "services/delivery/tls_metrics.h"

#include "lib/telemetry/log.h"
#include "lib/telemetry/metrics.h"

namespace posthorn::delivery {

void TlsMetrics::OnTlsSession(const TlsRule& rule, const TlsOutcome& outcome) {
  metrics::MakeCounter(
      "posthorn_delivery_tls_sessions_total",
      "Connections by what the recipients' domain publishes (tlsa, sts, no-policy-found; configured: "
      "a route or rule decided) and the result of TLS in the words of RFC 8460. Failures of many "
      "domains at once: check this machine's authorities, clock and resolver.",
      {{"policy", rule.note == nullptr ? "configured" : rule.note->type},
       {"result", outcome.result.empty() ? "successful" : outcome.result}})
      .Increment();
  if (!outcome.result.empty() && rule.observe) {
    log::Info("delivery", "a policy in testing would have kept mail from the server",
              {{"host", outcome.host}, {"result", outcome.result}, {"error", outcome.text}});
  }
}

}  // namespace posthorn::delivery
