#include "services/queue/traffic_scripts.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace posthorn::queue {
namespace {

constexpr char kShared[] = R"lua(
local key, waiting = KEYS[1], KEYS[2]
local now, recovery = tonumber(ARGV[1]), tonumber(ARGV[2])
local kDay = 86400000
-- How often the rate is halved now: one less for each time of recovery that has passed.
local function level_of(level, since)
  level = tonumber(level or '0')
  if level == 0 then return 0 end
  local recovered = math.floor((now - tonumber(since or '0')) / recovery)
  return math.max(0, math.min(level, level - recovered))
end
-- Who waits for a limit gets a turn behind those of the same tenant, at a pace that the limit can
-- keep, so that each job comes back about once. Tenants share the pace.
local function turn(tenant, from, pace, horizon, chance)
  redis.call('ZREMRANGEBYSCORE', waiting, '-inf', now)
  local mine = redis.call('ZSCORE', waiting, tenant)
  local tenants = redis.call('ZCARD', waiting) + (mine and 0 or 1)
  local at = from
  if mine then at = math.max(from, tonumber(mine) + pace * tenants) end
  if at > now + horizon then
    return now + horizon * (0.8 + 0.2 * chance)
  end
  redis.call('ZADD', waiting, string.format('%.3f', at), tenant)
  redis.call('PEXPIRE', waiting, kDay)
  return at
end
)lua";

// Braces would name another slot.
std::string Tagged(absl::string_view prefix, absl::string_view name) {
  return absl::StrCat(prefix, "{", absl::StrReplaceAll(name, {{"{", "("}, {"}", ")"}}), "}");
}

}  // namespace

std::string SiteKey(absl::string_view site) { return Tagged("posthorn:traffic:", site); }
std::string SourceKey(absl::string_view source, absl::string_view day) {
  return absl::StrCat(Tagged("posthorn:source:", source), ":", day);
}

const redis::Script& AdmitScript() {
  static const auto* const script = new redis::Script(std::string(kShared) + R"lua(
local horizon, chance, tenant = tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]
local rule, domain = ARGV[6], ARGV[7]
local s = redis.call('HMGET', key, 'level', 'since', 'paused', 'why', 'dead', 'probe', 'probing')
local level = level_of(s[1], s[2])
local result = {1, 0, '', 0, 0, level > 0 and 1 or 0}
for i = 13, #ARGV do
  local avoided = tonumber(redis.call('HGET', key, 'a:' .. ARGV[i]) or '0')
  result[#result + 1] = avoided > now and string.format('%.0f', avoided) or '0'
  if avoided > now then result[6] = 1 end
end
local function refuse(at, why, whole)
  if whole and domain ~= '' and redis.call('HLEN', key) < 300 then
    redis.call('HSET', key, 'd:' .. domain, 1)
  end
  result[1], result[2], result[3] = 0, string.format('%.0f', math.ceil(at)), why
  result[5], result[6] = whole and 1 or 0, 1
  return result
end
local paused = tonumber(s[3] or '0')
if paused > now then return refuse(paused, s[4] or '', true) end
if s[5] then
  local probe, probing = tonumber(s[6] or '0'), tonumber(s[7] or '0')
  if now < probe then return refuse(probe, s[4] or '', true) end
  if now < probing then return refuse(math.min(probing, now + 20000), s[4] or '', true) end
  redis.call('HSET', key, 'probing', ARGV[12])
  result[4], result[6] = 1, 1
end
-- The last is what may go at once: enough that looking at the schedule now and then keeps up.
local rates = {{tonumber(ARGV[8]), 1000, ':s', 2}, {tonumber(ARGV[9]), 60000, ':m', 10},
               {tonumber(ARGV[10]), 3600000, ':h', 10}}
local limited = rates[1][1] + rates[2][1] + rates[3][1] > 0
if not limited and level > 0 then rates[1][1] = tonumber(ARGV[11]) end
local slow, free_at, pace, taken = 2 ^ level, now, 0, {}
for _, rate in ipairs(rates) do
  if rate[1] > 0 then
    local interval = rate[2] / rate[1] * slow
    local burst = math.max(1, math.floor(rate[1] / slow / rate[4]))
    local field = 'r:' .. rule .. rate[3]
    local full = math.max(now, tonumber(redis.call('HGET', key, field) or '0'))
    local at = full + interval - interval * burst
    -- What is due within the millisecond is due.
    if at > now + 0.5 then
      free_at = math.max(free_at, at)
      pace = math.max(pace, interval)
    end
    taken[#taken + 1] = field
    taken[#taken + 1] = string.format('%.3f', full + interval)
  end
end
if pace > 0 then
  if result[4] == 1 then redis.call('HDEL', key, 'probing') end
  return refuse(turn(tenant, free_at, pace, horizon, chance), '', false)
end
if #taken > 0 then
  redis.call('HSET', key, unpack(taken))
  redis.call('HSET', key, 'l:' .. rule, ARGV[8] .. ' ' .. ARGV[9] .. ' ' .. ARGV[10])
  result[6] = 1
end
if result[6] == 1 then redis.call('PEXPIRE', key, kDay) end
return result
)lua");
  return *script;
}

const redis::Script& TakeConnectionScript() {
  static const auto* const script = new redis::Script(std::string(kShared) + R"lua(
local horizon, chance, tenant = tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]
local connections, token = KEYS[3], ARGV[6]
local s = redis.call('HMGET', key, 'level', 'since')
local limit = math.max(1, math.floor(tonumber(ARGV[7]) / 2 ^ level_of(s[1], s[2])))
redis.call('ZREMRANGEBYSCORE', connections, '-inf', now)
redis.call('HSET', key, 'n:' .. ARGV[9], ARGV[7])
redis.call('PEXPIRE', key, kDay)
if not redis.call('ZSCORE', connections, token) and redis.call('ZCARD', connections) >= limit then
  -- Ten a second for each connection keep it busy, and the waiting ones from asking all the time.
  local pace = 100 / limit
  local at = turn(tenant, now + 500 + 500 * chance, pace, horizon, chance)
  return {0, string.format('%.0f', math.ceil(at))}
end
redis.call('ZADD', connections, ARGV[8], token)
redis.call('PEXPIRE', connections, kDay)
return {1, '0'}
)lua");
  return *script;
}

const redis::Script& NoteScript() {
  static const auto* const script = new redis::Script(std::string(kShared) + R"lua(
local action, duration, reason, source = ARGV[3], tonumber(ARGV[4]), ARGV[5], ARGV[6]
local s = redis.call('HMGET', key, 'level', 'since', 'paused', 'dead', 'probe')
local level = level_of(s[1], s[2])
if action == '1' then
  -- What was under way together says the same thing once.
  local quiet = math.min(5000, recovery / 4)
  if tonumber(s[1] or '0') > 0 and now - tonumber(s[2]) < quiet then return 0 end
  redis.call('HSET', key, 'level', math.min(level + 1, 10), 'since', now, 'why', reason)
elseif action == '2' then
  local paused = math.max(now + duration, tonumber(s[3] or '0'))
  -- Begins slowly afterwards.
  redis.call('HSET', key, 'paused', string.format('%.0f', paused), 'why', reason,
             'level', math.max(level, 2), 'since', string.format('%.0f', paused))
elseif action == '3' then
  redis.call('HSET', key, 'a:' .. source, string.format('%.0f', now + duration), 'why', reason)
elseif action == '4' then
  local dead = tonumber(s[4] or '0')
  if dead > 0 and ARGV[7] ~= '1' then return 0 end
  local delay = ARGV[math.min(9 + dead, #ARGV)]
  redis.call('HSET', key, 'dead', dead + 1, 'probe', string.format('%.0f', now + delay),
             'why', reason)
  redis.call('HDEL', key, 'probing')
elseif action == '5' then
  redis.call('HDEL', key, 'dead', 'probe', 'probing')
end
-- Mail that has failed waits, too.
if action ~= '5' and ARGV[8] ~= '' and redis.call('HLEN', key) < 300 then
  redis.call('HSET', key, 'd:' .. ARGV[8], 1)
end
redis.call('PEXPIRE', key, kDay)
return 1
)lua");
  return *script;
}

const redis::Script& TakeOfDayScript() {
  static const auto* const script = new redis::Script(R"lua(
local taken = tonumber(redis.call('GET', KEYS[1]) or '0')
if taken >= tonumber(ARGV[1]) then return 0 end
redis.call('INCR', KEYS[1])
redis.call('EXPIRE', KEYS[1], 172800)
return 1
)lua");
  return *script;
}

const redis::Script& GiveBackOfDayScript() {
  static const auto* const script = new redis::Script(R"lua(
if tonumber(redis.call('GET', KEYS[1]) or '0') > 0 then redis.call('DECR', KEYS[1]) end
return 1
)lua");
  return *script;
}

const redis::Script& ProbeNowScript() {
  static const auto* const script = new redis::Script(R"lua(
if redis.call('HEXISTS', KEYS[1], 'dead') == 0 then return 0 end
redis.call('HSET', KEYS[1], 'probe', ARGV[1])
redis.call('HDEL', KEYS[1], 'probing')
return 1
)lua");
  return *script;
}

const redis::Script& ClearScript() {
  static const auto* const script = new redis::Script(R"lua(
local domains = {}
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
  local kind = string.sub(field, 1, 2)
  if kind == 'd:' then domains[#domains + 1] = string.sub(field, 3) end
  if kind ~= 'r:' and kind ~= 'l:' and kind ~= 'n:' then redis.call('HDEL', KEYS[1], field) end
end
return domains
)lua");
  return *script;
}

}  // namespace posthorn::queue
