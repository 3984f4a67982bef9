#ifndef POSTHORN_SERVICES_GATEWAY_ACCEPT_COMMIT_ACCEPTOR_H_
#define POSTHORN_SERVICES_GATEWAY_ACCEPT_COMMIT_ACCEPTOR_H_

#include <cstddef>
#include <string>

#include "services/gateway/accept/message_acceptor.h"
#include "services/gateway/clients/local_delivery.h"
#include "services/gateway/clients/spool.h"

namespace posthorn::gateway {

// The MessageAcceptor on a LocalDelivery and a Spool, which outlive it.
class CommitAcceptor final : public MessageAcceptor {
 public:
  // More recipients of a tenant than this are the queue's from the start.
  static constexpr std::size_t kMaxDirectRecipients = 50;

  CommitAcceptor(LocalDelivery& delivery, Spool& spool, std::string hostname);

  Task<AcceptResult> Accept(AcceptRequest request) override;

 private:
  struct Group;

  // Delivers what can be delivered at once; what is left fills the group's `queue`.
  Task<void> DeliverDirectly(const AcceptRequest& request, const std::string& resend_key,
                             const std::string& received, Group& group, AcceptResult& result);
  Task<void> Enqueue(const AcceptRequest& request, const std::string& resend_key,
                     const std::string& received, Group& group, AcceptResult& result);

  LocalDelivery& delivery_;
  Spool& spool_;
  const std::string hostname_;
};

}  // namespace posthorn::gateway

#endif  // POSTHORN_SERVICES_GATEWAY_ACCEPT_COMMIT_ACCEPTOR_H_
