// What operators ask of the queue: the spool is changed, then the schedule is told.

#include <utility>

#include "lib/base/failure.h"
#include "services/queue/core.h"

namespace posthorn::queue {

using Kind = Schedule::Change::Kind;

Task<absl::StatusOr<std::vector<QueuedMessage>>> Core::List(Filter filter, int limit,
                                                            std::optional<MessageId> after) {
  return spool_.List(std::move(filter), limit, after);
}

Task<absl::StatusOr<History>> Core::HistoryOf(TenantId tenant, MessageId message) {
  return spool_.HistoryOf(tenant, message);
}

Task<absl::StatusOr<int>> Core::Retry(Filter filter) {
  return MakeDue(spool_.Retry(std::move(filter)));
}
Task<absl::StatusOr<int>> Core::Release(Filter filter) {
  return MakeDue(spool_.Release(std::move(filter)));
}
Task<absl::StatusOr<int>> Core::Bounce(Filter filter, std::string reason) {
  return MakeDue(spool_.Bounce(std::move(filter), std::move(reason)));
}
Task<absl::StatusOr<int>> Core::Reroute(Filter filter, std::string hosts) {
  return MakeDue(spool_.Reroute(std::move(filter), std::move(hosts)));
}

Task<absl::StatusOr<int>> Core::Hold(Filter filter) {
  const absl::StatusOr<std::vector<JobRef>> jobs = co_await spool_.Hold(std::move(filter));
  if (!jobs.ok()) co_return jobs.status();
  // What the schedule still hands out is found not to be due.
  co_return static_cast<int>(jobs->size());
}

Task<absl::StatusOr<int>> Core::Resume(std::string pattern) {
  const absl::StatusOr<std::vector<SiteState>> known = co_await traffic_.List(pattern);
  if (!known.ok()) co_return known.status();
  const absl::StatusOr<bool> removed = co_await pauses_.Remove(pattern);
  if (!removed.ok()) co_return removed.status();
  const absl::StatusOr<std::vector<std::string>> domains = co_await traffic_.Clear(pattern);
  if (!domains.ok()) co_return domains.status();
  traffic_.standstills().Forget();
  if (!*removed && known->empty()) {
    co_return MakeFailure(Failure::kNotFound, "Nothing keeps mail from going there");
  }
  // Other replicas must not send away what is due now.
  if (*removed) co_await SleepFor(options_.load_pauses_every * 5 / 4);
  int jobs = 0;
  for (const std::string& domain : *domains) {
    Filter filter;
    filter.destination = domain;
    const absl::StatusOr<int> due = co_await Retry(std::move(filter));
    if (!due.ok()) co_return due.status();
    jobs += *due;
  }
  co_return jobs;
}

Task<absl::StatusOr<std::vector<DestinationSummary>>> Core::Summarize(TenantId tenant, int limit) {
  return spool_.Summarize(tenant, limit);
}

Task<absl::StatusOr<int>> Core::MakeDue(Task<absl::StatusOr<std::vector<JobRef>>> change) {
  const absl::StatusOr<std::vector<JobRef>> jobs = co_await std::move(change);
  if (!jobs.ok()) co_return jobs.status();
  if (!jobs->empty()) co_await traffic_.ProbeNow();
  const absl::Time now = clock_.Now();
  std::vector<Schedule::Change> changes;
  for (const JobRef& job : *jobs) changes.emplace_back(Kind::kDueOrSooner, job, now);
  Tell(std::move(changes));
  co_return static_cast<int>(jobs->size());
}

Task<absl::StatusOr<int>> Core::Cancel(Filter filter) {
  const absl::StatusOr<Spool::CancelResult> result = co_await spool_.Cancel(std::move(filter));
  if (!result.ok()) co_return result.status();
  std::vector<Schedule::Change> changes;
  for (const JobRef& job : result->jobs) changes.emplace_back(Kind::kGone, job);
  Tell(std::move(changes));
  co_return result->recipients;
}

}  // namespace posthorn::queue
