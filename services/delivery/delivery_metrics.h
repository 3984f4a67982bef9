#ifndef POSTHORN_SERVICES_DELIVERY_DELIVERY_METRICS_H_
#define POSTHORN_SERVICES_DELIVERY_DELIVERY_METRICS_H_

#include "lib/telemetry/metrics.h"

namespace posthorn::delivery {

// What the delivery service counts; each is explained where it is made.
struct DeliveryMetrics {
  metrics::Counter& delivered_remote;
  metrics::Counter& delivered_local;
  metrics::Counter& deferred;
  metrics::Counter& bounced;
  metrics::Counter& notifications;
  metrics::Counter& possible_duplicates;
  metrics::Counter& connections;
  metrics::Counter& connect_failures;
  metrics::Counter& tls_failures;
  metrics::Counter& login_failures;
  metrics::Counter& sts_failures;
  metrics::Counter& leases_lost;
  metrics::Counter& report_retries;
  metrics::Counter& waits;
  metrics::Gauge& jobs;
};
DeliveryMetrics& Metrics();

}  // namespace posthorn::delivery

#endif  // POSTHORN_SERVICES_DELIVERY_DELIVERY_METRICS_H_
