#include "services/delivery/sources.h"

#include <arpa/inet.h>

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "services/delivery/traffic_rules.h"

namespace posthorn::delivery {
namespace {

bool IsAddress(int family, const std::string& text) {
  unsigned char buffer[16];
  return inet_pton(family, text.c_str(), buffer) == 1;
}

absl::Status Check(const Source& source) {
  if (source.ipv4.empty() && source.ipv6.empty()) {
    return absl::InvalidArgumentError("a source needs an address");
  }
  if (!source.ipv4.empty() && !IsAddress(AF_INET, source.ipv4)) {
    return absl::InvalidArgumentError(absl::StrCat("\"", source.ipv4, "\" is no IPv4 address"));
  }
  if (!source.ipv6.empty() && !IsAddress(AF_INET6, source.ipv6)) {
    return absl::InvalidArgumentError(absl::StrCat("\"", source.ipv6, "\" is no IPv6 address"));
  }
  return absl::OkStatus();
}

}  // namespace

const std::string& Source::AddressFor(std::string_view ip) const {
  return ip.find(':') == std::string_view::npos ? ipv4 : ipv6;
}

std::optional<std::int64_t> Source::Allowed(absl::Time now) const {
  if (!warm_up_start.has_value()) return 0;
  const absl::civil_diff_t day = absl::ToCivilDay(now, absl::UTCTimeZone()) - *warm_up_start;
  if (day < 0) return std::nullopt;
  if (day >= static_cast<absl::civil_diff_t>(warm_up.size())) return 0;
  return warm_up[static_cast<std::size_t>(day)];
}

absl::StatusOr<Sources> Sources::Create(std::vector<SourcePool> pools,
                                        std::vector<SourceRule> rules) {
  Sources sources;
  std::set<std::string> names;
  for (const SourcePool& pool : pools) {
    if (pool.name.empty()) return absl::InvalidArgumentError("a source pool needs a name");
    if (!names.insert(pool.name).second) {
      return absl::InvalidArgumentError(absl::StrCat("two source pools \"", pool.name, "\""));
    }
    for (const Source& source : pool.sources) {
      if (absl::Status s = Check(source); !s.ok()) {
        return absl::InvalidArgumentError(
            absl::StrCat("source pool \"", pool.name, "\": ", s.message()));
      }
    }
  }
  for (const SourcePool& pool : pools) {
    if (!pool.overflow.empty() && !names.contains(pool.overflow)) {
      return absl::InvalidArgumentError(
          absl::StrCat("source pool \"", pool.name, "\": no pool \"", pool.overflow, "\""));
    }
  }
  for (SourceRule& rule : rules) {
    rule.sender_domain = absl::AsciiStrToLower(rule.sender_domain);
    if (!names.contains(rule.pool)) {
      return absl::InvalidArgumentError(
          absl::StrCat("a source rule names no pool: \"", rule.pool, "\""));
    }
    if (!IsPattern(rule.sender_domain)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "source rule: \"", rule.sender_domain, "\" is neither a name nor \"*.name\" nor \"*\""));
    }
  }
  sources.pools_ = std::move(pools);
  sources.rules_ = std::move(rules);
  return sources;
}

const SourcePool* Sources::Find(std::string_view name) const {
  for (const SourcePool& pool : pools_) {
    if (pool.name == name) return &pool;
  }
  return nullptr;
}

const SourcePool& Sources::PoolFor(TenantId tenant, std::string_view sender_domain,
                                   MessageClass message_class, std::string_view fallback) const {
  for (const SourceRule& rule : rules_) {
    const bool fits = (!rule.tenant || rule.tenant == tenant) &&
                      FitsPattern(rule.sender_domain, sender_domain) &&
                      (!rule.message_class.has_value() || *rule.message_class == message_class);
    if (fits) return *Find(rule.pool);
  }
  const SourcePool* const named = fallback.empty() ? nullptr : Find(fallback);
  return named != nullptr ? *named : pools_.front();
}

std::vector<const Source*> Sources::Candidates(
    const SourcePool& pool, bool ipv4, bool ipv6, absl::Time now,
    const std::function<std::size_t(std::size_t)>& random) const {
  std::vector<const Source*> order;
  std::set<const SourcePool*> seen;
  for (const SourcePool* next = &pool; next != nullptr && seen.insert(next).second;
       next = next->overflow.empty() ? nullptr : Find(next->overflow)) {
    std::vector<const Source*> left;
    std::size_t weight = 0;
    for (const Source& source : next->sources) {
      const bool reaches = (ipv4 && !source.ipv4.empty()) || (ipv6 && !source.ipv6.empty());
      if (!reaches || !source.Allowed(now).has_value()) continue;
      left.push_back(&source);
      weight += static_cast<std::size_t>(source.weight);
    }
    while (!left.empty()) {
      std::size_t at = random(weight);
      auto chosen = left.begin();
      while (at >= static_cast<std::size_t>((*chosen)->weight)) {
        at -= static_cast<std::size_t>((*chosen)->weight);
        ++chosen;
      }
      weight -= static_cast<std::size_t>((*chosen)->weight);
      order.push_back(*chosen);
      left.erase(chosen);
    }
  }
  return order;
}

}  // namespace posthorn::delivery
