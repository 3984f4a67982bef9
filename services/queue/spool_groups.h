#ifndef POSTHORN_SERVICES_QUEUE_SPOOL_GROUPS_H_
#define POSTHORN_SERVICES_QUEUE_SPOOL_GROUPS_H_

#include <string>
#include <utility>
#include <vector>

#include "lib/base/clock.h"
#include "lib/postgres/write_group.h"
#include "services/queue/enqueue_batch.h"
#include "services/queue/spool.h"

namespace posthorn::queue {

// The spool's write groups: many Enqueue and Report calls, one transaction.
class Spool::Groups {
 public:
  Groups(const Clock& clock, const Options& options);

  struct EnqueueCall {
    explicit EnqueueCall(std::vector<PlannedMessage> messages_in)
        : messages(std::move(messages_in)) {}
    std::vector<PlannedMessage> messages;
  };
  using EnqueueAnswers = std::vector<EnqueueAnswer>;

  struct ReportCall {
    struct Item {
      JobReport report;
      std::vector<PlannedMessage> notifications;
    };
    explicit ReportCall(std::vector<Item> items_in) : items(std::move(items_in)) {}
    std::vector<Item> items;
  };
  using ReportAnswers = std::vector<ReportResult>;

  // Answers come with the call's messages, which have their job ids now.
  struct EnqueueDone {
    EnqueueAnswers answers;
    std::vector<PlannedMessage> messages;
    EnqueueTimes times;
  };

  postgres::WriteGroup<EnqueueCall, EnqueueDone>& enqueue() { return enqueue_; }
  postgres::WriteGroup<ReportCall, ReportAnswers>& report() { return report_; }

 private:
  template <typename Response>
  using Results = absl::StatusOr<std::vector<std::optional<absl::StatusOr<Response>>>>;

  Results<EnqueueDone> CommitEnqueue(postgres::Connection& connection,
                                     absl::Span<EnqueueCall* const> calls);
  Results<ReportAnswers> CommitReports(postgres::Connection& connection,
                                       absl::Span<ReportCall* const> calls);
  EnqueueTimes Times() const;

  const Clock& clock_;
  const absl::Duration keys_live_;
  const absl::Duration lease_;
  const RetryPolicies policy_;
  JobIds job_ids_;
  postgres::WriteGroup<EnqueueCall, EnqueueDone> enqueue_;
  postgres::WriteGroup<ReportCall, ReportAnswers> report_;
};

}  // namespace posthorn::queue

#endif  // POSTHORN_SERVICES_QUEUE_SPOOL_GROUPS_H_
