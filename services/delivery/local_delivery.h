#ifndef POSTHORN_SERVICES_DELIVERY_LOCAL_DELIVERY_H_
#define POSTHORN_SERVICES_DELIVERY_LOCAL_DELIVERY_H_

#include <cstddef>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "lib/base/clock.h"
#include "lib/base/task.h"
#include "services/delivery/ports.h"

namespace posthorn::delivery {

struct LocalResult {
  std::vector<RecipientResult> results;  // one a recipient, in order
  // What an alias sends out of the platform again: the queue takes it together with the report.
  std::vector<OutboundMessage> forwards;
  std::vector<std::size_t> forwarded;  // the recipient each of them is for, a position in results
};

// Puts jobs into the mailboxes of this platform. Idempotent by message id, so it needs no lease.
// Belongs to one executor.
class LocalDelivery {
 public:
  LocalDelivery(MailboxPort& mailbox, DirectoryPort& directory, QueuePort& queue,
                const Clock& clock)
      : mailbox_(mailbox), directory_(directory), queue_(queue), clock_(clock) {}

  // Every recipient whose account is known goes there; others, and those whose account is gone,
  // where the directory says now. A list's members are enqueued, with its owner as reverse-path
  // (RFC 5321 section 3.9.2); who may post was asked when the message was accepted.
  Task<LocalResult> Deliver(const Job& job);

  // Whether the platform itself serves the domain of `address`: then mail that was queued for a
  // remote server must not go round by way of MX. Remembered for half a minute; a longer outage of
  // the directory is bridged with what was known. Failure: not known now.
  Task<absl::StatusOr<bool>> IsOurs(std::string domain, std::string address);

 private:
  struct Bodies {
    // The job's body in the mailbox store, by tenant; copied on first need.
    absl::flat_hash_map<TenantId, BodyRef> stored;
  };
  struct Known {
    bool ours = false;
    absl::Time at;
  };
  // The mailboxes that the job's message has been in, in lower case (its Delivered-To fields).
  Task<absl::StatusOr<std::vector<std::string>>> DeliveredTo(const Job& job);
  Task<std::vector<absl::Status>> Store(const Job& job, TenantId tenant,
                                        std::vector<MailboxRecipient> recipients, Bodies& bodies);
  // Hands the list's members to the queue as a message of their own, under an id that is the same
  // however often this runs. OK: committed; `note` says to how many.
  Task<absl::Status> Expand(const Job& job, std::string list, std::string& note);
  Task<void> DeliverResolved(const Job& job, std::size_t index,
                             const std::vector<std::string>& delivered_to, Bodies& bodies,
                             LocalResult& result);

  MailboxPort& mailbox_;
  DirectoryPort& directory_;
  QueuePort& queue_;
  const Clock& clock_;
  absl::flat_hash_map<std::string, Known> domains_;
};

}  // namespace posthorn::delivery

#endif  // POSTHORN_SERVICES_DELIVERY_LOCAL_DELIVERY_H_
