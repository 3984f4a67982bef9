#include "services/queue/standstills.h"

#include <algorithm>

namespace posthorn::queue {
namespace {

constexpr std::size_t kMaxKnown = 10000;
constexpr std::size_t kMaxTrials = 200;
// Nobody is in line for longer, whatever the line was once.
constexpr absl::Duration kLongestLine = absl::Hours(2);

}  // namespace

void Standstills::Refused(TenantId tenant, std::string_view domain, std::string_view site,
                          absl::Time now) {
  std::lock_guard lock(mutex_);
  if (known_.size() >= kMaxKnown) known_.clear();
  Standstill& standstill = known_[Key(tenant, domain)];
  if (standstill.site != site) {
    standstill.trials.clear();
    standstill.site = site;
  }
  standstill.refused = now;
}

void Standstills::Passed(TenantId tenant, std::string_view domain) {
  std::lock_guard lock(mutex_);
  if (!known_.empty()) known_.erase(Key(tenant, domain));
}

void Standstills::Forget() {
  std::lock_guard lock(mutex_);
  known_.clear();
  lines_.clear();
}

bool Standstills::empty() const {
  std::lock_guard lock(mutex_);
  return known_.empty();
}

std::optional<std::string> Standstills::SiteOf(TenantId tenant, std::string_view domain) const {
  std::lock_guard lock(mutex_);
  const auto known = known_.find(Key(tenant, domain));
  if (known == known_.end()) return std::nullopt;
  return known->second.site;
}

std::optional<absl::Time> Standstills::PutOff(TenantId tenant, std::string_view domain,
                                              std::string_view sender_domain, absl::Time until,
                                              absl::Time now) {
  std::lock_guard lock(mutex_);
  const auto known = known_.find(Key(tenant, domain));
  if (known == known_.end()) return std::nullopt;
  Standstill& standstill = known->second;
  auto trial = standstill.trials.find(sender_domain);
  if (trial == standstill.trials.end()) {
    if (standstill.trials.size() < kMaxTrials) {
      standstill.trials[std::string(sender_domain)].at = now;
    }
    return std::nullopt;
  }
  if (!trial->second.confirmed && now - trial->second.at >= kTrial) {
    trial->second.confirmed = standstill.refused >= trial->second.at;
    if (!trial->second.confirmed) {
      trial->second.at = now;  // it did not come to an answer
      return std::nullopt;
    }
  }
  if (!trial->second.confirmed) until = std::min(until, now + kTrial);
  if (lines_.size() >= kMaxKnown) lines_.clear();
  absl::Time& last = lines_.try_emplace(standstill.site, absl::InfinitePast()).first->second;
  last = std::max(until, std::min(last, until + kLongestLine) + kPace);
  return last;
}

}  // namespace posthorn::queue
