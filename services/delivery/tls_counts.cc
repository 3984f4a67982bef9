#include "services/delivery/tls_counts.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/civil_time.h"
#include "lib/telemetry/metrics.h"

namespace posthorn::delivery {
namespace {

// What is passed on of what others publish and say.
constexpr std::size_t kMaxPolicyOctets = 8 * 1024;
constexpr std::size_t kMaxText = 500;

// On one line of ASCII, as the reports and the wire have it.
std::string Clean(std::string text) {
  if (text.size() > kMaxText) text.resize(kMaxText);
  for (char& c : text) {
    if (static_cast<unsigned char>(c) >= 0x7f || static_cast<unsigned char>(c) < 0x20) c = '?';
  }
  return text;
}

std::vector<std::string> Clean(const std::vector<std::string>& lines) {
  std::vector<std::string> clean;
  std::size_t octets = 0;
  for (const std::string& line : lines) {
    octets += line.size() + 1;
    if (octets > kMaxPolicyOctets) break;
    clean.push_back(Clean(line));
  }
  return clean;
}

}  // namespace

int DayOf(absl::Time time) {
  return static_cast<int>(absl::ToCivilDay(time, absl::UTCTimeZone()) - absl::CivilDay(1970, 1, 1));
}

void TlsCounts::OnTlsSession(const TlsRule& rule, const TlsOutcome& outcome) {
  next_.OnTlsSession(rule, outcome);
  if (rule.note == nullptr || rule.note->domain.empty()) return;
  TlsCount count;
  count.day = DayOf(clock_.Now());
  count.domain = rule.note->domain;
  count.policy.type = rule.note->type;
  count.policy.policy_domain =
      rule.note->policy_domain.empty() ? rule.note->domain : rule.note->policy_domain;
  count.policy.text = Clean(rule.note->text);
  count.policy.mx = Clean(rule.note->mx);
  if (!outcome.result.empty()) {
    count.outcome = outcome;
    count.outcome.text = Clean(outcome.text);
  }
  Key key(count.day, count.domain,
          absl::StrCat(count.policy.type, " ", count.policy.policy_domain),
          absl::StrCat(absl::StrJoin(count.policy.text, "\n"), "\n\n",
                       absl::StrJoin(count.policy.mx, "\n")),
          count.outcome.result, count.outcome.host, count.outcome.ip, count.outcome.sending_ip);
  const std::lock_guard<std::mutex> lock(mutex_);
  auto it = counts_.find(key);
  if (it == counts_.end()) {
    if (counts_.size() >= kMaxOutcomes) {
      metrics::MakeCounter("posthorn_delivery_tls_results_dropped_total",
                           "Outcomes of TLS that no report will tell of, since the queue service "
                           "did not take those before.")
          .Increment();
      return;
    }
    it = counts_.emplace(std::move(key), std::move(count)).first;
  }
  ++it->second.sessions;
}

std::vector<TlsCount> TlsCounts::Take(std::size_t limit) {
  std::vector<TlsCount> taken;
  const std::lock_guard<std::mutex> lock(mutex_);
  while (!counts_.empty() && taken.size() < limit) {
    taken.push_back(std::move(counts_.begin()->second));
    counts_.erase(counts_.begin());
  }
  return taken;
}

}  // namespace posthorn::delivery
