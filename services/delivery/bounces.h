#ifndef POSTHORN_SERVICES_DELIVERY_BOUNCES_H_
#define POSTHORN_SERVICES_DELIVERY_BOUNCES_H_

#include <string>
#include <vector>

#include "lib/base/clock.h"
#include "lib/base/task.h"
#include "lib/dsn/dsn.h"
#include "services/delivery/ports.h"

namespace posthorn::delivery {

// Turns the results of an attempt into what the sender has to hear: a bounce for recipients that
// failed for good, a warning when a message is late. Belongs to one executor.
class Bounces {
 public:
  Bounces(std::string hostname, DirectoryPort& directory, QueuePort& queue, const Clock& clock)
      : hostname_(std::move(hostname)), directory_(directory), queue_(queue), clock_(clock) {}

  // After the expiry a deferral becomes a bounce, 5.4.7 with the last reason.
  void Expire(const Job& job, std::vector<RecipientResult>& results) const;

  // The notifications for `results`, to be enqueued in the transaction that records them. None for
  // a null reverse-path (RFC 5321 section 6.1), nor for a sender that exists no more.
  Task<std::vector<OutboundMessage>> Compose(const Job& job,
                                             const std::vector<RecipientResult>& results);

 private:
  Task<std::string> HeadersOf(const Job& job);
  OutboundMessage Notify(const Job& job, const std::vector<RecipientResult>& results,
                         Outcome outcome, const std::string& headers,
                         const std::vector<OutboundRecipient>& senders) const;

  const std::string hostname_;
  DirectoryPort& directory_;
  QueuePort& queue_;
  const Clock& clock_;
};

}  // namespace posthorn::delivery

#endif  // POSTHORN_SERVICES_DELIVERY_BOUNCES_H_
