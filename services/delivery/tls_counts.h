#ifndef POSTHORN_SERVICES_DELIVERY_TLS_COUNTS_H_
#define POSTHORN_SERVICES_DELIVERY_TLS_COUNTS_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <tuple>
#include <vector>

#include "lib/base/clock.h"
#include "services/delivery/tls_rule.h"

namespace posthorn::delivery {

// Sessions with one outcome on one UTC day, for a report to `domain` (RFC 8460).
struct TlsCount {
  int day = 0;  // since 1970-01-01
  std::string domain;
  TlsPolicyNote policy;
  TlsOutcome outcome;  // a success has nothing but the policy
  std::int64_t sessions = 0;
};

int DayOf(absl::Time time);

// Adds up how TLS went with domains that a report can be made for, and tells `next` of everything.
// What an operator's rule or a route decided is nobody's report. Thread-safe; `next` and `clock`
// outlive it.
class TlsCounts final : public TlsObserver {
 public:
  // More outcomes than this between two calls of Take are lost, and counted in a metric.
  static constexpr std::size_t kMaxOutcomes = 10000;

  TlsCounts(TlsObserver& next, const Clock& clock) : next_(next), clock_(clock) {}

  void OnTlsSession(const TlsRule& rule, const TlsOutcome& outcome) override;

  // What was counted since the last call, at most `limit` outcomes.
  std::vector<TlsCount> Take(std::size_t limit);

 private:
  // Day, domain, policy and outcome, but for the text of the last.
  using Key = std::tuple<int, std::string, std::string, std::string, std::string, std::string,
                         std::string, std::string>;

  TlsObserver& next_;
  const Clock& clock_;
  std::mutex mutex_;
  std::map<Key, TlsCount> counts_;  // guarded by mutex_
};

}  // namespace posthorn::delivery

#endif  // POSTHORN_SERVICES_DELIVERY_TLS_COUNTS_H_
