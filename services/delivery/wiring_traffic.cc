#include "services/delivery/wiring_traffic.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "lib/telemetry/log.h"
#include "posthorn/config/v1/config.pb.h"

namespace posthorn::delivery {
namespace {

// The default of Source.warm_up_messages in the configuration, for lists of the reader's own making.
constexpr int kWarmUp[] = {50,   100,  200,   400,   800,   1600,
                           3200, 6400, 12800, 25600, 51200, 100000};

bool IsOurs(const std::string& ip) {
  sockaddr_storage address = {};
  socklen_t size = 0;
  if (auto* v4 = reinterpret_cast<sockaddr_in*>(&address);
      inet_pton(AF_INET, ip.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    size = sizeof(sockaddr_in);
  } else if (auto* v6 = reinterpret_cast<sockaddr_in6*>(&address);
             inet_pton(AF_INET6, ip.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    size = sizeof(sockaddr_in6);
  } else {
    return true;  // Sources::Create says what is wrong with it
  }
  const int fd = ::socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  const bool bound = ::bind(fd, reinterpret_cast<const sockaddr*>(&address), size) == 0;
  ::close(fd);
  return bound;
}

// What this machine has of it.
std::string OursOf(const std::string& ip, const std::string& pool) {
  if (ip.empty() || IsOurs(ip)) return ip;
  log::Warn("delivery", "this machine has no such source address", {{"pool", pool}, {"ip", ip}});
  return std::string();
}

absl::StatusOr<absl::CivilDay> DayOf(const std::string& text) {
  const std::vector<std::string> parts = absl::StrSplit(text, '-');
  int year = 0, month = 0, day = 0;
  const bool read = parts.size() == 3 && absl::SimpleAtoi(parts[0], &year) &&
                    absl::SimpleAtoi(parts[1], &month) && absl::SimpleAtoi(parts[2], &day);
  const absl::CivilDay result(year, month, day);
  if (!read || result.month() != month || result.day() != day) {
    return absl::InvalidArgumentError(absl::StrCat("\"", text, "\" is no day (2026-11-26)"));
  }
  return result;
}

absl::StatusOr<Source> SourceOf(const config::v1::Source& from) {
  Source source;
  source.ipv4 = from.ipv4();
  source.ipv6 = from.ipv6();
  source.hostname = from.hostname();
  source.weight = std::max(1, from.weight());
  if (!from.warm_up_start().empty()) {
    const absl::StatusOr<absl::CivilDay> day = DayOf(from.warm_up_start());
    if (!day.ok()) return day.status();
    source.warm_up_start = *day;
    for (const int messages : from.warm_up_messages()) source.warm_up.push_back(messages);
    if (source.warm_up.empty()) source.warm_up.assign(std::begin(kWarmUp), std::end(kWarmUp));
  }
  return source;
}

std::optional<MessageClass> ClassOf(const std::string& name) {
  if (name == "normal") return MessageClass::kNormal;
  if (name == "notification") return MessageClass::kNotification;
  if (name == "bulk") return MessageClass::kBulk;
  if (name == "urgent") return MessageClass::kUrgent;
  return std::nullopt;
}

absl::StatusOr<Sources> SourcesOf(const config::v1::Delivery& config) {
  std::vector<SourcePool> pools;
  std::vector<SourceRule> rules;
  for (int i = 0; i < config.source_pools_size(); ++i) {
    const config::v1::SourcePool& from = config.source_pools(i);
    SourcePool pool;
    pool.name = from.name();
    pool.overflow = from.overflow();
    for (int k = 0; k < from.sources_size(); ++k) {
      absl::StatusOr<Source> source = SourceOf(from.sources(k));
      if (!source.ok()) {
        return absl::InvalidArgumentError(absl::StrCat("delivery.source_pools[", i, "].sources[",
                                                       k, "]: ", source.status().message()));
      }
      pool.sources.push_back(*std::move(source));
    }
    pools.push_back(std::move(pool));
  }
  for (const config::v1::SourceRule& from : config.source_rules()) {
    SourceRule rule;
    rule.tenant = TenantId(from.tenant_id());
    if (!from.sender_domain().empty()) rule.sender_domain = from.sender_domain();
    rule.message_class = ClassOf(from.message_class());
    rule.pool = from.pool();
    rules.push_back(std::move(rule));
  }
  // What is wrong is said before what is missing here.
  absl::StatusOr<Sources> checked = Sources::Create(pools, rules);
  if (!checked.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("delivery.source_pools: ", checked.status().message()));
  }
  for (SourcePool& pool : pools) {
    for (Source& source : pool.sources) {
      source.ipv4 = OursOf(source.ipv4, pool.name);
      source.ipv6 = OursOf(source.ipv6, pool.name);
    }
    std::erase_if(pool.sources, [](const Source& source) {
      return source.ipv4.empty() && source.ipv6.empty();
    });
  }
  return Sources::Create(std::move(pools), std::move(rules));
}

ReplyRule::Action ActionOf(const std::string& name) {
  if (name == "pause") return ReplyRule::Action::kPause;
  if (name == "switch") return ReplyRule::Action::kSwitch;
  if (name == "none") return ReplyRule::Action::kNone;
  return ReplyRule::Action::kSlowDown;
}

IpPreference PreferenceOf(const std::string& name) {
  if (name == "ipv6") return IpPreference::kIpv6First;
  if (name == "ipv4_only") return IpPreference::kIpv4Only;
  if (name == "ipv6_only") return IpPreference::kIpv6Only;
  return IpPreference::kIpv4First;
}

}  // namespace

absl::StatusOr<TrafficSettings> TrafficSettingsOf(const config::v1::Delivery& config) {
  TrafficSettings settings;
  const auto wrong = [](absl::string_view key, int index, const absl::Status& status) {
    return absl::InvalidArgumentError(
        absl::StrCat("delivery.", key, "[", index, "]: ", status.message()));
  };
  absl::StatusOr<Sources> sources = SourcesOf(config);
  if (!sources.ok()) return sources.status();
  settings.sources = *std::move(sources);
  for (int i = 0; i < config.traffic_size(); ++i) {
    const config::v1::TrafficRule& from = config.traffic(i);
    TrafficRule rule;
    if (!from.domain().empty()) rule.domain = from.domain();
    if (!from.mx().empty()) rule.mx = from.mx();
    rule.limits.connections = from.connections();
    rule.limits.per_second = from.messages_per_second();
    rule.limits.per_minute = from.messages_per_minute();
    rule.limits.per_hour = from.messages_per_hour();
    rule.messages_per_connection = from.messages_per_connection();
    rule.recipients_per_transaction = static_cast<std::size_t>(from.recipients_per_transaction());
    rule.source_pool = from.source_pool();
    if (!rule.source_pool.empty()) {
      bool known = false;
      for (const config::v1::SourcePool& pool : config.source_pools()) {
        known = known || pool.name() == rule.source_pool;
      }
      if (!known) {
        return wrong("traffic", i, absl::InvalidArgumentError("source_pool names no pool"));
      }
    }
    if (absl::Status s = settings.rules.Add(std::move(rule)); !s.ok()) return wrong("traffic", i, s);
  }
  for (int i = 0; i < config.replies_size(); ++i) {
    const config::v1::ReplyRule& from = config.replies(i);
    ReplyRule rule;
    rule.code = from.code();
    rule.status = from.status();
    rule.text = from.text();
    if (!from.mx().empty()) rule.mx = from.mx();
    rule.action = ActionOf(from.action());
    if (from.seconds() > 0) rule.duration = absl::Seconds(from.seconds());
    if (absl::Status s = settings.replies.Add(std::move(rule)); !s.ok()) return wrong("replies", i, s);
  }
  settings.preference = PreferenceOf(config.ip_preference());
  return settings;
}

}  // namespace posthorn::delivery
