#ifndef POSTHORN_SERVICES_QUEUE_METRICS_H_
#define POSTHORN_SERVICES_QUEUE_METRICS_H_

#include "lib/telemetry/metrics.h"

namespace posthorn::queue {

// The queue's metrics, made once a process.
struct Metrics {
  static Metrics& Get();

  metrics::Counter& accepted;
  metrics::Counter& accepted_again;
  metrics::Counter& refused_full;
  metrics::Counter& leased;
  metrics::Counter& leases_expired;
  metrics::Counter& delivered;
  metrics::Counter& deferred;
  metrics::Counter& bounced;
  metrics::Counter& duplicates_possible;
  metrics::Counter& rebuilds;
  metrics::Counter& reconciled;
  metrics::Counter& schedule_errors;
  metrics::Counter& put_off;
  metrics::Counter& left_waiting;
  metrics::Counter& back_offs;
  metrics::Gauge& messages;
  metrics::Gauge& jobs;
  metrics::Gauge& jobs_leased;
  metrics::Gauge& jobs_deferred;
  metrics::Gauge& oldest_seconds;
};

}  // namespace posthorn::queue

#endif  // POSTHORN_SERVICES_QUEUE_METRICS_H_
