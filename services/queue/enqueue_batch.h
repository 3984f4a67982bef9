#ifndef POSTHORN_SERVICES_QUEUE_ENQUEUE_BATCH_H_
#define POSTHORN_SERVICES_QUEUE_ENQUEUE_BATCH_H_

#include <algorithm>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lib/postgres/connection.h"
#include "services/queue/retry_policy.h"
#include "services/queue/types.h"

namespace posthorn::queue {

struct EnqueueTimes {
  absl::Time now;
  absl::Time keys_expire;
  absl::Time lease_end;  // of what is claimed
  const RetryPolicies* policy;  // outlives this

  // Counts from the time until which it is held.
  absl::Time ExpiryOf(const Message& message, std::string_view destination) const {
    return std::max(now, message.hold_until) + policy->For(message.tenant, destination).expiry;
  }
};

// A message as it will be stored: its recipients grouped into jobs.
struct PlannedMessage {
  struct Job {
    std::string destination;
    int hash = 0;
    std::vector<std::size_t> recipients;  // positions in message.recipients, at most 100
  };
  Message message;
  std::string key;  // what makes it the same message as another
  std::vector<Job> jobs;
  std::int64_t first_job = 0;  // 0: not yet given
  // Its jobs begin their first attempt with the enqueue: a worker waits for them.
  bool claimed = false;

  std::vector<JobRef> Refs() const;
  // When it was received, as it is stored: what cannot be true becomes now.
  absl::Time ReceivedAt(absl::Time now) const;
  // The jobs as Spool::Lease would answer them for their first attempt. Takes the content.
  std::vector<LeasedJob> TakeLeased(const EnqueueTimes& times);
};

// kBadAddress or kInvalidArgument if the message can't be queued.
absl::StatusOr<PlannedMessage> Plan(Message message);

// Gives job ids out of blocks of the database's sequence. Thread-safe.
class JobIds {
 public:
  // Fills in first_job where it is missing.
  absl::Status Assign(postgres::Connection& connection,
                      const std::vector<PlannedMessage*>& messages);

 private:
  std::mutex mutex_;
  std::int64_t next_ = 0;  // guarded by mutex_
  std::int64_t end_ = 0;   // guarded by mutex_
};

// What queue.enqueue answered for one message.
struct EnqueueAnswer {
  enum class Outcome { kQueued = 0, kDuplicate = 1, kNoSuchBody = 2 };
  Outcome outcome = Outcome::kQueued;
  MessageId known_id;
};

// Stores `messages`, which have their job ids, in `transaction`.
absl::StatusOr<std::vector<EnqueueAnswer>> EnqueueIn(
    postgres::Transaction& transaction, const std::vector<PlannedMessage*>& messages,
    const EnqueueTimes& times, bool commit);

}  // namespace posthorn::queue

#endif  // POSTHORN_SERVICES_QUEUE_ENQUEUE_BATCH_H_
