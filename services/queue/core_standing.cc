// Jobs whose destination stands still wait without being leased.

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "services/queue/core.h"
#include "services/queue/metrics.h"

namespace posthorn::queue {
namespace {

using Destination = std::pair<std::string, std::string>;  // domain, site

// An operator's pause may have no end.
constexpr absl::Duration kLongest = absl::Hours(12);

std::string SenderDomain(const std::string& reverse_path) {
  return reverse_path.substr(reverse_path.rfind('@') + 1);
}

}  // namespace

// Errors let jobs go: the worker asks again.
Task<std::vector<JobRef>> Core::PutOffStanding(std::vector<JobRef> jobs) {
  Standstills& standstills = traffic_.standstills();
  if (jobs.empty() || standstills.empty()) co_return jobs;
  const absl::StatusOr<std::vector<Spool::Candidate>> candidates =
      co_await spool_.Candidates(jobs);
  if (!candidates.ok()) co_return jobs;

  std::map<Destination, absl::Time> stand_until;
  for (const Spool::Candidate& job : *candidates) {
    const std::optional<std::string> site = standstills.SiteOf(job.ref.tenant, job.destination);
    if (site) stand_until[Destination(job.destination, *site)] = absl::InfinitePast();
  }
  if (stand_until.empty()) co_return jobs;
  std::vector<Destination> destinations;
  for (const auto& [destination, until] : stand_until) destinations.push_back(destination);
  const std::vector<absl::Time> times = co_await traffic_.StandUntil(destinations);
  for (std::size_t i = 0; i < destinations.size(); ++i) stand_until[destinations[i]] = times[i];

  const absl::Time now = clock_.Now();
  std::map<std::pair<TenantId, JobId>, std::pair<absl::Time, int>> waits;  // until, priority
  std::vector<std::pair<JobRef, absl::Time>> put_off;
  for (const Spool::Candidate& job : *candidates) {
    const std::optional<std::string> site = standstills.SiteOf(job.ref.tenant, job.destination);
    if (!site || job.look_at <= now) continue;
    const auto found = stand_until.find(Destination(job.destination, *site));
    if (found == stand_until.end()) continue;  // heard of since
    if (found->second <= now) {
      standstills.Passed(job.ref.tenant, job.destination);
      continue;
    }
    const std::optional<absl::Time> until =
        standstills.PutOff(job.ref.tenant, job.destination, SenderDomain(job.reverse_path),
                           std::min(found->second, now + kLongest), now);
    if (!until) continue;
    const absl::Time at = std::min(*until, job.look_at);
    const bool added =
        waits.emplace(std::pair(job.ref.tenant, job.ref.job), std::pair(at, job.priority)).second;
    if (added) put_off.emplace_back(job.ref, at);
  }
  if (put_off.empty()) co_return jobs;
  const absl::StatusOr<std::vector<JobRef>> waiting = co_await spool_.PutOff(std::move(put_off));
  if (!waiting.ok()) co_return jobs;

  std::set<std::pair<TenantId, JobId>> gone;
  for (const JobRef& job : *waiting) gone.emplace(job.tenant, job.job);
  std::vector<Schedule::Change> changes;
  std::vector<JobRef> rest;
  for (const JobRef& job : jobs) {
    const std::pair<TenantId, JobId> id(job.tenant, job.job);
    if (!gone.contains(id)) {
      rest.push_back(job);
      continue;
    }
    const auto& [until, priority] = waits.at(id);
    changes.emplace_back(Schedule::Change::Kind::kDue, job, until, priority);
  }
  Metrics::Get().left_waiting.Increment(static_cast<double>(gone.size()));
  co_await ApplyQuietly(schedule_, std::move(changes), now);
  co_return rest;
}

}  // namespace posthorn::queue
