#include "services/delivery/job_runner.h"

#include <algorithm>
#include <utility>

#include "lib/base/failure.h"
#include "lib/smtp/verp.h"
#include "lib/telemetry/log.h"
#include "services/delivery/delivery_metrics.h"

namespace posthorn::delivery {
namespace {

void Record(const Job& job, const std::vector<RecipientResult>& results, bool local) {
  for (std::size_t i = 0; i < results.size(); ++i) {
    const RecipientResult& result = results[i];
    std::string_view what = "delivered";
    if (result.outcome == Outcome::kDeferred && result.waits_until.has_value()) {
      log::Debug("delivery", "waits",
                 {{"id", job.message_id.ToString()},
                  {"to", job.recipients[i].address},
                  {"text", result.text}});
      continue;
    }
    switch (result.outcome) {
      case Outcome::kDelivered:
        (local ? Metrics().delivered_local : Metrics().delivered_remote).Increment();
        break;
      case Outcome::kDeferred:
        what = "deferred";
        Metrics().deferred.Increment();
        break;
      case Outcome::kBounced:
        what = "bounced";
        Metrics().bounced.Increment();
        break;
    }
    log::Info("delivery", what,
              {{"id", job.message_id.ToString()},
               {"to", job.recipients[i].address},
               {"host", result.remote_host},
               {"attempt", job.key.attempt},
               {"status", result.enhanced},
               {"text", result.text}});
  }
}

// Who was not tried stays as he was. Where nobody was tried in vain, the attempt doesn't count.
void LeaveOutWaiting(const Job& job, JobReport& report) {
  const auto waits = [](const RecipientResult& result) {
    return result.outcome == Outcome::kDeferred && result.waits_until.has_value();
  };
  if (std::none_of(report.results.begin(), report.results.end(), waits)) return;
  absl::Time until = absl::InfiniteFuture();
  bool tried = false;
  std::vector<std::int64_t> ids;
  std::vector<RecipientResult> results;
  for (std::size_t i = 0; i < report.results.size(); ++i) {
    RecipientResult& result = report.results[i];
    if (waits(result)) {
      until = std::min(until, *result.waits_until);
      continue;
    }
    tried = tried || result.outcome == Outcome::kDeferred;
    ids.push_back(report.recipient_ids[i]);
    results.push_back(std::move(result));
  }
  report.recipient_ids = std::move(ids);
  report.results = std::move(results);
  if (tried) return;
  report.waits_until = until;
  Metrics().waits.Increment();
  // A message that expires comes back in time to be returned.
  if (job.expires_at < report.retry_before.value_or(absl::InfiniteFuture())) {
    report.retry_before = job.expires_at;
  }
}

// No recipient fails for good without its notification: the next attempt finds the same.
void PutOff(const absl::Status& why, std::vector<RecipientResult>& results) {
  log::Warn("delivery", "notification not stored", {{"error", why}});
  for (RecipientResult& result : results) {
    if (result.outcome == Outcome::kBounced) result.outcome = Outcome::kDeferred;
  }
}

}  // namespace

Task<JobReport> DeliveryJobRunner::Run(const Job& job, const LeaseView& lease) {
  const bool each = !job.options.verp_delimiters.empty() && !job.reverse_path.empty();
  Task<JobReport> attempt = each ? TryEach(job, lease) : Try(job, lease);
  JobReport report = co_await std::move(attempt);
  report.waits = job.waits;
  LeaveOutWaiting(job, report);
  co_return report;
}

Task<JobReport> DeliveryJobRunner::TryEach(const Job& job, const LeaseView& lease) {
  JobReport report;
  report.key = job.key;
  for (const JobRecipient& recipient : job.recipients) {
    if (lease.Lost()) break;  // those missing stay as they were
    Job one = job;
    one.recipients.assign(1, recipient);
    // The address that the sender knows is the one that a bounce has to tell.
    const std::string& known = recipient.original_address.empty() ? recipient.address
                                                                  : recipient.original_address;
    one.reverse_path = smtp::VerpSender(job.reverse_path, known, job.options.verp_delimiters);
    // Where it is forwarded it has its sender.
    one.options.verp_delimiters.clear();
    JobReport part = co_await Try(one, lease);
    report.recipient_ids.insert(report.recipient_ids.end(), part.recipient_ids.begin(),
                                part.recipient_ids.end());
    for (RecipientResult& result : part.results) report.results.push_back(std::move(result));
    for (OutboundMessage& message : part.notifications) {
      report.notifications.push_back(std::move(message));
    }
    report.delay_warning_sent = report.delay_warning_sent || part.delay_warning_sent;
    report.deliver_by_notified = report.deliver_by_notified || part.deliver_by_notified;
    if (part.retry_before.has_value()) {
      report.retry_before =
          std::min(*part.retry_before, report.retry_before.value_or(absl::InfiniteFuture()));
    }
  }
  co_return report;
}

Task<JobReport> DeliveryJobRunner::Try(const Job& job, const LeaseView& lease) {
  JobReport report;
  report.key = job.key;
  bool local = job.key.destination == kLocalDestination;
  absl::Status unsure = absl::OkStatus();
  std::vector<OutboundMessage> forwards;
  std::vector<std::size_t> forwarded;
  if (!local && !job.recipients.empty()) {
    const absl::StatusOr<bool> ours =
        co_await local_.IsOurs(job.key.destination, job.recipients.front().address);
    if (ours.ok()) {
      local = *ours;
    } else {
      unsure = ours.status();
    }
  }
  if (!job.bounce_reason.empty()) {
    const RecipientResult returned = ResultOf(MakeFailure(Failure::kCancelled, job.bounce_reason));
    report.results.assign(job.recipients.size(), returned);
  } else if (bounces_.IsTooLate(job)) {
    const RecipientResult late = ResultOf(MakeFailure(
        Failure::kExpired, "not delivered by the time that the sender set"));
    report.results.assign(job.recipients.size(), late);
  } else if (!unsure.ok()) {
    RecipientResult deferred = ResultOf(unsure);
    deferred.outcome = Outcome::kDeferred;
    report.results.assign(job.recipients.size(), deferred);
  } else if (local) {
    LocalResult result = co_await local_.Deliver(job);
    report.results = std::move(result.results);
    forwards = std::move(result.forwards);
    forwarded = std::move(result.forwarded);
  } else {
    report.results = co_await remote_.Deliver(job, lease);
  }
  bounces_.Expire(job, report.results);
  const bool overdue = bounces_.IsOverdue(job);
  absl::StatusOr<std::vector<OutboundMessage>> notifications =
      co_await bounces_.Compose(job, report.results, overdue);
  if (notifications.ok()) {
    for (OutboundMessage& message : *notifications) {
      report.notifications.push_back(std::move(message));
    }
  } else {
    PutOff(notifications.status(), report.results);
  }
  // A recipient that is resolved again sends its forward then; one now would be a second.
  for (std::size_t i = 0; i < forwards.size(); ++i) {
    if (report.results[forwarded[i]].outcome == Outcome::kDeferred) continue;
    report.notifications.push_back(std::move(forwards[i]));
  }
  const bool deferred =
      std::any_of(report.results.begin(), report.results.end(),
                  [](const RecipientResult& r) { return r.outcome == Outcome::kDeferred; });
  report.delay_warning_sent = job.delay_warning_due && deferred && notifications.ok();
  report.deliver_by_notified = overdue && deferred && notifications.ok();
  // The time of DELIVERBY does not wait for the schedule of retries.
  if (deferred && job.options.deliver_by.has_value() && !job.deliver_by_notified &&
      !report.deliver_by_notified) {
    report.retry_before = job.options.deliver_by->by;
  }
  for (const JobRecipient& recipient : job.recipients) {
    report.recipient_ids.push_back(recipient.recipient_id);
  }
  Record(job, report.results, local);
  co_return report;
}

}  // namespace posthorn::delivery
