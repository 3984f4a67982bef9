#ifndef POSTHORN_SERVICES_DELIVERY_TLS_METRICS_H_
#define POSTHORN_SERVICES_DELIVERY_TLS_METRICS_H_

#include <string>
#include <string_view>

#include "services/delivery/tls_rule.h"

namespace posthorn::delivery {

// Counts connections by what the domain publishes and how TLS went, and logs what a policy that is
// being tested would have forbidden. Thread-safe.
class TlsMetrics final : public TlsObserver {
 public:
  void OnTlsSession(const TlsRule& rule, const std::string& host, const std::string& ip,
                    std::string_view result, std::string_view text) override;
};

}  // namespace posthorn::delivery

#endif  // POSTHORN_SERVICES_DELIVERY_TLS_METRICS_H_
