#include "services/queue/retry_policy.h"

#include <algorithm>

namespace posthorn::queue {

RetryPolicy::RetryPolicy() {
  for (const int seconds : {60, 300, 900, 900, 1800, 3600, 7200, 14400}) {
    schedule.push_back(absl::Seconds(seconds));
  }
}

absl::Duration RetryPolicy::DelayAfter(int attempt, double chance) const {
  if (schedule.empty()) return absl::Minutes(30);
  const std::size_t index =
      std::min<std::size_t>(std::max(attempt, 1) - 1, schedule.size() - 1);
  return schedule[index] * (1 + (2 * chance - 1) * jitter_percent / 100.0);
}

namespace {

bool Matches(std::string_view pattern, std::string_view destination) {
  if (pattern == "*") return true;
  if (!pattern.starts_with("*.")) return destination == pattern;
  pattern.remove_prefix(1);
  return destination.size() > pattern.size() && destination.ends_with(pattern);
}

}  // namespace

const RetryPolicy& RetryPolicies::For(TenantId tenant, std::string_view destination) const {
  for (const RetryRule& rule : rules) {
    if (rule.tenant && rule.tenant != tenant) continue;
    if (Matches(rule.destination, destination)) return rule.policy;
  }
  return general;
}

}  // namespace posthorn::queue
