// What operators see of the traffic, and take back.

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "services/queue/traffic.h"
#include "services/queue/traffic_scripts.h"

namespace posthorn::queue {
namespace {

using redis::Reply;

constexpr int kMaxSites = 1000;
constexpr std::size_t kMaxDomains = 200;

std::int64_t Number(absl::string_view text) {
  double value = 0;
  return absl::SimpleAtod(text, &value) ? static_cast<std::int64_t>(value) : 0;
}

// The lowest rate of a rule, with what is left of it at `level`. 0: none.
double RateOf(const TrafficLimits& limits, int level, int slow_per_second) {
  double lowest = 0;
  const auto add = [&lowest](double rate) {
    if (rate > 0) lowest = lowest == 0 ? rate : std::min(lowest, rate);
  };
  add(limits.per_second);
  add(limits.per_minute / 60.0);
  add(limits.per_hour / 3600.0);
  if (lowest == 0 && level > 0) lowest = slow_per_second;
  return lowest / std::pow(2, level);
}

bool Below(std::string_view pattern, std::string_view name) {
  if (!pattern.starts_with("*.")) return false;
  pattern.remove_prefix(1);
  return name.size() > pattern.size() && name.ends_with(pattern);
}

}  // namespace

Task<absl::StatusOr<std::vector<SiteState>>> Traffic::ReadSites(std::vector<std::string> sites) {
  const absl::Time now = clock_.Now();
  std::vector<std::vector<std::string>> commands;
  for (const std::string& site : sites) commands.push_back({"HGETALL", SiteKey(site)});
  const std::vector<absl::StatusOr<Reply>> hashes =
      co_await client_.Commands(std::move(commands));
  std::vector<SiteState> states;
  std::vector<std::vector<std::string>> counts;
  for (std::size_t i = 0; i < hashes.size(); ++i) {
    if (!hashes[i].ok()) co_return hashes[i].status();
    SiteState state;
    state.site = sites[i];
    std::map<std::string, SiteState::Rule> rules;
    std::map<std::string, std::string> fields;
    const std::vector<Reply>& parts = hashes[i]->elements;
    for (std::size_t k = 0; k + 1 < parts.size(); k += 2) {
      const std::string& field = parts[k].text;
      const std::string& value = parts[k + 1].text;
      const std::string name = field.size() > 2 ? field.substr(2) : std::string();
      if (field.starts_with("l:")) {
        const std::vector<std::string> numbers = absl::StrSplit(value, ' ');
        TrafficLimits& limits = rules[name].limits;
        limits.per_second = static_cast<int>(Number(numbers[0]));
        if (numbers.size() > 1) limits.per_minute = static_cast<int>(Number(numbers[1]));
        if (numbers.size() > 2) limits.per_hour = static_cast<int>(Number(numbers[2]));
      } else if (field.starts_with("n:")) {
        rules[name].limits.connections = static_cast<int>(Number(value));
      } else if (field.starts_with("a:")) {
        if (absl::FromUnixMillis(Number(value)) > now) state.avoided_sources.push_back(name);
      } else if (field.starts_with("d:")) {
        if (state.waiting_domains.size() < kMaxDomains) state.waiting_domains.push_back(name);
      } else {
        fields[field] = value;
      }
    }
    const int level = static_cast<int>(Number(fields["level"]));
    if (level > 0) {
      const absl::Duration since = now - absl::FromUnixMillis(Number(fields["since"]));
      absl::Duration rest;
      const std::int64_t recovered = absl::IDivDuration(
          std::max(since, absl::ZeroDuration()), options_.recovery, &rest);
      state.slowed = static_cast<int>(std::max<std::int64_t>(0, level - recovered));
    }
    if (fields.contains("paused")) {
      state.paused_until = absl::FromUnixMillis(Number(fields["paused"]));
    }
    state.dead = fields.contains("dead");
    if (state.dead) state.probe_at = absl::FromUnixMillis(Number(fields["probe"]));
    const bool odd = state.dead || state.slowed > 0 || state.paused_until > now ||
                     !state.avoided_sources.empty();
    if (odd) state.reason = fields["why"];
    std::sort(state.waiting_domains.begin(), state.waiting_domains.end());
    if (state.slowed > 0 && rules.empty()) rules[""];
    for (auto& [name, rule] : rules) {
      rule.name = name;
      rule.per_second = RateOf(rule.limits, state.slowed, options_.slow_per_second);
      counts.push_back({"ZCOUNT", absl::StrCat(SiteKey(state.site), ":c:", name),
                        absl::StrCat("(", absl::ToUnixMillis(now)), "+inf"});
      state.rules.push_back(std::move(rule));
    }
    states.push_back(std::move(state));
  }
  if (!counts.empty()) {
    const std::vector<absl::StatusOr<Reply>> standing =
        co_await client_.Commands(std::move(counts));
    std::size_t next = 0;
    for (SiteState& state : states) {
      for (SiteState::Rule& rule : state.rules) {
        const absl::StatusOr<Reply>& count = standing[next++];
        if (count.ok()) rule.connections = static_cast<int>(count->integer);
      }
    }
  }
  co_return states;
}

Task<absl::StatusOr<std::vector<SiteState>>> Traffic::List(std::string name) {
  std::vector<std::string> range = {"ZREVRANGE", kSitesKey, "0", absl::StrCat(kMaxSites - 1)};
  const absl::StatusOr<Reply> known = co_await client_.Command(std::move(range));
  if (!known.ok()) co_return known.status();
  std::vector<std::string> sites;
  for (const Reply& site : known->elements) sites.push_back(site.text);
  absl::StatusOr<std::vector<SiteState>> states = co_await ReadSites(std::move(sites));
  if (!states.ok()) co_return states.status();
  // With PostgreSQL away, what was known last.
  const absl::Status loaded = co_await pauses_.Load();
  static_cast<void>(loaded);
  const absl::Time now = clock_.Now();
  for (const Pause& pause : pauses_.All()) {
    if (pause.until <= now) continue;
    SiteState* paused = nullptr;
    for (SiteState& state : *states) {
      if (state.site == pause.pattern) paused = &state;
    }
    if (paused == nullptr) {
      states->emplace_back();
      paused = &states->back();
      paused->site = pause.pattern;
    }
    paused->by_operator = true;
    paused->paused_until = pause.until;
    paused->reason = pause.reason;
  }
  std::erase_if(*states, [&name](const SiteState& state) {
    const bool waits = std::find(state.waiting_domains.begin(), state.waiting_domains.end(),
                                 name) != state.waiting_domains.end();
    return !name.empty() && state.site != name && !waits;
  });
  std::erase_if(*states, [now](SiteState& state) {
    const bool odd = state.dead || state.slowed > 0 || state.paused_until > now ||
                     !state.avoided_sources.empty();
    if (!odd) state.waiting_domains.clear();  // they wait no more
    return !odd && state.rules.empty();
  });
  std::sort(states->begin(), states->end(),
            [](const SiteState& a, const SiteState& b) { return a.site < b.site; });
  co_return states;
}

Task<absl::StatusOr<std::vector<std::string>>> Traffic::Clear(std::string name) {
  std::vector<std::string> range = {"ZREVRANGE", kSitesKey, "0", absl::StrCat(kMaxSites - 1)};
  const absl::StatusOr<Reply> known = co_await client_.Command(std::move(range));
  if (!known.ok()) co_return known.status();
  std::vector<std::string> sites;
  for (const Reply& site : known->elements) sites.push_back(site.text);
  const absl::StatusOr<std::vector<SiteState>> states = co_await ReadSites(std::move(sites));
  if (!states.ok()) co_return states.status();
  std::vector<std::string> domains;
  if (!Below(name, name)) domains.push_back(name);
  for (const SiteState& state : *states) {
    bool meant = state.site == name || Below(name, state.site) || name == "*";
    for (const std::string& domain : state.waiting_domains) {
      meant = meant || domain == name || Below(name, domain);
    }
    if (!meant) continue;
    std::vector<std::string> keys = {SiteKey(state.site)};
    const absl::StatusOr<Reply> cleared =
        co_await client_.Run(ClearScript(), std::move(keys), std::vector<std::string>());
    if (!cleared.ok()) co_return cleared.status();
    for (const Reply& domain : cleared->elements) domains.push_back(domain.text);
  }
  std::sort(domains.begin(), domains.end());
  domains.erase(std::unique(domains.begin(), domains.end()), domains.end());
  co_return domains;
}

Task<std::vector<absl::Time>> Traffic::StandUntil(
    std::vector<std::pair<std::string, std::string>> destinations) {
  std::vector<std::vector<std::string>> commands;
  for (const auto& [domain, site] : destinations) {
    commands.push_back({"HMGET", SiteKey(site), "paused", "dead", "probe", "probing"});
  }
  const std::vector<absl::StatusOr<Reply>> replies =
      co_await client_.Commands(std::move(commands));
  const absl::Time now = clock_.Now();
  std::vector<absl::Time> until(destinations.size(), absl::InfinitePast());
  for (std::size_t i = 0; i < destinations.size(); ++i) {
    const auto& [domain, site] = destinations[i];
    if (const std::optional<Pause> pause = pauses_.Find(domain, site)) until[i] = pause->until;
    if (!replies[i].ok() || replies[i]->elements.size() != 4) continue;
    const auto later = [&](std::size_t part) {
      const absl::Time at = absl::FromUnixMillis(Number(replies[i]->elements[part].text));
      return at > now ? at : absl::InfinitePast();
    };
    until[i] = std::max(until[i], later(0));
    if (!replies[i]->elements[1].text.empty()) {
      // A probe under way may end at any moment.
      until[i] = std::max({until[i], later(2), std::min(later(3), now + absl::Seconds(20))});
    }
  }
  co_return until;
}

Task<void> Traffic::ProbeNow() {
  std::vector<std::string> range = {"ZREVRANGE", kSitesKey, "0", absl::StrCat(kMaxSites - 1)};
  const absl::StatusOr<Reply> known = co_await client_.Command(std::move(range));
  if (!known.ok()) co_return;  // nothing is known to be dead
  const std::string now = absl::StrCat(absl::ToUnixMillis(clock_.Now()));
  std::vector<redis::ScriptCall> calls;
  for (const Reply& site : known->elements) {
    std::vector<std::string> keys = {SiteKey(site.text)};
    std::vector<std::string> args = {now};
    calls.emplace_back(std::move(keys), std::move(args));
  }
  if (calls.empty()) co_return;
  const std::vector<absl::StatusOr<Reply>> ignored =
      co_await client_.RunAll(ProbeNowScript(), std::move(calls));
  static_cast<void>(ignored);
}

}  // namespace posthorn::queue
