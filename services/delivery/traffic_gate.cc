#include "services/delivery/traffic_gate.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "lib/base/failure.h"
#include "lib/telemetry/log.h"

namespace posthorn::delivery {
namespace {

constexpr std::size_t kMaxKnown = 10000;
// What the replies to messages that were under way together mean is told once.
constexpr absl::Duration kNoteEvery = absl::Seconds(1);
// A third of the lease of a place.
constexpr absl::Duration kHoldEvery = absl::Seconds(10);
constexpr absl::Duration kDropSoon = absl::Milliseconds(20);
constexpr absl::Duration kWithoutAnswer = absl::Seconds(5);
constexpr absl::Duration kOpenWithoutAnswer = absl::Seconds(1);
// Another worker may have the source.
constexpr absl::Duration kWithoutSource = absl::Minutes(1);

// Of this machine: no address leads there.
bool IsUnixSocket(const Host& host) { return absl::StartsWith(host.ip, "/"); }
bool IsIpv6(const Host& host) {
  return !IsUnixSocket(host) && absl::StrContains(host.ip, ':');
}

std::string DomainOf(const std::string& address) {
  const std::size_t at = address.rfind('@');
  return at == std::string::npos ? std::string() : absl::AsciiStrToLower(address.substr(at + 1));
}

MessageClass ClassOf(const Job& job) {
  if (job.reverse_path.empty()) return MessageClass::kNotification;
  if (job.options.priority < 0) return MessageClass::kBulk;
  return job.options.priority > 0 ? MessageClass::kUrgent : MessageClass::kNormal;
}

}  // namespace

// Of a connection that counts against a limit.
class TrafficGate::Place final : public ConnectionPlace {
 public:
  Place(TrafficGate& gate, TrafficPort::Slot slot) : gate_(gate), slot_(std::move(slot)) {
    gate_.places_.insert(this);
  }
  ~Place() override {
    gate_.places_.erase(this);
    gate_.Drop(*this);
  }
  const TrafficPort::Slot& slot() const { return slot_; }

 private:
  TrafficGate& gate_;
  const TrafficPort::Slot slot_;
};

TrafficGate::TrafficGate(TrafficSettings settings, Executor& executor, TrafficPort& port,
                         const Clock& clock)
    : settings_(std::move(settings)),
      executor_(executor),
      port_(port),
      clock_(clock),
      self_(std::make_shared<TrafficGate*>(this)) {}

TrafficGate::~TrafficGate() { *self_ = nullptr; }

TrafficGate::Passage TrafficGate::PassageFor(const Job& job,
                                             const std::vector<Host>& hosts) const {
  Passage passage;
  passage.tenant = job.key.tenant;
  passage.domain = job.key.destination;
  passage.site = SiteOf(hosts);
  passage.rule = &settings_.rules.For(passage.domain, hosts);
  for (const Host& host : hosts) {
    if (!IsUnixSocket(host)) (IsIpv6(host) ? passage.ipv6 : passage.ipv4) = true;
  }
  if (!settings_.sources.empty() && (passage.ipv4 || passage.ipv6)) {
    passage.pool = &settings_.sources.PoolFor(job.key.tenant, DomainOf(job.reverse_path),
                                              ClassOf(job), passage.rule->source_pool);
  }
  return passage;
}

std::vector<Host> TrafficGate::Arrange(std::vector<Host> hosts) const {
  const IpPreference preference = settings_.preference;
  if (preference == IpPreference::kIpv4Only) std::erase_if(hosts, IsIpv6);
  if (preference == IpPreference::kIpv6Only) {
    std::erase_if(hosts, [](const Host& host) { return !IsIpv6(host) && !IsUnixSocket(host); });
  }
  const bool ipv6_first = preference == IpPreference::kIpv6First;
  for (auto first = hosts.begin(); first != hosts.end();) {
    const auto last = std::find_if(first, hosts.end(), [&first](const Host& host) {
      return host.name != first->name || host.preference != first->preference;
    });
    std::stable_partition(first, last,
                          [ipv6_first](const Host& host) { return IsIpv6(host) == ipv6_first; });
    first = last;
  }
  return hosts;
}

absl::Duration TrafficGate::Spread(absl::Duration wait) const {
  const absl::Duration most = std::min(wait / 10, absl::Minutes(1));
  return wait + most * static_cast<double>(settings_.random(1000)) / 1000;
}

Task<TrafficGate::Pass> TrafficGate::Admit(Passage passage) {
  const absl::Time now = clock_.Now();
  Pass pass;
  TrafficPort::Question question;
  std::vector<const Source*> candidates;
  bool counted = passage.rule->limits.rated();
  if (passage.pool != nullptr) {
    candidates = settings_.sources.Candidates(*passage.pool, passage.ipv4, passage.ipv6, now,
                                              settings_.random);
    if (candidates.empty()) {
      pass.until = now + Spread(kWithoutSource);
      pass.reason = absl::StrCat("source pool ", passage.pool->name, " has no address for it here");
      co_return pass;
    }
    for (const Source* source : candidates) {
      TrafficPort::SourceOffer offer;
      offer.name = source->name();
      offer.per_day = source->Allowed(now).value_or(0);
      counted = counted || offer.per_day > 0;
      question.sources.push_back(std::move(offer));
    }
  }
  const std::string site_key = absl::StrCat(passage.site, " ");
  const std::string key = absl::StrCat(site_key, passage.domain);
  for (const std::string& one : {site_key, key}) {
    const auto it = known_.find(one);
    if (it == known_.end()) continue;
    if (!counted && now < it->second) {
      pass.granted = true;
      if (!candidates.empty()) pass.source = candidates.front();
      co_return pass;
    }
  }
  question.tenant = passage.tenant;
  question.site = passage.site;
  question.rule = passage.rule->name();
  question.domain = passage.domain;
  question.limits = passage.rule->limits;
  const absl::StatusOr<TrafficPort::Answer> answer = co_await port_.Admit(std::move(question));
  if (known_.size() >= kMaxKnown) known_.clear();
  if (!answer.ok()) {
    pass.granted = !counted;
    if (pass.granted) known_[site_key] = clock_.Now() + kOpenWithoutAnswer;
    pass.until = clock_.Now() + Spread(kWithoutAnswer);
    pass.reason = "limits are not known for the moment";
    if (!candidates.empty()) pass.source = candidates.front();
    co_return pass;
  }
  const absl::Time then = clock_.Now();
  pass.granted = answer->granted;
  pass.probe = answer->probe;
  if (answer->granted) {
    if (answer->free_for > absl::ZeroDuration()) {
      known_[answer->whole_site ? site_key : key] = then + answer->free_for;
    }
    const auto source = static_cast<std::size_t>(std::max(0, answer->source));
    if (source < candidates.size()) {
      pass.source = candidates[source];
      pass.warming_up = pass.source->Allowed(now).value_or(0) > 0;
    }
    co_return pass;
  }
  pass.until = then + answer->wait;
  pass.reason = answer->reason;
  // Not remembered: who takes it back wants all that waits to go.
  if (answer->whole_site) Forget(passage.site);
  co_return pass;
}

void TrafficGate::OnReply(const Passage& passage, const Pass& pass, const Host& host,
                          const smtp::client::Reply& reply) {
  const ReplyRule* const rule =
      settings_.replies.Find(reply.code, reply.enhanced, reply.text(), host.name);
  if (rule == nullptr) return;
  TrafficPort::Notice notice;
  notice.site = passage.site;
  notice.domain = passage.domain;
  notice.duration = rule->duration;
  notice.reason = absl::StrCat(reply.code, reply.enhanced.empty() ? "" : " ", reply.enhanced, " ",
                               reply.text());
  switch (rule->action) {
    case ReplyRule::Action::kNone:
      return;
    case ReplyRule::Action::kSlowDown:
      notice.action = TrafficPort::Action::kSlowDown;
      break;
    case ReplyRule::Action::kPause:
      notice.action = TrafficPort::Action::kPause;
      break;
    case ReplyRule::Action::kSwitch:
      notice.action = pass.source == nullptr ? TrafficPort::Action::kPause
                                             : TrafficPort::Action::kAvoidSource;
      if (pass.source != nullptr) notice.source = pass.source->name();
      break;
  }
  Note(std::move(notice));
}

void TrafficGate::OnDead(const Passage& passage, const Pass& pass, const std::string& reason) {
  TrafficPort::Notice notice;
  notice.site = passage.site;
  notice.domain = passage.domain;
  notice.action = TrafficPort::Action::kDead;
  notice.reason = reason;
  notice.probe = pass.probe;
  Note(std::move(notice));
}

void TrafficGate::OnAlive(const Passage& passage, const Pass& pass) {
  if (!pass.probe) return;
  TrafficPort::Notice notice;
  notice.site = passage.site;
  notice.domain = passage.domain;
  notice.action = TrafficPort::Action::kAlive;
  notice.probe = true;
  Note(std::move(notice));
}

void TrafficGate::OnUnused(const Passage& passage, const Pass& pass) {
  if (!pass.warming_up) return;
  TrafficPort::Notice notice;
  notice.site = passage.site;
  notice.domain = passage.domain;
  notice.action = TrafficPort::Action::kUnused;
  notice.source = pass.source->name();
  ++tasks_;
  Spawn(executor_, Send(std::move(notice)));
}

void TrafficGate::Note(TrafficPort::Notice notice) {
  Forget(notice.site);
  const absl::Time now = clock_.Now();
  if (noted_.size() >= kMaxKnown) noted_.clear();
  absl::Time& last =
      noted_
          .try_emplace(absl::StrCat(notice.site, " ", static_cast<int>(notice.action), " ",
                                    notice.source),
                       absl::InfinitePast())
          .first->second;
  // A probe's result is waited for.
  if (!notice.probe && now - last < kNoteEvery) return;
  last = now;
  log::Info("delivery", "traffic",
            {{"site", notice.site},
             {"action", static_cast<int>(notice.action)},
             {"source", notice.source},
             {"reason", notice.reason}});
  ++tasks_;
  Spawn(executor_, Send(std::move(notice)));
}

Task<void> TrafficGate::Send(TrafficPort::Notice notice) {
  const std::string site = notice.site;
  const absl::Status noted = co_await port_.Note(std::move(notice));
  if (!noted.ok()) log::Debug("delivery", "note failed", {{"site", site}, {"error", noted}});
  // What was asked before the note arrived.
  Forget(site);
  --tasks_;
}

void TrafficGate::Forget(const std::string& site) {
  const std::string prefix = absl::StrCat(site, " ");
  absl::erase_if(known_,
                 [&prefix](const auto& known) { return absl::StartsWith(known.first, prefix); });
}

ConnectionShape TrafficGate::ShapeFor(const Passage& passage, const Pass& pass, const Host& host) {
  ConnectionShape shape;
  if (pass.source != nullptr) {
    shape.origin.ip = pass.source->AddressFor(host.ip);
    shape.origin.hostname = pass.source->hostname;
  }
  shape.messages_per_connection = passage.rule->messages_per_connection;
  shape.probe = pass.probe;
  shape.tenant = passage.tenant;
  shape.site = passage.site;
  shape.rule = passage.rule->name();
  shape.connections = passage.rule->limits.connections;
  if (shape.connections > 0) shape.places = this;
  return shape;
}

Task<absl::StatusOr<std::unique_ptr<ConnectionPlace>>> TrafficGate::Take(ConnectionShape& shape) {
  // One that was given up a moment ago, and not told of yet.
  const auto spare =
      std::find_if(dropped_.begin(), dropped_.end(), [&shape](const TrafficPort::Slot& slot) {
        return slot.site == shape.site && slot.rule == shape.rule;
      });
  if (spare != dropped_.end()) {
    TrafficPort::Slot again = std::move(*spare);
    dropped_.erase(spare);
    std::unique_ptr<ConnectionPlace> kept = std::make_unique<Place>(*this, std::move(again));
    ScheduleHold(kHoldEvery);
    co_return kept;
  }
  TrafficPort::Slot slot;
  slot.site = shape.site;
  slot.rule = shape.rule;
  slot.token = MessageId::Generate(clock_.Now()).ToString();
  const absl::StatusOr<TrafficPort::SlotAnswer> answer =
      co_await port_.TakeConnection(shape.tenant, slot, shape.connections);
  if (!answer.ok() || !answer->granted) {
    shape.refused_until =
        clock_.Now() + (answer.ok() ? answer->wait : Spread(kWithoutAnswer));
    co_return MakeFailure(Failure::kUnavailable, "the destination's connections are limited");
  }
  std::unique_ptr<ConnectionPlace> place = std::make_unique<Place>(*this, std::move(slot));
  ScheduleHold(kHoldEvery);
  co_return place;
}

void TrafficGate::Drop(const Place& place) {
  if (closed_) return;
  dropped_.push_back(place.slot());
  ScheduleHold(kDropSoon);
}

void TrafficGate::ScheduleHold(absl::Duration after) {
  // One timer for renewals is always under way while there are places; one for drops comes sooner.
  const bool renewal = after == kHoldEvery;
  if (renewal && hold_scheduled_) return;
  if (renewal) hold_scheduled_ = true;
  executor_.PostAfter(after, [self = self_, renewal] {
    TrafficGate* const gate = *self;
    if (gate == nullptr) return;
    if (renewal) gate->hold_scheduled_ = false;
    if (gate->closed_ || (!renewal && gate->dropped_.empty())) return;
    ++gate->tasks_;
    Spawn(gate->executor_, gate->Hold());
  });
}

Task<void> TrafficGate::Hold() {
  std::vector<TrafficPort::Slot> keep, drop = std::exchange(dropped_, {});
  const absl::Time now = clock_.Now();
  if (now - held_at_ >= kHoldEvery / 2) {
    held_at_ = now;
    for (const Place* place : places_) keep.push_back(place->slot());
  }
  const absl::Status held = co_await port_.HoldConnections(std::move(keep), std::move(drop));
  if (!held.ok()) log::Debug("delivery", "places not held", {{"error", held}});
  if (!places_.empty() && !closed_) ScheduleHold(kHoldEvery);
  --tasks_;
}

}  // namespace posthorn::delivery
