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

}  // namespace posthorn::queue
