#ifndef POSTHORN_SERVICES_QUEUE_RETRY_POLICY_H_
#define POSTHORN_SERVICES_QUEUE_RETRY_POLICY_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "lib/base/ids.h"

namespace posthorn::queue {

// When the next attempt comes. RFC 5321 section 4.5.4.1 asks for at least 30 minutes after the
// first hour, and to give up after 4 to 5 days.
struct RetryPolicy {
  RetryPolicy();
  // Delays after the first, second, ... attempt; the last repeats.
  std::vector<absl::Duration> schedule;
  int jitter_percent = 20;
  absl::Duration expiry = absl::Hours(120);
  absl::Duration delay_warning = absl::Hours(4);  // zero: none

  // The delay after attempt `attempt` (from 1). `chance` in [0, 1) spreads it by up to
  // jitter_percent to both sides, so that what failed together doesn't come back together.
  absl::Duration DelayAfter(int attempt, double chance) const;
};

// A policy for the mail of one tenant (none: of all) to one destination: a domain, "*.domain" (all
// below it, not itself), "local" (mailboxes of this platform) or "*".
struct RetryRule {
  TenantId tenant;
  std::string destination;
  RetryPolicy policy;
};

// Which policy goes for which mail: that of the first rule that fits, else the general one.
struct RetryPolicies {
  RetryPolicy general;
  std::vector<RetryRule> rules;

  // `destination` as DestinationOf has it.
  const RetryPolicy& For(TenantId tenant, std::string_view destination) const;
};

}  // namespace posthorn::queue

#endif  // POSTHORN_SERVICES_QUEUE_RETRY_POLICY_H_
