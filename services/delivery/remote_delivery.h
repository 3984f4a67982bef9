#ifndef POSTHORN_SERVICES_DELIVERY_REMOTE_DELIVERY_H_
#define POSTHORN_SERVICES_DELIVERY_REMOTE_DELIVERY_H_

#include <cstddef>
#include <optional>
#include <vector>

#include "lib/base/clock.h"
#include "lib/base/task.h"
#include "services/delivery/connection_pool.h"
#include "services/delivery/mail_router.h"
#include "services/delivery/ports.h"
#include "services/delivery/tls_policies.h"
#include "services/delivery/traffic_gate.h"

namespace posthorn::delivery {

struct RemoteOptions {
  std::size_t recipients_per_transaction = 100;
  std::size_t max_sessions = 5;  // servers that are talked to in one attempt
  // How servers are to be talked to; nullptr: opportunistic TLS. Outlives the delivery.
  TlsPolicies* tls = nullptr;
};

// Carries a job to the servers of its destination by SMTP: server after server in the router's
// order, until every recipient has a lasting answer. Belongs to one executor.
class RemoteDelivery {
 public:
  // `gate`: what limits there are; nullptr: none. Outlives it, as the rest.
  RemoteDelivery(RemoteOptions options, MailRouter& router, ConnectionPool& pool,
                 QueuePort& queue, const Clock& clock, TrafficGate* gate = nullptr)
      : options_(options), router_(router), pool_(pool), queue_(queue), clock_(clock), gate_(gate) {}

  // One result a recipient of the job, in order. `job` and `lease` outlive the call.
  Task<std::vector<RecipientResult>> Deliver(const Job& job, const LeaseView& lease);

 private:
  struct Attempt {
    std::vector<RecipientResult> results;
    std::vector<std::size_t> open;  // recipients that another server may still take
    bool stop = false;              // no further server: not its fault, or perhaps delivered
    // Recipients whose result is a bounce for what the last server lacks. It stands only when no
    // other server was merely out of reach.
    std::vector<bool> unfit;
    bool saw_temporary = false;
    TrafficGate::Passage passage;
    std::optional<TrafficGate::Pass> pass;  // for the next message
    bool probe = false;                     // one of the passes was to find out
    bool reached = false;                   // some server said something
    std::string unreachable;                // why the last one didn't
  };
  smtp::client::Transaction TransactionOf(const Job& job, const std::vector<std::size_t>& batch,
                                          std::uint64_t size) const;
  RecipientResult DeliveredBy(const Job& job, const Connection& connection,
                              RecipientResult result) const;
  Task<absl::StatusOr<TlsRule>> RuleFor(const Job& job, Host host);
  // Nothing was sent: all of `todo` is the next server's.
  void PassOn(const Job& job, const Host& host, const absl::Status& why,
              const std::vector<std::size_t>& todo, Attempt& attempt);
  // The recipients that nothing was tried for wait for the limit.
  void Wait(Attempt& attempt, const std::vector<std::size_t>& waiting, absl::Time until,
            const std::string& reason) const;
  // False: a limit lets nothing through now.
  Task<bool> Pass(Attempt& attempt, const std::vector<std::size_t>& waiting);
  // Tells the gate what the replies mean for others, and whether the site answers.
  void Tell(const Attempt& attempt, const Connection& connection);
  void TellReachability(const Job& job, const Attempt& attempt);
  // True: the server has been talked to.
  Task<bool> TryHost(const Job& job, const LeaseView& lease, Host host, Attempt& attempt);
  // Recipients to offer to the same server again: it had too many at once.
  std::vector<std::size_t> Take(const Job& job, const Connection& connection,
                                const Connection::Result& result,
                                const std::vector<std::size_t>& batch, Attempt& attempt,
                                std::vector<std::size_t>& deferred);

  const RemoteOptions options_;
  MailRouter& router_;
  ConnectionPool& pool_;
  QueuePort& queue_;
  const Clock& clock_;
  TrafficGate* const gate_;
};

}  // namespace posthorn::delivery

#endif  // POSTHORN_SERVICES_DELIVERY_REMOTE_DELIVERY_H_
