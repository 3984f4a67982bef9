#ifndef POSTHORN_SERVICES_GATEWAY_API_ADMIN_SERVICE_H_
#define POSTHORN_SERVICES_GATEWAY_API_ADMIN_SERVICE_H_

#include <memory>
#include <string>

#include "lib/net/event_loop.h"
#include "lib/redis/lockouts.h"
#include "lib/rpc/server.h"
#include "posthorn/admin/v1/admin.grpc.pb.h"
#include "posthorn/common/v1/common.grpc.pb.h"
#include "posthorn/queue/v1/queue.grpc.pb.h"
#include "posthorn/queue/v1/transport.grpc.pb.h"

namespace posthorn::gateway {

// posthorn.admin.v1 as administrators call it: checks their token, then forwards with the token of
// this service. Tenants, domains, accounts, aliases and keys are the mailbox service's, which
// serves the same interface inside; queued messages are the queue's, and lock-outs the gateways' own.
class AdminService final : public admin::v1::Admin::CallbackService {
 public:
  AdminService(std::string admin_token, std::string service_token,
               const std::shared_ptr<grpc::Channel>& mailbox,
               const std::shared_ptr<grpc::Channel>& queue, redis::Lockouts& lockouts,
               net::LoopPool& loops);

#define POSTHORN_ADMIN(Method, Request, Response)                               \
  grpc::ServerUnaryReactor* Method(grpc::CallbackServerContext* context,        \
                                   const Request* request, Response* response) override;
#include "services/gateway/api/admin_methods.inc"
#undef POSTHORN_ADMIN
  grpc::ServerReadReactor<admin::v1::UploadBodyRequest>* UploadBody(
      grpc::CallbackServerContext* context, admin::v1::UploadBodyResponse* response) override;

 private:
  // Calls `method` of `stub` with what is left of the caller's time.
  template <typename Stub, typename Base, typename Request, typename Response>
  grpc::ServerUnaryReactor* Forward(grpc::CallbackServerContext* context, const Request* request,
                                    Response* response, Stub& stub,
                                    void (Base::*method)(grpc::ClientContext*, const Request*,
                                                         Response*,
                                                         std::function<void(grpc::Status)>));
  template <typename Stub, typename Base, typename Request, typename Response>
  Task<absl::Status> Call(grpc::CallbackServerContext* context, const Request* request,
                          Response* response, Stub& stub,
                          void (Base::*method)(grpc::ClientContext*, const Request*, Response*,
                                               std::function<void(grpc::Status)>));

  // The account's tenant, then the body to the mailbox service as it comes.
  Task<absl::Status> RunUpload(rpc::ServerReader<admin::v1::UploadBodyRequest>& reader,
                               admin::v1::UploadBodyResponse* response);
  Task<absl::Status> RunListLockouts(admin::v1::ListLockoutsResponse* response);
  Task<absl::Status> RunClearLockout(const admin::v1::ClearLockoutRequest* request);

  const rpc::TokenGuard guard_;
  const std::string service_token_;
  const std::unique_ptr<admin::v1::Admin::Stub> mailbox_;
  const std::unique_ptr<common::v1::Bodies::Stub> bodies_;
  const std::unique_ptr<queue::v1::Queue::Stub> queue_;
  const std::unique_ptr<queue::v1::Traffic::Stub> traffic_;
  const std::unique_ptr<queue::v1::Transport::Stub> transport_;
  redis::Lockouts& lockouts_;
  net::LoopPool& loops_;
};

}  // namespace posthorn::gateway

#endif  // POSTHORN_SERVICES_GATEWAY_API_ADMIN_SERVICE_H_
