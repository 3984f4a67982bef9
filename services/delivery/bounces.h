#ifndef POSTHORN_SERVICES_DELIVERY_BOUNCES_H_
#define POSTHORN_SERVICES_DELIVERY_BOUNCES_H_

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/clock.h"
#include "lib/base/task.h"
#include "lib/dsn/dsn.h"
#include "services/delivery/ports.h"

namespace posthorn::delivery {

// Turns the results of an attempt into what the sender has to hear: a bounce for recipients that
// failed for good, a warning when a message is late, and what it asked for with NOTIFY
// (RFC 3461 section 5.2) and DELIVERBY (RFC 2852). Belongs to one executor.
class Bounces {
 public:
  Bounces(std::string hostname, DirectoryPort& directory, QueuePort& queue, const Clock& clock)
      : hostname_(std::move(hostname)), directory_(directory), queue_(queue), clock_(clock) {}

  // Whether the message must not be delivered any more: DELIVERBY in mode "R", and the time is past.
  bool IsTooLate(const Job& job) const;
  // Whether its sender is to hear now that the time of DELIVERBY in mode "N" is past.
  bool IsOverdue(const Job& job) const;

  // After the expiry, or when it is too late, a deferral becomes a bounce, 5.4.7 with the last
  // reason.
  void Expire(const Job& job, std::vector<RecipientResult>& results) const;

  // The notifications for `results`, to be enqueued in the transaction that records them. None for
  // a null reverse-path (RFC 5321 section 6.1), nor for a sender that exists no more. An error: a
  // large one could not be stored; the results must wait with it.
  // `overdue`: what IsOverdue said; those still waiting hear of it.
  Task<absl::StatusOr<std::vector<OutboundMessage>>> Compose(
      const Job& job, const std::vector<RecipientResult>& results, bool overdue);

 private:
  Task<std::string> FrontOf(const Job& job, std::size_t limit);
  Task<std::vector<OutboundRecipient>> SendersOf(const Job& job);
  // `notification` has its recipients and the original.
  Task<absl::StatusOr<OutboundMessage>> Notify(const Job& job, dsn::Notification notification,
                                               std::vector<OutboundRecipient> senders);

  const std::string hostname_;
  DirectoryPort& directory_;
  QueuePort& queue_;
  const Clock& clock_;
};

}  // namespace posthorn::delivery

#endif  // POSTHORN_SERVICES_DELIVERY_BOUNCES_H_
