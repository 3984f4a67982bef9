#ifndef POSTHORN_SERVICES_GATEWAY_TESTING_FAKE_BACKENDS_H_
#define POSTHORN_SERVICES_GATEWAY_TESTING_FAKE_BACKENDS_H_

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "services/gateway/accept/message_acceptor.h"
#include "services/gateway/clients/local_delivery.h"
#include "services/gateway/clients/spool.h"

namespace posthorn::gateway {

// All octets of a staged body.
std::string BodyText(const net::StagedBody& body);

// Mailboxes in memory, for unit tests on one executor.
class FakeLocalDelivery final : public LocalDelivery {
 public:
  Task<std::vector<absl::Status>> Deliver(LocalMessage message) override;

  // What Deliver answers for an account; OK otherwise.
  std::map<AccountId, absl::Status> answers;
  // The calls so far.
  std::vector<LocalMessage> messages;
};

// A queue in memory.
class FakeSpool final : public Spool {
 public:
  Task<absl::StatusOr<Enqueued>> Enqueue(OutboundMessage message) override;

  std::optional<absl::Status> failure;         // of every call
  std::map<TenantId, absl::Status> failures;   // by tenant
  std::optional<Enqueued> answer;              // instead of the message's own id
  std::vector<OutboundMessage> messages;
};

// Takes messages and remembers them.
class FakeAcceptor final : public MessageAcceptor {
 public:
  struct Accepted {
    AcceptRequest request;
    std::string body;
  };
  Task<AcceptResult> Accept(AcceptRequest request) override;

  // The status of a recipient by its address; OK otherwise.
  std::map<std::string, absl::Status> answers;
  std::vector<Accepted> messages;  // also of those refused
};

}  // namespace posthorn::gateway

#endif  // POSTHORN_SERVICES_GATEWAY_TESTING_FAKE_BACKENDS_H_
