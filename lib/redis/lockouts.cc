#include "lib/redis/lockouts.h"

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "lib/base/failure.h"
#include "lib/redis/client.h"

namespace posthorn::redis {
namespace {

// A subject is a hash: n failures, locked until (milliseconds by the clock of Redis), level.
const Script& FailScript() {
  static const Script* const script = new Script(R"lua(
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local threshold, window = tonumber(ARGV[1]), tonumber(ARGV[2])
local lockout, longest = tonumber(ARGV[3]), tonumber(ARGV[4])
local old = redis.call('HMGET', KEYS[1], 'n', 'until', 'level')
local n, till, level = tonumber(old[1]) or 0, tonumber(old[2]) or 0, tonumber(old[3]) or 0
if till > now then return {n, till - now, 0} end
n = n + 1
local locked = 0
if n >= threshold then
  till = now + math.min(lockout * 2 ^ math.min(level, 30), longest)
  level = level + 1
  locked = 1
end
redis.call('HSET', KEYS[1], 'n', n, 'until', string.format('%.0f', till), 'level', level)
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', window + math.max(0, till - now)))
return {n, math.max(0, till - now), locked}
)lua");
  return *script;
}

std::string Millis(absl::Duration duration) {
  return absl::StrCat(std::max<std::int64_t>(1, absl::ToInt64Milliseconds(duration)));
}

// The failures of a subject and what is left of its lock in milliseconds, by the clock of the server
// that keeps it; or, with an argument, whether a mark is set.
const Script& LookScript() {
  static const Script* const script = new Script(R"lua(
if ARGV[1] then return {redis.call('EXISTS', KEYS[1]), 0} end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local old = redis.call('HMGET', KEYS[1], 'n', 'until')
return {tonumber(old[1]) or 0, math.max(0, (tonumber(old[2]) or 0) - now)}
)lua");
  return *script;
}

ScriptCall LookAt(std::string key, bool is_mark) {
  std::vector<std::string> keys, args;
  keys.push_back(std::move(key));
  if (is_mark) args.push_back("mark");
  return ScriptCall(std::move(keys), std::move(args));
}

LockoutState StateIn(const Reply& reply) {
  LockoutState state;
  if (reply.elements.size() != 2) return state;
  state.failures = reply.elements[0].integer;
  state.locked_for = absl::Milliseconds(reply.elements[1].integer);
  return state;
}

}  // namespace

Lockouts::Lockouts(Client* client, const Clock& clock, LockoutsOptions options)
    : client_(client), clock_(clock), options_(std::move(options)) {}

std::string Lockouts::KeyOf(const std::string& subject) const {
  return absl::StrCat(options_.prefix, "{", subject, "}");
}
std::string Lockouts::MarkKeyOf(const std::string& mark) const {
  return absl::StrCat(options_.prefix, "mark:{", mark, "}");
}

Task<Lockouts::View> Lockouts::Look(std::vector<std::string> subjects, std::string mark) {
  View view;
  if (client_ != nullptr) {
    std::vector<ScriptCall> calls;
    for (const std::string& subject : subjects) calls.push_back(LookAt(KeyOf(subject), false));
    calls.push_back(LookAt(MarkKeyOf(mark), true));
    const std::vector<absl::StatusOr<Reply>> replies =
        co_await client_->RunAll(LookScript(), std::move(calls));
    const bool answered = std::all_of(replies.begin(), replies.end(),
                                      [](const auto& reply) { return reply.ok(); });
    if (answered) {
      for (std::size_t i = 0; i < subjects.size(); ++i) {
        view.states.push_back(StateIn(*replies[i]));
        Learn(subjects[i], view.states.back());
      }
      const std::vector<Reply>& marked = replies.back()->elements;
      view.marked = !marked.empty() && marked[0].integer == 1;
      co_return view;
    }
  }
  for (const std::string& subject : subjects) view.states.push_back(LookLocally(subject));
  std::lock_guard lock(mutex_);
  const auto found = marks_.find(mark);
  view.marked = found != marks_.end() && found->second > clock_.Now();
  co_return view;
}

Task<LockoutState> Lockouts::Fail(std::string subject, LockoutPolicy policy) {
  if (client_ != nullptr) {
    std::vector<std::string> keys;
    keys.push_back(KeyOf(subject));
    std::vector<std::string> args;
    args.push_back(absl::StrCat(std::max<std::int64_t>(1, policy.failures)));
    args.push_back(Millis(policy.window));
    args.push_back(Millis(policy.lockout));
    args.push_back(Millis(policy.max_lockout));
    const absl::StatusOr<Reply> reply =
        co_await client_->Run(FailScript(), std::move(keys), std::move(args));
    if (reply.ok() && reply->elements.size() == 3) {
      LockoutState state;
      state.failures = reply->elements[0].integer;
      state.locked_for = absl::Milliseconds(reply->elements[1].integer);
      state.just_locked = reply->elements[2].integer == 1;
      Learn(subject, state);
      co_return state;
    }
    policy.failures = (policy.failures + options_.replicas - 1) / std::max(1, options_.replicas);
  }
  co_return FailLocally(subject, policy);
}

Task<void> Lockouts::Clear(std::string subject) {
  {
    std::lock_guard lock(mutex_);
    local_.erase(subject);
  }
  if (client_ == nullptr) co_return;
  std::vector<std::string> command = {"DEL", KeyOf(subject)};
  // Away: its own time ends it.
  (void)co_await client_->Command(std::move(command));
}

Task<void> Lockouts::Mark(std::string mark, absl::Duration time) {
  {
    std::lock_guard lock(mutex_);
    if (marks_.size() >= options_.max_local_subjects) {
      const absl::Time now = clock_.Now();
      absl::erase_if(marks_, [now](const auto& entry) { return entry.second <= now; });
      if (marks_.size() >= options_.max_local_subjects) marks_.clear();
    }
    marks_[mark] = clock_.Now() + time;
  }
  if (client_ == nullptr) co_return;
  std::vector<std::string> command = {"SET", MarkKeyOf(mark), "1", "PX", Millis(time)};
  (void)co_await client_->Command(std::move(command));
}

Task<absl::StatusOr<std::vector<Lockout>>> Lockouts::List(std::size_t limit) {
  std::vector<Lockout> lockouts;
  if (client_ == nullptr) {
    const absl::Time now = clock_.Now();
    std::lock_guard lock(mutex_);
    for (const auto& [subject, entry] : local_) {
      if (entry.locked_until <= now || lockouts.size() == limit) continue;
      LockoutState state;
      state.failures = entry.failures;
      state.locked_for = entry.locked_until - now;
      lockouts.push_back({subject, state});
    }
    co_return lockouts;
  }
  const std::string start = options_.prefix + "{";
  ScanCursor cursor;
  while (!cursor.done && lockouts.size() < limit) {
    absl::StatusOr<std::vector<std::string>> keys = co_await client_->Scan(cursor, start + "*");
    if (!keys.ok()) co_return keys.status();
    std::vector<ScriptCall> calls;
    for (const std::string& key : *keys) calls.push_back(LookAt(key, false));
    const std::vector<absl::StatusOr<Reply>> replies =
        co_await client_->RunAll(LookScript(), std::move(calls));
    for (std::size_t i = 0; i < replies.size(); ++i) {
      if (!replies[i].ok()) co_return MakeFailure(Failure::kUnavailable);
      const LockoutState state = StateIn(*replies[i]);
      if (state.locked_for <= absl::ZeroDuration() || lockouts.size() == limit) continue;
      const std::string& key = (*keys)[i];
      lockouts.push_back({key.substr(start.size(), key.size() - start.size() - 1), state});
    }
  }
  co_return lockouts;
}

LockoutState Lockouts::LookLocally(const std::string& subject) {
  const absl::Time now = clock_.Now();
  std::lock_guard lock(mutex_);
  LockoutState state;
  const auto found = local_.find(subject);
  if (found == local_.end() || found->second.forget_at <= now) return state;
  state.failures = found->second.failures;
  state.locked_for = std::max(absl::ZeroDuration(), found->second.locked_until - now);
  return state;
}

LockoutState Lockouts::FailLocally(const std::string& subject, LockoutPolicy policy) {
  const absl::Time now = clock_.Now();
  std::lock_guard lock(mutex_);
  MakeRoom();
  Entry& entry = local_[subject];
  if (entry.forget_at <= now) entry = Entry();
  LockoutState state;
  if (entry.locked_until <= now) {
    ++entry.failures;
    if (entry.failures >= std::max<std::int64_t>(1, policy.failures)) {
      const absl::Duration time = policy.lockout * static_cast<double>(1 << std::min(entry.level, 30));
      entry.locked_until = now + std::min(time, policy.max_lockout);
      ++entry.level;
      state.just_locked = true;
    }
    entry.forget_at = std::max(now, entry.locked_until) + policy.window;
  }
  state.failures = entry.failures;
  state.locked_for = std::max(absl::ZeroDuration(), entry.locked_until - now);
  return state;
}

void Lockouts::Learn(const std::string& subject, const LockoutState& state) {
  const absl::Time now = clock_.Now();
  std::lock_guard lock(mutex_);
  if (state.locked_for <= absl::ZeroDuration()) {
    local_.erase(subject);
    return;
  }
  MakeRoom();
  Entry& entry = local_[subject];
  entry.failures = state.failures;
  entry.level = std::max(entry.level, 1);
  entry.locked_until = now + state.locked_for;
  entry.forget_at = entry.locked_until + absl::Minutes(1);
}

void Lockouts::MakeRoom() {
  if (local_.size() < options_.max_local_subjects) return;
  const absl::Time now = clock_.Now();
  absl::erase_if(local_, [now](const auto& entry) { return entry.second.forget_at <= now; });
  // What is locked stays as long as there is any other to go.
  if (local_.size() >= options_.max_local_subjects) {
    absl::erase_if(local_, [now](const auto& entry) { return entry.second.locked_until <= now; });
  }
  if (local_.size() >= options_.max_local_subjects) local_.clear();
}

}  // namespace posthorn::redis
