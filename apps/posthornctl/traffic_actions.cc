#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "apps/posthornctl/actions.h"
#include "apps/posthornctl/show.h"

namespace posthorn::ctl {
namespace {

using queue::v1::SiteRule;
using queue::v1::SiteState;
using Stub = Session::Stub;

constexpr std::int64_t kForEver = 253402300799;  // the end of 9999
constexpr int kShownDomains = 3;

// "2/s", "30/min", "12/h": in the largest unit that is not less than one.
std::string FormatRate(double per_second) {
  if (per_second <= 0) return "";
  if (per_second >= 1) return absl::StrFormat("%.3g/s", per_second);
  if (per_second * 60 >= 1) return absl::StrFormat("%.3g/min", per_second * 60);
  return absl::StrFormat("%.3g/h", per_second * 3600);
}

std::string RateOf(const SiteState& site) {
  std::vector<std::string> rates;
  for (const SiteRule& rule : site.rules()) {
    std::string rate = FormatRate(rule.messages_per_second());
    if (rate.empty()) continue;
    if (site.rules_size() > 1) absl::StrAppend(&rate, " (", rule.rule(), ")");
    rates.push_back(std::move(rate));
  }
  if (site.slowed() > 0) rates.push_back(absl::StrCat("halved ", site.slowed(), "x"));
  return rates.empty() ? "-" : absl::StrJoin(rates, ", ");
}

std::string ConnectionsOf(const SiteState& site) {
  std::vector<std::string> counts;
  for (const SiteRule& rule : site.rules()) {
    if (rule.limits().connections() == 0) continue;
    counts.push_back(absl::StrCat(rule.connections(), " of ", rule.limits().connections()));
  }
  return counts.empty() ? "-" : absl::StrJoin(counts, ", ");
}

std::string UntilOf(const SiteState& site) {
  if (site.has_paused_until()) {
    const std::int64_t until = site.paused_until().seconds();
    return until >= kForEver ? "resumed" : FormatTime(until);
  }
  return site.has_probe_at() ? FormatTime(site.probe_at().seconds()) : "-";
}

std::string WhyOf(const SiteState& site) {
  std::string why = site.by_operator() ? absl::StrCat("operator: ", site.reason()) : site.reason();
  if (site.avoided_sources_size() > 0) {
    absl::StrAppend(&why, why.empty() ? "" : "; ", "not from ",
                    absl::StrJoin(site.avoided_sources(), ", "));
  }
  return why.empty() ? "-" : why;
}

std::string DomainsOf(const SiteState& site) {
  if (site.waiting_domains().empty()) return "-";
  const int shown = std::min(kShownDomains, site.waiting_domains_size());
  std::string text = absl::StrJoin(site.waiting_domains().begin(),
                                   site.waiting_domains().begin() + shown, ", ");
  const int more = site.waiting_domains_size() - shown;
  if (more > 0) absl::StrAppend(&text, " and ", more, " more");
  return text;
}

Columns<SiteState> SiteColumns() {
  return {{"SITE", "STATE", "RATE", "CONNECTIONS", "UNTIL", "WHY", "DOMAINS"},
          [](const SiteState& site) {
            return std::vector<std::string>{site.site(),         site.state(),  RateOf(site),
                                            ConnectionsOf(site), UntilOf(site), WhyOf(site),
                                            DomainsOf(site)};
          }};
}

}  // namespace

absl::Status ListSites(Session& session, const std::string& name) {
  queue::v1::ListSitesRequest request;
  request.set_name(name);
  const auto found = session.Call(&Stub::ListSites, request);
  if (!found.ok()) return found.status();
  const std::vector<SiteState> sites(found->sites().begin(), found->sites().end());
  ShowList(session, SiteColumns(), sites);
  return absl::OkStatus();
}

absl::Status PauseSite(Session& session, const std::string& pattern, std::int64_t seconds,
                       const std::string& reason) {
  queue::v1::PauseRequest request;
  request.set_pattern(pattern);
  request.set_seconds(seconds);
  request.set_reason(reason);
  const auto paused = session.Call(&Stub::PauseSite, request);
  return Done(session, paused, absl::StrCat("mail for ", pattern, " waits"));
}

absl::Status ResumeSite(Session& session, const std::string& pattern) {
  queue::v1::ResumeRequest request;
  request.set_pattern(pattern);
  const auto resumed = session.Call(&Stub::ResumeSite, request);
  if (!resumed.ok()) return resumed.status();
  if (session.json()) {
    std::cout << ToJson(*resumed) << "\n";
  } else {
    std::cout << "mail for " << pattern << " goes on; " << resumed->jobs()
              << " deliveries are due now\n";
  }
  return absl::OkStatus();
}

}  // namespace posthorn::ctl
