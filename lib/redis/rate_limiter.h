#ifndef POSTHORN_LIB_REDIS_RATE_LIMITER_H_
#define POSTHORN_LIB_REDIS_RATE_LIMITER_H_

#include <cstdint>
#include <mutex>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "lib/base/clock.h"
#include "lib/base/task.h"

namespace posthorn::redis {

class Client;

// `tokens` each `period`, and up to `burst` at once after a time of rest. All three above zero.
struct Limit {
  Limit(std::int64_t tokens_in, absl::Duration period_in, std::int64_t burst_in)
      : tokens(tokens_in), period(period_in), burst(burst_in) {}
  std::int64_t tokens;
  absl::Duration period;
  std::int64_t burst;
};

struct Decision {
  bool allowed = true;
  std::int64_t remaining = 0;                            // tokens left now
  absl::Duration retry_after = absl::ZeroDuration();     // until the same would be allowed
  bool shared = true;  // false: Redis was away, this process decided by its share
};

struct RateLimiterOptions {
  // Keys are "<prefix>{<key>}": the braces keep a key in one slot of a cluster.
  std::string prefix = "posthorn:rate:";
  // How many processes share each limit: without Redis each allows its part of it.
  int replicas = 1;
  // Keys counted here while Redis is away; above it the idle ones go first.
  std::size_t max_local_keys = 100000;
};

// Token buckets shared by all replicas (as the generic cell rate algorithm: one number a key, which
// Redis drops by itself once the bucket is full again). One script touches one key, by the clock of
// Redis, so replicas whose clocks differ agree. With Redis away, or without a client, every process
// counts for itself with tokens and burst divided by `replicas`, starting from full buckets.
//
// The caller names the key space: "smtp:rcpt:<address>", "login:<account>". Thread-safe: Take may be
// awaited on any executor, which it continues on; it never fails and never waits longer than the
// client's command timeout. Client and clock outlive the limiter, the limiter its calls.
class RateLimiter {
 public:
  // `client` null: never shared.
  RateLimiter(Client* client, const Clock& clock, RateLimiterOptions options);

  // Takes `cost` tokens of the bucket `key`, all or none. A cost above the burst counts as the burst,
  // so that large things wait for a full bucket instead of for ever. 0 only looks.
  Task<Decision> Take(std::string key, Limit limit, std::int64_t cost = 1);

 private:
  Decision TakeLocally(const std::string& key, const Limit& limit, std::int64_t cost);

  Client* const client_;
  const Clock& clock_;
  const RateLimiterOptions options_;
  std::mutex mutex_;
  // When each bucket is full again; guarded by mutex_.
  absl::flat_hash_map<std::string, absl::Time> local_;
};

}  // namespace posthorn::redis

#endif  // POSTHORN_LIB_REDIS_RATE_LIMITER_H_
