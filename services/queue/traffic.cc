#include "services/queue/traffic.h"

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "services/queue/metrics.h"
#include "services/queue/traffic_scripts.h"

namespace posthorn::queue {
namespace {

using redis::Reply;

// Whoever waits for a limit comes back at the latest then.
constexpr absl::Duration kHorizon = absl::Minutes(10);
constexpr absl::Duration kRememberEvery = absl::Minutes(1);
constexpr std::size_t kMaxRemembered = 100000;
// A probe that has not been told of for this long is another's.
constexpr absl::Duration kProbe = absl::Minutes(3);
// While Redis is away.
constexpr absl::Duration kWaitForRedis = absl::Seconds(5);
constexpr std::size_t kMaxReason = 300;

std::int64_t Millis(absl::Time time) { return absl::ToUnixMillis(time); }

std::string DayOf(absl::Time time) {
  return absl::FormatTime("%Y%m%d", time, absl::UTCTimeZone());
}

absl::Time TimeIn(const Reply& reply) {
  double millis = 0;
  if (!absl::SimpleAtod(reply.text, &millis)) return absl::InfinitePast();
  return absl::FromUnixMillis(static_cast<std::int64_t>(millis));
}

}  // namespace

Traffic::Traffic(redis::Client& client, Pauses& pauses, const Clock& clock, Options options)
    : client_(client), pauses_(pauses), clock_(clock), options_(std::move(options)) {}

Admission Traffic::Wait(absl::Duration wait, std::string reason, bool whole_site) const {
  Metrics::Get().put_off.Increment();
  Admission admission;
  // What waits for the same moment does not come back at the same moment.
  if (whole_site) wait += std::min(wait / 10, absl::Minutes(1)) * options_.chance();
  admission.wait = std::clamp(wait, absl::Milliseconds(100), kLongestWait);
  admission.reason = std::move(reason);
  admission.whole_site = whole_site;
  return admission;
}

Task<Admission> Traffic::Admit(AdmitRequest request) {
  const absl::Time now = clock_.Now();
  if (const std::optional<Pause> pause = pauses_.Find(request.domain, request.site)) {
    co_await RememberWaiting(request.site, request.domain);
    standstills_.Refused(request.tenant, request.domain, request.site, now);
    co_return Wait(pause->until - now,
                   pause->reason.empty() ? "the destination is paused" : pause->reason, true);
  }
  bool counted = request.limits.rated();
  for (const SourceOffer& source : request.sources) counted = counted || source.per_day > 0;
  const std::string key = SiteKey(request.site);
  std::vector<std::string> keys = {key, absl::StrCat(key, ":w:", request.rule)};
  std::vector<std::string> args = {
      absl::StrCat(Millis(now)),
      absl::StrCat(absl::ToInt64Milliseconds(options_.recovery)),
      absl::StrCat(absl::ToInt64Milliseconds(kHorizon)),
      absl::StrCat(options_.chance()),
      absl::StrCat(request.tenant.value()),
      request.rule,
      request.domain,
      absl::StrCat(request.limits.per_second),
      absl::StrCat(request.limits.per_minute),
      absl::StrCat(request.limits.per_hour),
      absl::StrCat(options_.slow_per_second),
      absl::StrCat(Millis(now + kProbe))};
  for (const SourceOffer& source : request.sources) args.push_back(source.name);
  const absl::StatusOr<Reply> reply =
      co_await client_.Run(AdmitScript(), std::move(keys), std::move(args));
  if (!reply.ok() || reply->elements.size() != 6 + request.sources.size()) {
    Metrics::Get().schedule_errors.Increment();
    if (counted) co_return Wait(kWaitForRedis, "limits are not known for the moment", false);
    Admission open;
    open.granted = true;
    co_return open;
  }
  const std::vector<Reply>& parts = reply->elements;
  const bool known = parts[5].integer != 0;
  if (known) co_await Remember(request.site);
  if (parts[0].integer == 0) {
    std::string reason = parts[2].text;
    if (parts[4].integer != 0) {
      standstills_.Refused(request.tenant, request.domain, request.site, now);
    } else {
      standstills_.Passed(request.tenant, request.domain);
    }
    if (reason.empty()) reason = "the destination's rate is limited";
    co_return Wait(TimeIn(parts[1]) - now, std::move(reason), parts[4].integer != 0);
  }
  Admission admission;
  admission.granted = true;
  admission.probe = parts[3].integer != 0;
  if (!admission.probe) standstills_.Passed(request.tenant, request.domain);
  if (!known && !counted) {
    admission.free_for = options_.free_for;
    admission.whole_site = pauses_.All().empty();
  }
  if (request.sources.empty()) co_return admission;
  absl::Time avoided_until = absl::InfiniteFuture();
  for (std::size_t i = 0; i < request.sources.size(); ++i) {
    const absl::Time avoided = TimeIn(parts[6 + i]);
    if (avoided > now) {
      avoided_until = std::min(avoided_until, avoided);
      continue;
    }
    const bool taken = co_await TakeOfDay(request.sources[i]);
    if (!taken) continue;
    admission.source = static_cast<int>(i);
    co_return admission;
  }
  if (avoided_until != absl::InfiniteFuture()) {
    co_return Wait(avoided_until - now, "the destination wants nothing from any source", false);
  }
  co_return Wait(kLongestWait, "the sources have sent what they may today", false);
}

Task<bool> Traffic::TakeOfDay(const SourceOffer& source) {
  if (source.per_day <= 0) co_return true;
  std::vector<std::string> keys = {SourceKey(source.name, DayOf(clock_.Now()))};
  std::vector<std::string> args = {absl::StrCat(source.per_day)};
  const absl::StatusOr<Reply> reply =
      co_await client_.Run(TakeOfDayScript(), std::move(keys), std::move(args));
  co_return reply.ok() && reply->integer == 1;
}

Task<absl::Status> Traffic::GiveBackOfDay(std::string source) {
  std::vector<std::string> keys = {SourceKey(source, DayOf(clock_.Now()))};
  const absl::StatusOr<Reply> reply =
      co_await client_.Run(GiveBackOfDayScript(), std::move(keys), std::vector<std::string>());
  co_return reply.status();
}

// At most once in a while, which saves Redis a write a message.
bool Traffic::IsNews(const std::string& what) {
  const absl::Time now = clock_.Now();
  std::lock_guard lock(mutex_);
  if (remembered_.size() > kMaxRemembered) remembered_.clear();
  absl::Time& last = remembered_.try_emplace(what, absl::InfinitePast()).first->second;
  if (now - last < kRememberEvery) return false;
  last = now;
  return true;
}

Task<void> Traffic::Remember(std::string site) {
  if (!IsNews(site)) co_return;
  const absl::Time now = clock_.Now();
  std::vector<std::string> add = {"ZADD", kSitesKey, absl::StrCat(Millis(now)), std::move(site)};
  std::vector<std::string> drop = {"ZREMRANGEBYSCORE", kSitesKey, "-inf",
                                   absl::StrCat(Millis(now - absl::Hours(24)))};
  std::vector<std::vector<std::string>> commands = {std::move(add), std::move(drop)};
  const std::vector<absl::StatusOr<Reply>> ignored =
      co_await client_.Commands(std::move(commands));
  static_cast<void>(ignored);
}

Task<void> Traffic::RememberWaiting(std::string site, std::string domain) {
  if (!IsNews(absl::StrCat(site, " ", domain))) co_return;
  std::vector<std::string> add = {"HSET", SiteKey(site), absl::StrCat("d:", domain), "1"};
  std::vector<std::string> expire = {"PEXPIRE", SiteKey(site), "86400000"};
  std::vector<std::vector<std::string>> commands = {std::move(add), std::move(expire)};
  const std::vector<absl::StatusOr<Reply>> ignored =
      co_await client_.Commands(std::move(commands));
  static_cast<void>(ignored);
  co_await Remember(std::move(site));
}

Task<SlotAnswer> Traffic::TakeConnection(TenantId tenant, ConnectionSlot slot, int limit) {
  const absl::Time now = clock_.Now();
  const std::string key = SiteKey(slot.site);
  std::vector<std::string> keys = {key, absl::StrCat(key, ":w:", slot.rule, ":c"),
                                   absl::StrCat(key, ":c:", slot.rule)};
  std::vector<std::string> args = {
      absl::StrCat(Millis(now)),
      absl::StrCat(absl::ToInt64Milliseconds(options_.recovery)),
      absl::StrCat(absl::ToInt64Milliseconds(kHorizon)),
      absl::StrCat(options_.chance()),
      absl::StrCat(tenant.value()),
      slot.token,
      absl::StrCat(std::max(1, limit)),
      absl::StrCat(Millis(now + options_.connection_lease)),
      slot.rule};
  const absl::StatusOr<Reply> reply =
      co_await client_.Run(TakeConnectionScript(), std::move(keys), std::move(args));
  SlotAnswer answer;
  if (!reply.ok() || reply->elements.size() != 2) {
    Metrics::Get().schedule_errors.Increment();
    answer.granted = false;
    answer.wait = kWaitForRedis;
    co_return answer;
  }
  co_await Remember(slot.site);
  answer.granted = reply->elements[0].integer == 1;
  if (!answer.granted) {
    const Admission waits = Wait(TimeIn(reply->elements[1]) - now, std::string(), false);
    answer.wait = waits.wait;
  }
  co_return answer;
}

Task<void> Traffic::KeepConnections(std::vector<ConnectionSlot> slots) {
  const std::string end = absl::StrCat(Millis(clock_.Now() + options_.connection_lease));
  std::vector<std::vector<std::string>> commands;
  for (const ConnectionSlot& slot : slots) {
    // Also where Redis has lost it, and past the limit: it stands.
    const std::string key = absl::StrCat(SiteKey(slot.site), ":c:", slot.rule);
    commands.push_back({"ZADD", key, end, slot.token});
    commands.push_back({"PEXPIRE", key, "86400000"});
  }
  if (commands.empty()) co_return;
  const std::vector<absl::StatusOr<Reply>> ignored =
      co_await client_.Commands(std::move(commands));
  static_cast<void>(ignored);
}

Task<void> Traffic::DropConnections(std::vector<ConnectionSlot> slots) {
  std::vector<std::vector<std::string>> commands;
  for (const ConnectionSlot& slot : slots) {
    commands.push_back({"ZREM", absl::StrCat(SiteKey(slot.site), ":c:", slot.rule), slot.token});
  }
  if (commands.empty()) co_return;
  const std::vector<absl::StatusOr<Reply>> ignored =
      co_await client_.Commands(std::move(commands));
  static_cast<void>(ignored);
}

Task<absl::Status> Traffic::Note(TrafficNote note) {
  if (note.action == TrafficNote::Action::kUnused) co_return co_await GiveBackOfDay(note.source);
  const std::string key = SiteKey(note.site);
  std::vector<std::string> keys = {key, absl::StrCat(key, ":w")};
  std::vector<std::string> args = {
      absl::StrCat(Millis(clock_.Now())),
      absl::StrCat(absl::ToInt64Milliseconds(options_.recovery)),
      absl::StrCat(static_cast<int>(note.action)),
      absl::StrCat(absl::ToInt64Milliseconds(note.duration)),
      note.reason.substr(0, kMaxReason),
      note.source,
      note.probe ? "1" : "0",
      note.domain};
  for (const absl::Duration delay : options_.probe_schedule) {
    args.push_back(absl::StrCat(absl::ToInt64Milliseconds(std::min(delay, kLongestWait))));
  }
  const absl::StatusOr<Reply> reply =
      co_await client_.Run(NoteScript(), std::move(keys), std::move(args));
  if (!reply.ok()) co_return reply.status();
  if (reply->integer == 1 && note.action != TrafficNote::Action::kAlive) {
    Metrics::Get().back_offs.Increment();
  }
  co_await Remember(note.site);
  co_return absl::OkStatus();
}

}  // namespace posthorn::queue
