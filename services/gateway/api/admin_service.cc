#include "services/gateway/api/admin_service.h"

#include <functional>
#include <utility>

#include "lib/rpc/client.h"

namespace posthorn::gateway {
namespace {

// Importing a thousand accounts hashes a thousand passwords.
constexpr absl::Duration kMaxCall = absl::Minutes(10);

}  // namespace

AdminService::AdminService(std::string admin_token, std::string service_token,
                           const std::shared_ptr<grpc::Channel>& mailbox,
                           const std::shared_ptr<grpc::Channel>& queue, net::LoopPool& loops)
    : guard_(std::move(admin_token)),
      service_token_(std::move(service_token)),
      mailbox_(admin::v1::Admin::NewStub(mailbox)),
      queue_(queue::v1::Queue::NewStub(queue)),
      loops_(loops) {}

template <typename Stub, typename Base, typename Request, typename Response>
Task<absl::Status> AdminService::Call(grpc::CallbackServerContext* context, const Request* request,
                                      Response* response, Stub& stub,
                                      void (Base::*method)(grpc::ClientContext*, const Request*,
                                                           Response*,
                                                           std::function<void(grpc::Status)>)) {
  rpc::CallOptions options(service_token_, rpc::TimeLeft(*context, kMaxCall));
  absl::StatusOr<Response> answer =
      co_await rpc::Unary<Response>(stub.async(), method, *request, std::move(options));
  if (!answer.ok()) co_return answer.status();
  *response = *std::move(answer);
  co_return absl::OkStatus();
}

template <typename Stub, typename Base, typename Request, typename Response>
grpc::ServerUnaryReactor* AdminService::Forward(
    grpc::CallbackServerContext* context, const Request* request, Response* response, Stub& stub,
    void (Base::*method)(grpc::ClientContext*, const Request*, Response*,
                         std::function<void(grpc::Status)>)) {
  return rpc::HandleUnary(context, guard_, loops_.Next(),
                          Call(context, request, response, stub, method));
}

#define POSTHORN_ADMIN_DIRECTORY_ONLY
#define POSTHORN_ADMIN(Method, Request, Response)                                              \
  grpc::ServerUnaryReactor* AdminService::Method(grpc::CallbackServerContext* context,         \
                                                 const Request* request, Response* response) { \
    return Forward(context, request, response, *mailbox_,                                      \
                   &admin::v1::Admin::Stub::async::Method);                                    \
  }
#include "services/gateway/api/admin_methods.inc"
#undef POSTHORN_ADMIN
#undef POSTHORN_ADMIN_DIRECTORY_ONLY

grpc::ServerUnaryReactor* AdminService::ListQueue(grpc::CallbackServerContext* context,
                                                  const queue::v1::ListMessagesRequest* request,
                                                  queue::v1::ListMessagesResponse* response) {
  return Forward(context, request, response, *queue_, &queue::v1::Queue::Stub::async::ListMessages);
}
grpc::ServerUnaryReactor* AdminService::GetQueued(grpc::CallbackServerContext* context,
                                                  const queue::v1::GetMessageRequest* request,
                                                  queue::v1::GetMessageResponse* response) {
  return Forward(context, request, response, *queue_, &queue::v1::Queue::Stub::async::GetMessage);
}
grpc::ServerUnaryReactor* AdminService::RetryQueue(grpc::CallbackServerContext* context,
                                                   const queue::v1::RetryMessagesRequest* request,
                                                   queue::v1::RetryMessagesResponse* response) {
  return Forward(context, request, response, *queue_,
                 &queue::v1::Queue::Stub::async::RetryMessages);
}
grpc::ServerUnaryReactor* AdminService::CancelQueue(
    grpc::CallbackServerContext* context, const queue::v1::CancelMessagesRequest* request,
    queue::v1::CancelMessagesResponse* response) {
  return Forward(context, request, response, *queue_,
                 &queue::v1::Queue::Stub::async::CancelMessages);
}
grpc::ServerUnaryReactor* AdminService::HoldQueue(grpc::CallbackServerContext* context,
                                                  const queue::v1::HoldMessagesRequest* request,
                                                  queue::v1::ChangeMessagesResponse* response) {
  return Forward(context, request, response, *queue_, &queue::v1::Queue::Stub::async::HoldMessages);
}
grpc::ServerUnaryReactor* AdminService::ReleaseQueue(
    grpc::CallbackServerContext* context, const queue::v1::ReleaseMessagesRequest* request,
    queue::v1::ChangeMessagesResponse* response) {
  return Forward(context, request, response, *queue_,
                 &queue::v1::Queue::Stub::async::ReleaseMessages);
}
grpc::ServerUnaryReactor* AdminService::BounceQueue(grpc::CallbackServerContext* context,
                                                    const queue::v1::BounceMessagesRequest* request,
                                                    queue::v1::ChangeMessagesResponse* response) {
  return Forward(context, request, response, *queue_,
                 &queue::v1::Queue::Stub::async::BounceMessages);
}
grpc::ServerUnaryReactor* AdminService::RerouteQueue(
    grpc::CallbackServerContext* context, const queue::v1::RerouteMessagesRequest* request,
    queue::v1::ChangeMessagesResponse* response) {
  return Forward(context, request, response, *queue_,
                 &queue::v1::Queue::Stub::async::RerouteMessages);
}
grpc::ServerUnaryReactor* AdminService::SummarizeQueue(grpc::CallbackServerContext* context,
                                                       const queue::v1::SummarizeRequest* request,
                                                       queue::v1::SummarizeResponse* response) {
  return Forward(context, request, response, *queue_, &queue::v1::Queue::Stub::async::Summarize);
}
grpc::ServerUnaryReactor* AdminService::GetQueueSchedule(
    grpc::CallbackServerContext* context, const queue::v1::GetScheduleRequest* request,
    queue::v1::GetScheduleResponse* response) {
  return Forward(context, request, response, *queue_, &queue::v1::Queue::Stub::async::GetSchedule);
}

}  // namespace posthorn::gateway
