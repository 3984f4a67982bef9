#include "lib/redis/rate_limiter.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "lib/redis/client.h"

namespace posthorn::redis {
namespace {

// Microseconds throughout: they fit into Lua's numbers exactly. The key holds when the bucket is
// full again.
const Script& TakeScript() {
  static const Script* const script = new Script(R"lua(
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local interval = tonumber(ARGV[1])
local tolerance = tonumber(ARGV[2])
local cost = tonumber(ARGV[3])
local full = tonumber(redis.call('GET', KEYS[1]) or '0')
if full < now then full = now end
local after = full + cost
local wait = after - tolerance - now
if wait > 0 then
  return {0, math.max(0, math.floor((tolerance - (full - now)) / interval)), math.ceil(wait)}
end
if cost > 0 then
  redis.call('SET', KEYS[1], string.format('%.0f', after), 'PX',
             math.ceil((after - now) / 1000) + 1)
end
return {1, math.max(0, math.floor((tolerance - (after - now)) / interval)), 0}
)lua");
  return *script;
}

std::string Micros(absl::Duration duration) {
  return absl::StrCat(static_cast<std::int64_t>(std::ceil(absl::ToDoubleMicroseconds(duration))));
}

}  // namespace

RateLimiter::RateLimiter(Client* client, const Clock& clock, RateLimiterOptions options)
    : client_(client), clock_(clock), options_(std::move(options)) {}

Task<Decision> RateLimiter::Take(std::string key, Limit limit, std::int64_t cost) {
  limit.burst = std::max<std::int64_t>(1, limit.burst);
  limit.tokens = std::max<std::int64_t>(1, limit.tokens);
  cost = std::clamp<std::int64_t>(cost, 0, limit.burst);
  if (client_ == nullptr) co_return TakeLocally(key, limit, cost);
  // At least a microsecond a token: a million of them a second is no limit any more.
  const absl::Duration interval =
      std::max(limit.period / limit.tokens, absl::Microseconds(1));
  std::vector<std::string> keys;
  keys.push_back(absl::StrCat(options_.prefix, "{", key, "}"));
  std::vector<std::string> args;
  args.push_back(Micros(interval));
  args.push_back(Micros(interval * limit.burst));
  args.push_back(Micros(interval * cost));
  const absl::StatusOr<Reply> reply =
      co_await client_->Run(TakeScript(), std::move(keys), std::move(args));
  if (!reply.ok() || reply->elements.size() != 3) co_return TakeLocally(key, limit, cost);
  Decision decision;
  decision.allowed = reply->elements[0].integer == 1;
  decision.remaining = reply->elements[1].integer;
  decision.retry_after = absl::Microseconds(reply->elements[2].integer);
  co_return decision;
}

Decision RateLimiter::TakeLocally(const std::string& key, const Limit& limit, std::int64_t cost) {
  const int replicas = std::max(1, options_.replicas);
  const std::int64_t burst = std::max<std::int64_t>(1, limit.burst / replicas);
  const absl::Duration interval = limit.period / limit.tokens * replicas;
  const absl::Duration tolerance = interval * burst;
  const absl::Duration price = interval * std::min(cost, burst);
  const absl::Time now = clock_.Now();
  Decision decision;
  decision.shared = false;
  std::lock_guard lock(mutex_);
  if (local_.size() >= options_.max_local_keys) {
    absl::erase_if(local_, [now](const auto& entry) { return entry.second <= now; });
    if (local_.size() >= options_.max_local_keys) local_.clear();
  }
  const auto found = local_.find(key);
  const absl::Time full = found == local_.end() ? now : std::max(found->second, now);
  const absl::Time after = full + price;
  decision.allowed = after - now <= tolerance;
  const absl::Time used = decision.allowed ? after : full;
  absl::Duration rest;
  decision.remaining =
      std::max<std::int64_t>(0, absl::IDivDuration(tolerance - (used - now), interval, &rest));
  decision.retry_after = decision.allowed ? absl::ZeroDuration() : after - now - tolerance;
  if (decision.allowed && cost > 0) local_[key] = after;
  return decision;
}

}  // namespace posthorn::redis
