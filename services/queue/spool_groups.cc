#include "services/queue/spool_groups.h"

#include <algorithm>
#include <optional>
#include <string>

#include "absl/container/flat_hash_set.h"

namespace posthorn::queue {
namespace {

// A group is bounded by what it carries, not only by the number of calls: what is over goes with
// the next one.
constexpr std::size_t kMaxGroupCalls = 64;
constexpr std::size_t kMaxGroupOctets = 8 << 20;
constexpr std::size_t kMaxGroupRecipients = 5000;
constexpr std::size_t kMaxGroupReports = 500;
// Workers go on while their reports are on the way, and most of what a group of reports costs does not
// depend on its size. Short, because what is not recorded when a worker dies is delivered again.
constexpr absl::Duration kReportPace = absl::Milliseconds(10);

constexpr char kReport[] =
    "SELECT outcome, accepted, late_deliveries, priority FROM queue.report($1, $2, $3, $4, $5, $6, $7,"
    " $8, $9, $10, $11, $12, $13, $14)";
constexpr char kNoteDeliverBy[] = "SELECT queue.note_deliver_by($1, $2)";

postgres::WriteGroupOptions GroupOptions(const Spool::Options& options) {
  postgres::WriteGroupOptions group;
  group.connection = options.connection;
  group.connections = options.group_connections;
  group.max_group = kMaxGroupCalls;
  // The keys of accepted messages and the attempt numbers make a repetition harmless.
  group.idempotent = true;
  return group;
}

postgres::WriteGroupOptions ReportOptions(const Spool::Options& options) {
  postgres::WriteGroupOptions group = GroupOptions(options);
  group.pace = kReportPace;
  return group;
}

std::vector<TenantId> Unique(std::vector<TenantId> tenants) {
  std::sort(tenants.begin(), tenants.end());
  tenants.erase(std::unique(tenants.begin(), tenants.end()), tenants.end());
  return tenants;
}

std::size_t OctetsOf(const PlannedMessage& planned) {
  const Message& message = planned.message;
  return message.prefix.size() + (message.inline_body ? message.inline_body->size() : 0);
}

// The arrays of queue.report.
postgres::Params ReportParams(absl::Time now,
                              const std::vector<const JobReport*>& reports) {
  std::vector<std::int64_t> tenants, jobs, attempts, warned;
  std::vector<absl::Time> due;
  std::vector<std::int64_t> firsts, counts, ids, outcomes, codes;
  std::vector<std::string> hosts, statuses, texts;
  for (const JobReport* report : reports) {
    tenants.push_back(report->key.ref.tenant.value());
    jobs.push_back(report->key.ref.job.value());
    attempts.push_back(report->key.attempt);
    due.push_back(report->retry_at);
    // A set, see queue.report.
    warned.push_back((report->delay_warning_sent ? 1 : 0) + (report->waited ? 2 : 0));
    firsts.push_back(static_cast<std::int64_t>(ids.size()) + 1);
    counts.push_back(static_cast<std::int64_t>(report->recipients.size()));
    for (const RecipientReport& recipient : report->recipients) {
      ids.push_back(recipient.id);
      outcomes.push_back(static_cast<std::int64_t>(recipient.outcome));
      hosts.push_back(recipient.remote_host);
      codes.push_back(recipient.smtp_code);
      statuses.push_back(recipient.enhanced_status);
      texts.push_back(recipient.text);
    }
  }
  postgres::Params params = postgres::Params::Of(now);
  params.AddInts(tenants).AddInts(jobs).AddInts(attempts).AddTimes(due).AddInts(warned);
  params.AddInts(firsts).AddInts(counts).AddInts(ids).AddInts(outcomes).AddTexts(hosts).AddInts(codes);
  params.AddTexts(statuses).AddTexts(texts);
  return params;
}

}  // namespace

Spool::Groups::Groups(const Clock& clock, const Options& options)
    : clock_(clock),
      keys_live_(options.keys_live),
      lease_(options.lease),
      policy_(options.policy),
      enqueue_(GroupOptions(options),
               [this](postgres::Connection& connection, absl::Span<EnqueueCall* const> calls) {
                 return CommitEnqueue(connection, calls);
               }),
      report_(ReportOptions(options),
              [this](postgres::Connection& connection, absl::Span<ReportCall* const> calls) {
                return CommitReports(connection, calls);
              }) {}

EnqueueTimes Spool::Groups::Times() const {
  EnqueueTimes times;
  times.now = clock_.Now();
  times.keys_expire = times.now + keys_live_;
  times.lease_end = times.now + lease_;
  times.policy = &policy_;
  return times;
}

Spool::Groups::Results<Spool::Groups::EnqueueDone> Spool::Groups::CommitEnqueue(
    postgres::Connection& connection, absl::Span<EnqueueCall* const> calls) {
  std::vector<std::optional<absl::StatusOr<EnqueueDone>>> results(calls.size());
  std::vector<PlannedMessage*> messages;
  std::vector<TenantId> tenants;
  std::size_t taken = 0, octets = 0, recipients = 0;
  for (EnqueueCall* call : calls) {
    std::size_t call_octets = 0, call_recipients = 0;
    for (const PlannedMessage& planned : call->messages) {
      call_octets += OctetsOf(planned);
      call_recipients += planned.message.recipients.size();
    }
    const bool too_much = octets + call_octets > kMaxGroupOctets ||
                          recipients + call_recipients > kMaxGroupRecipients;
    if (taken > 0 && too_much) break;
    octets += call_octets;
    recipients += call_recipients;
    for (PlannedMessage& planned : call->messages) {
      messages.push_back(&planned);
      tenants.push_back(planned.message.tenant);
    }
    ++taken;
  }
  absl::Status assigned = job_ids_.Assign(connection, messages);
  if (!assigned.ok()) return assigned;
  postgres::Transaction transaction(connection, Unique(std::move(tenants)));
  const EnqueueTimes times = Times();
  absl::StatusOr<std::vector<EnqueueAnswer>> answers =
      EnqueueIn(transaction, messages, times, true);
  if (!answers.ok()) return answers.status();
  std::size_t next = 0;
  for (std::size_t i = 0; i < taken; ++i) {
    EnqueueDone done;
    done.times = times;
    for (std::size_t n = 0; n < calls[i]->messages.size(); ++n) {
      done.answers.push_back((*answers)[next++]);
    }
    done.messages = std::move(calls[i]->messages);
    results[i].emplace(std::move(done));
  }
  return results;
}

Spool::Groups::Results<Spool::Groups::ReportAnswers> Spool::Groups::CommitReports(
    postgres::Connection& connection, absl::Span<ReportCall* const> calls) {
  std::vector<std::optional<absl::StatusOr<ReportAnswers>>> results(calls.size());
  std::vector<ReportCall*> taken;
  std::vector<std::size_t> taken_at;
  std::vector<const JobReport*> reports;
  std::vector<TenantId> tenants;
  absl::flat_hash_set<std::int64_t> jobs;
  for (std::size_t i = 0; i < calls.size(); ++i) {
    bool fits = taken.empty() || reports.size() + calls[i]->items.size() <= kMaxGroupReports;
    for (const ReportCall::Item& item : calls[i]->items) {
      fits = fits && !jobs.contains(item.report.key.ref.job.value());
    }
    if (!fits) continue;  // with the next group
    taken.push_back(calls[i]);
    taken_at.push_back(i);
    for (const ReportCall::Item& item : calls[i]->items) {
      jobs.insert(item.report.key.ref.job.value());
      reports.push_back(&item.report);
      tenants.push_back(item.report.key.ref.tenant);
      for (const PlannedMessage& planned : item.notifications) {
        tenants.push_back(planned.message.tenant);
      }
    }
  }
  std::vector<PlannedMessage*> all_notifications;
  for (ReportCall* call : taken) {
    for (ReportCall::Item& item : call->items) {
      for (PlannedMessage& planned : item.notifications) all_notifications.push_back(&planned);
    }
  }
  absl::Status assigned = job_ids_.Assign(connection, all_notifications);
  if (!assigned.ok()) return assigned;

  postgres::Transaction transaction(connection, Unique(std::move(tenants)));
  const postgres::Params params = ReportParams(clock_.Now(), reports);
  const bool alone = all_notifications.empty();
  absl::StatusOr<postgres::Result> rows =
      alone ? transaction.ExecAndCommit(kReport, params) : transaction.Exec(kReport, params);
  if (!rows.ok()) return rows.status();
  if (rows->rows() != static_cast<int>(reports.size())) {
    return absl::InternalError("queue.report lost a row");
  }

  // Those who are told need a notification, so this is never alone.
  std::vector<std::int64_t> notified_tenants, notified_jobs;
  // Only what the current attempt reported is told of: for the rest it has been, or will be.
  std::vector<PlannedMessage*> notifications;
  int row = 0;
  for (std::size_t i = 0; i < taken.size(); ++i) {
    ReportAnswers answers;
    for (ReportCall::Item& item : taken[i]->items) {
      ReportResult result;
      result.outcome.kind = static_cast<JobOutcome::Kind>(rows->Int(row, 0));
      result.outcome.late_deliveries = static_cast<int>(rows->Int(row, 2));
      result.due_at = item.report.retry_at;
      result.priority = static_cast<int>(rows->Int(row, 3));
      if (rows->Bool(row, 1)) {
        if (item.report.deliver_by_notified) {
          notified_tenants.push_back(item.report.key.ref.tenant.value());
          notified_jobs.push_back(item.report.key.ref.job.value());
        }
        for (PlannedMessage& planned : item.notifications) {
          notifications.push_back(&planned);
          for (const JobRef& ref : planned.Refs()) {
            result.notifications.emplace_back(ref, planned.message.priority);
          }
        }
      }
      answers.push_back(std::move(result));
      ++row;
    }
    results[taken_at[i]].emplace(std::move(answers));
  }
  if (alone) return results;
  if (!notified_jobs.empty()) {
    postgres::Params notified;
    notified.AddInts(notified_tenants).AddInts(notified_jobs);
    absl::StatusOr<postgres::Result> noted = transaction.Exec(kNoteDeliverBy, notified);
    if (!noted.ok()) return noted.status();
  }
  if (!notifications.empty()) {
    absl::StatusOr<std::vector<EnqueueAnswer>> queued =
        EnqueueIn(transaction, notifications, Times(), false);
    if (!queued.ok()) return queued.status();
    for (const EnqueueAnswer& answer : *queued) {
      // Results without their DSN would lose it; the worker reports again.
      if (answer.outcome == EnqueueAnswer::Outcome::kNoSuchBody) {
        return absl::InternalError("a notification refers to a body that is not stored");
      }
    }
  }
  absl::Status committed = transaction.Commit();
  if (!committed.ok()) return committed;
  return results;
}

}  // namespace posthorn::queue
