#include "services/queue/schedule.h"

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "lib/base/one_shot.h"
#include "services/queue/metrics.h"

namespace posthorn::queue {
namespace {

using redis::Reply;

// What the scripts share. A shard in which no job has a priority pays for one EXISTS.
constexpr char kShared[] = R"lua(
local tenants, lease, tag = KEYS[1], KEYS[2], ARGV[1]
local prio, turns = tag .. ':prio', tag .. ':turns'
local some = redis.call('EXISTS', prio) == 1
-- Where the job waits. given '0': by what is known.
local function queue_of(tenant, job, given)
  local level = given
  if given ~= '0' then
    redis.call('HSET', prio, tenant .. ':' .. job, given)
    some = true
  else
    level = some and redis.call('HGET', prio, tenant .. ':' .. job)
  end
  return level and tag .. ':t:' .. tenant .. ':' .. level or tag .. ':t:' .. tenant
end
local function wait(tenant, queue, job, at)
  redis.call('ZADD', queue, at, job)
  local level = some and string.match(queue, ':t:%d+:(-?%d+)$')
  if level then redis.call('ZADD', tag .. ':p:' .. tenant, -tonumber(level), level) end
end
-- The queues of a tenant, by priority.
local function queues_of(tenant)
  local plain = tag .. ':t:' .. tenant
  if not some then return {plain} end
  local queues, placed = {}, false
  for _, level in ipairs(redis.call('ZRANGE', tag .. ':p:' .. tenant, 0, -1)) do
    if not placed and tonumber(level) < 0 then
      queues[#queues + 1] = plain
      placed = true
    end
    queues[#queues + 1] = plain .. ':' .. level
  end
  if not placed then queues[#queues + 1] = plain end
  return queues
end
-- Brings the index of tenants up to date: first comes whose turn was longest ago.
local function index(tenant)
  local earliest = nil
  for _, queue in ipairs(queues_of(tenant)) do
    local head = redis.call('ZRANGE', queue, 0, 0, 'WITHSCORES')[2]
    if head and (not earliest or tonumber(head) < tonumber(earliest)) then earliest = head end
    local level = not head and string.match(queue, ':t:%d+:(-?%d+)$')
    if level then redis.call('ZREM', tag .. ':p:' .. tenant, level) end
  end
  if earliest then
    local turn = redis.call('HGET', turns, tenant)
    if turn and tonumber(turn) > tonumber(earliest) then earliest = turn end
    redis.call('ZADD', tenants, earliest, tenant)
  else
    redis.call('ZREM', tenants, tenant)
    redis.call('HDEL', turns, tenant)
  end
end
-- Jobs whose leases have ended are due again. How many.
local function end_leases(now)
  local expired = redis.call('ZRANGEBYSCORE', lease, '-inf', now, 'LIMIT', 0, 500)
  for _, member in ipairs(expired) do
    local tenant, job = string.match(member, '^(%d+):(%d+)$')
    redis.call('ZREM', lease, member)
    if tenant then
      wait(tenant, queue_of(tenant, job, '0'), job, now)
      redis.call('ZADD', tenants, 'LT', now, tenant)
    end
  end
  return #expired
end
)lua";

// KEYS: tenants, lease. ARGV: tag, now, channel, shard, then kind, tenant, job, time and priority
// for each change. The index of tenants is brought up to date once for each tenant that was touched.
const redis::Script& ApplyScript() {
  static const auto* const script = new redis::Script(std::string(kShared) + R"lua(
local now = tonumber(ARGV[2])
local touched, news, due = {}, 0, false
for i = 5, #ARGV, 5 do
  local kind, tenant, job, at = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  local queue, member = queue_of(tenant, job, ARGV[i + 4]), tenant .. ':' .. job
  if kind == 'S' then
    redis.call('ZREM', lease, member)
    wait(tenant, queue, job, at)
    touched[tenant] = true
    due = due or tonumber(at) <= now
  elseif kind == 'A' then
    if not redis.call('ZSCORE', lease, member) then
      local known = redis.call('ZSCORE', queue, job)
      -- Whether it is known or not: a script that broke off, as when its slot began to move, may have
      -- left the index behind.
      touched[tenant] = true
      if not known or tonumber(known) > tonumber(at) then
        wait(tenant, queue, job, at)
        if not known then news = news + 1 end
        due = due or tonumber(at) <= now
      end
    end
  elseif kind == 'H' then
    redis.call('ZADD', lease, at, member)
    if redis.call('ZREM', queue, job) == 1 then touched[tenant] = true end
  else
    redis.call('ZREM', lease, member)
    if redis.call('ZREM', queue, job) == 1 then touched[tenant] = true end
    if some then redis.call('HDEL', prio, member) end
  end
end
for tenant in pairs(touched) do index(tenant) end
if due then redis.call('PUBLISH', ARGV[3], ARGV[4]) end
return news
)lua", redis::Script::Keys::kWholeSlot);
  return *script;
}

// KEYS: tenants, lease. ARGV: tag, now, end of the lease, how many, of which tenant ('': of all), then
// tenant and weight of those whose weight is not 1. Leases that have ended go back first. Two rounds: shares by weight, then
// what shares have left over. A turn is a time, made unique by a count, and ends when a tenant has
// had as many jobs as its weight says.
const redis::Script& PopScript() {
  static const auto* const script = new redis::Script(std::string(kShared) + R"lua(
local now, lease_end, wanted = ARGV[2], ARGV[3], tonumber(ARGV[4])
local touched, expired = {}, end_leases(now)
local ready = ARGV[5] ~= '' and {ARGV[5]} or
  redis.call('ZRANGEBYSCORE', tenants, '-inf', now + 1, 'LIMIT', 0, math.min(wanted, 256))
local weights, weight_of_all, most = {}, 0, wanted
for i = 6, #ARGV, 2 do weights[ARGV[i]] = tonumber(ARGV[i + 1]) end
for _, tenant in ipairs(ready) do weight_of_all = weight_of_all + (weights[tenant] or 1) end
local result = {expired}
for round = 1, 2 do
  for _, tenant in ipairs(ready) do
    local share = round == 2 and wanted
      or math.max(1, math.floor(most * (weights[tenant] or 1) / weight_of_all))
    local left = math.min(share, wanted)
    for _, queue in ipairs(left > 0 and queues_of(tenant) or {}) do
      local jobs = left > 0 and
        redis.call('ZRANGEBYSCORE', queue, '-inf', now, 'LIMIT', 0, left) or {}
      if #jobs > 0 then
        redis.call('ZREM', queue, unpack(jobs))
        local leases = {}
        for _, job in ipairs(jobs) do
          leases[#leases + 1] = lease_end
          leases[#leases + 1] = tenant .. ':' .. job
          result[#result + 1] = tenant
          result[#result + 1] = job
        end
        redis.call('ZADD', lease, unpack(leases))
        left = left - #jobs
        wanted = wanted - #jobs
        touched[tenant] = (touched[tenant] or 0) + #jobs
      end
    end
  end
end
local count = redis.call('INCR', tag .. ':count') % 1000
for tenant, taken in pairs(touched) do
  local weight = weights[tenant]
  if not weight or redis.call('HINCRBY', tag .. ':had', tenant, taken) >= weight then
    redis.call('HSET', turns, tenant, string.format('%.3f', now + count / 1000))
    if weight then redis.call('HDEL', tag .. ':had', tenant) end
  end
  index(tenant)
end
return result
)lua", redis::Script::Keys::kWholeSlot);
  return *script;
}

// KEYS: tenants, lease. ARGV: tag, now. Leases that have ended go back first.
const redis::Script& WhoIsDueScript() {
  static const auto* const script = new redis::Script(std::string(kShared) + R"lua(
local result = {tostring(end_leases(ARGV[2]))}
for _, tenant in ipairs(redis.call('ZRANGEBYSCORE', tenants, '-inf', ARGV[2], 'LIMIT', 0, 64)) do
  result[#result + 1] = tenant
end
return result
)lua", redis::Script::Keys::kWholeSlot);
  return *script;
}

// KEYS: tenants, lease, epoch. ARGV: now.
const redis::Script& LookScript() {
  static const auto* const script = new redis::Script(R"lua(
local due = #redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, 1)
  + #redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', ARGV[1], 'LIMIT', 0, 1)
return {redis.call('EXISTS', KEYS[3]), due}
)lua");
  return *script;
}

// KEYS: the lock. ARGV: replica, milliseconds.
const redis::Script& HoldScript() {
  static const auto* const script = new redis::Script(R"lua(
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
)lua");
  return *script;
}

std::string Tag(int shard) { return absl::StrCat("{q", shard, "}"); }
std::string Millis(absl::Time time) { return absl::StrCat(absl::ToUnixMillis(time)); }

// Rounded up: a job must not be popped before PostgreSQL finds it due.
std::string DueMillis(absl::Time time) {
  return absl::StrCat(absl::ToUnixMillis(time + absl::Milliseconds(1) - absl::Nanoseconds(1)));
}

// Awaits several calls that run at the same time on the current executor.
struct Fleet {
  explicit Fleet(std::size_t size) : replies(size), left(size) {}
  std::vector<absl::StatusOr<Reply>> replies;
  std::size_t left;
  OneShot<bool> done;
};

Task<void> Sail(std::shared_ptr<Fleet> fleet, std::size_t index,
                Task<absl::StatusOr<Reply>> call) {
  fleet->replies[index] = co_await std::move(call);
  if (--fleet->left == 0) fleet->done.Set(true);
}

Task<std::vector<absl::StatusOr<Reply>>> All(std::vector<Task<absl::StatusOr<Reply>>> calls) {
  if (calls.empty()) co_return std::vector<absl::StatusOr<Reply>>();
  auto fleet = std::make_shared<Fleet>(calls.size());
  for (std::size_t i = 0; i < calls.size(); ++i) {
    Spawn(*Executor::Current(), Sail(fleet, i, std::move(calls[i])));
  }
  co_await fleet->done;
  co_return std::move(fleet->replies);
}

}  // namespace

Task<absl::StatusOr<int>> Schedule::Apply(std::vector<Change> changes, absl::Time now) {
  std::map<int, std::vector<std::string>> args_by_shard;
  for (const Change& change : changes) {
    const int shard = ShardOf(change.job);
    std::vector<std::string>& args = args_by_shard[shard];
    if (args.empty()) args = {Tag(shard), Millis(now), kDueChannel, absl::StrCat(shard)};
    args.push_back(std::string(1, static_cast<char>(change.kind)));
    args.push_back(absl::StrCat(change.job.tenant.value()));
    args.push_back(absl::StrCat(change.job.job.value()));
    args.push_back(DueMillis(change.at));
    args.push_back(absl::StrCat(change.priority));
  }
  std::vector<Task<absl::StatusOr<Reply>>> calls;
  for (auto& [shard, args] : args_by_shard) {
    std::vector<std::string> keys = {Tag(shard) + ":tenants", Tag(shard) + ":lease"};
    calls.push_back(client_.Run(ApplyScript(), std::move(keys), std::move(args)));
  }
  const std::vector<absl::StatusOr<Reply>> replies = co_await All(std::move(calls));
  int news = 0;
  for (const absl::StatusOr<Reply>& reply : replies) {
    if (!reply.ok()) co_return reply.status();
    news += static_cast<int>(reply->integer);
  }
  co_return news;
}

Task<std::vector<absl::StatusOr<Schedule::Popped>>> Schedule::Pop(std::vector<Share> shares,
                                                                  absl::Time now,
                                                                  absl::Time lease_end) {
  std::vector<Task<absl::StatusOr<Reply>>> calls;
  for (const Share& share : shares) {
    const std::string tag = Tag(share.shard);
    std::vector<std::string> keys = {tag + ":tenants", tag + ":lease"};
    std::vector<std::string> args = {
        tag, Millis(now), DueMillis(lease_end), absl::StrCat(share.max),
        share.tenant ? absl::StrCat(share.tenant.value()) : std::string()};
    for (const auto& [tenant, weight] : weights_) {
      args.push_back(absl::StrCat(tenant.value()));
      args.push_back(absl::StrCat(weight));
    }
    calls.push_back(client_.Run(PopScript(), std::move(keys), std::move(args)));
  }
  const std::vector<absl::StatusOr<Reply>> replies = co_await All(std::move(calls));
  std::vector<absl::StatusOr<Popped>> all;
  for (std::size_t n = 0; n < replies.size(); ++n) {
    if (!replies[n].ok()) {
      all.emplace_back(replies[n].status());
      continue;
    }
    Popped popped;
    const std::vector<Reply>& parts = replies[n]->elements;
    if (!parts.empty()) popped.expired = static_cast<int>(parts[0].integer);
    for (std::size_t i = 1; i + 1 < parts.size(); i += 2) {
      std::int64_t tenant = 0, job = 0;
      if (!absl::SimpleAtoi(parts[i].text, &tenant) || !absl::SimpleAtoi(parts[i + 1].text, &job)) {
        continue;  // not ours
      }
      JobRef ref;
      ref.tenant = TenantId(tenant);
      ref.job = JobId(job);
      ref.hash = shares[n].shard;
      popped.jobs.push_back(ref);
    }
    all.emplace_back(std::move(popped));
  }
  co_return all;
}

Task<std::vector<Schedule::DueTenants>> Schedule::WhoIsDue(std::vector<int> shards,
                                                           absl::Time now) {
  std::vector<Task<absl::StatusOr<Reply>>> calls;
  for (const int shard : shards) {
    const std::string tag = Tag(shard);
    std::vector<std::string> keys = {tag + ":tenants", tag + ":lease"};
    std::vector<std::string> args = {tag, Millis(now)};
    calls.push_back(client_.Run(WhoIsDueScript(), std::move(keys), std::move(args)));
  }
  const std::vector<absl::StatusOr<Reply>> replies = co_await All(std::move(calls));
  std::vector<DueTenants> all;
  for (std::size_t n = 0; n < replies.size(); ++n) {
    if (!replies[n].ok()) continue;
    DueTenants due;
    due.shard = shards[n];
    for (const Reply& part : replies[n]->elements) {
      std::int64_t number = 0;
      if (!absl::SimpleAtoi(part.text, &number)) continue;
      if (&part == &replies[n]->elements.front()) {
        due.expired = static_cast<int>(number);
      } else {
        due.tenants.push_back(TenantId(number));
      }
    }
    all.push_back(std::move(due));
  }
  co_return all;
}

Task<absl::StatusOr<std::vector<Schedule::ShardState>>> Schedule::Look(absl::Time now) {
  std::vector<Task<absl::StatusOr<Reply>>> calls;
  for (int shard = 0; shard < shards_; ++shard) {
    const std::string tag = Tag(shard);
    std::vector<std::string> keys = {tag + ":tenants", tag + ":lease", tag + ":epoch"};
    std::vector<std::string> args = {Millis(now)};
    calls.push_back(client_.Run(LookScript(), std::move(keys), std::move(args)));
  }
  const std::vector<absl::StatusOr<Reply>> replies = co_await All(std::move(calls));
  std::vector<ShardState> states;
  absl::Status error;
  bool any = false;
  for (const absl::StatusOr<Reply>& reply : replies) {
    ShardState state;
    if (!reply.ok()) {
      error = reply.status();
    } else if (reply->elements.size() == 2) {
      any = true;
      state.answered = true;
      state.known = reply->elements[0].integer != 0;
      state.due = reply->elements[1].integer != 0;
    }
    states.push_back(state);
  }
  if (!any && !error.ok()) co_return error;
  co_return states;
}

Task<absl::Status> Schedule::SetEpoch(int shard, std::string epoch) {
  std::vector<std::string> command = {"SET", Tag(shard) + ":epoch", std::move(epoch), "NX"};
  const absl::StatusOr<Reply> reply = co_await client_.Command(std::move(command));
  co_return reply.status();
}

Task<absl::StatusOr<bool>> Schedule::HoldReconciler(int shard, std::string replica,
                                                    absl::Duration ttl) {
  std::vector<std::string> keys = {Tag(shard) + ":reconciler"};
  std::vector<std::string> args = {std::move(replica), absl::StrCat(absl::ToInt64Milliseconds(ttl))};
  const absl::StatusOr<Reply> reply =
      co_await client_.Run(HoldScript(), std::move(keys), std::move(args));
  if (!reply.ok()) co_return reply.status();
  co_return reply->integer == 1;
}

Task<void> ApplyQuietly(Schedule& schedule, std::vector<Schedule::Change> changes,
                        absl::Time now) {
  const absl::StatusOr<int> applied = co_await schedule.Apply(std::move(changes), now);
  if (!applied.ok()) Metrics::Get().schedule_errors.Increment();
}

}  // namespace posthorn::queue
