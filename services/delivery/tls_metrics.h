#ifndef POSTHORN_SERVICES_DELIVERY_TLS_METRICS_H_
#define POSTHORN_SERVICES_DELIVERY_TLS_METRICS_H_

#include "services/delivery/tls_rule.h"

namespace posthorn::delivery {

// Counts connections by what the domain publishes and how TLS went, and logs what a policy that is
// being tested would have forbidden. Thread-safe.
class TlsMetrics final : public TlsObserver {
 public:
  void OnTlsSession(const TlsRule& rule, const TlsOutcome& outcome) override;
};

}  // namespace posthorn::delivery

#endif  // POSTHORN_SERVICES_DELIVERY_TLS_METRICS_H_
