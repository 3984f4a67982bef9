#include "services/gateway/api/admin_service.h"

#include <functional>
#include <utility>

#include "lib/base/failure.h"
#include "lib/rpc/client.h"

namespace posthorn::gateway {
namespace {

constexpr std::size_t kMaxLockouts = 1000;
// Importing a thousand accounts hashes a thousand passwords.
constexpr absl::Duration kMaxCall = absl::Minutes(10);

}  // namespace

AdminService::AdminService(std::string admin_token, std::string service_token,
                           const std::shared_ptr<grpc::Channel>& mailbox,
                           const std::shared_ptr<grpc::Channel>& queue,
                           redis::Lockouts& lockouts, net::LoopPool& loops)
    : guard_(std::move(admin_token)),
      service_token_(std::move(service_token)),
      mailbox_(admin::v1::Admin::NewStub(mailbox)),
      bodies_(common::v1::Bodies::NewStub(mailbox)),
      queue_(queue::v1::Queue::NewStub(queue)),
      traffic_(queue::v1::Traffic::NewStub(queue)),
      transport_(queue::v1::Transport::NewStub(queue)),
      lockouts_(lockouts),
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

grpc::ServerReadReactor<admin::v1::UploadBodyRequest>* AdminService::UploadBody(
    grpc::CallbackServerContext* context, admin::v1::UploadBodyResponse* response) {
  std::function<Task<absl::Status>(rpc::ServerReader<admin::v1::UploadBodyRequest>&)> handler =
      [this, response](rpc::ServerReader<admin::v1::UploadBodyRequest>& reader) {
        return RunUpload(reader, response);
      };
  return rpc::HandleClientStream<admin::v1::UploadBodyRequest>(context, guard_, loops_.Next(),
                                                               std::move(handler));
}

Task<absl::Status> AdminService::RunUpload(
    rpc::ServerReader<admin::v1::UploadBodyRequest>& reader,
    admin::v1::UploadBodyResponse* response) {
  std::optional<admin::v1::UploadBodyRequest> piece = co_await reader.Read();
  if (!piece.has_value()) co_return MakeFailure(Failure::kInvalidArgument, "no account given");
  admin::v1::GetAccountRequest request;
  request.set_address(piece->account());
  rpc::CallOptions options(service_token_, kMaxCall);
  absl::StatusOr<admin::v1::Account> account = co_await rpc::Unary<admin::v1::Account>(
      mailbox_->async(), &admin::v1::Admin::Stub::async::GetAccount, request, options);
  if (!account.ok()) co_return account.status();
  rpc::StreamWriter<common::v1::PutBodyRequest, common::v1::PutBodyResponse> writer(
      bodies_->async(), &common::v1::Bodies::Stub::async::Put, options);
  common::v1::PutBodyRequest put;
  put.set_tenant_id(account->tenant_id());
  while (piece.has_value()) {
    put.set_data(std::move(*piece->mutable_data()));
    const bool written = co_await writer.Write(std::move(put));
    if (!written) break;
    put.Clear();
    std::optional<admin::v1::UploadBodyRequest> next = co_await reader.Read();
    piece = std::move(next);
  }
  // The writer is cancelled, not ended: half a body is none.
  if (reader.cancelled()) co_return MakeFailure(Failure::kCancelled);
  absl::StatusOr<common::v1::PutBodyResponse> stored = co_await writer.Finish();
  if (!stored.ok()) co_return stored.status();
  response->set_sha256(stored->body().sha256());
  response->set_size(stored->body().size());
  co_return absl::OkStatus();
}

grpc::ServerUnaryReactor* AdminService::ListLockouts(grpc::CallbackServerContext* context,
                                                     const admin::v1::ListLockoutsRequest*,
                                                     admin::v1::ListLockoutsResponse* response) {
  return rpc::HandleUnary(context, guard_, loops_.Next(), RunListLockouts(response));
}
grpc::ServerUnaryReactor* AdminService::ClearLockout(grpc::CallbackServerContext* context,
                                                     const admin::v1::ClearLockoutRequest* request,
                                                     admin::v1::ClearLockoutResponse*) {
  return rpc::HandleUnary(context, guard_, loops_.Next(), RunClearLockout(request));
}

Task<absl::Status> AdminService::RunListLockouts(admin::v1::ListLockoutsResponse* response) {
  absl::StatusOr<std::vector<redis::Lockout>> lockouts = co_await lockouts_.List(kMaxLockouts);
  if (!lockouts.ok()) co_return lockouts.status();
  for (redis::Lockout& lockout : *lockouts) {
    admin::v1::Lockout* out = response->add_lockouts();
    out->set_subject(std::move(lockout.subject));
    out->set_failures(lockout.state.failures);
    out->set_seconds_left(absl::ToInt64Seconds(absl::Ceil(lockout.state.locked_for, absl::Seconds(1))));
  }
  co_return absl::OkStatus();
}

Task<absl::Status> AdminService::RunClearLockout(const admin::v1::ClearLockoutRequest* request) {
  const std::string subject = request->subject();
  std::vector<std::string> subjects(1, subject);
  redis::Lockouts::View view = co_await lockouts_.Look(std::move(subjects), "");
  if (view.states.front().failures == 0) {
    co_return MakeFailure(Failure::kNotFound, "no failures are counted for this");
  }
  co_await lockouts_.Clear(subject);
  co_return absl::OkStatus();
}

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
grpc::ServerUnaryReactor* AdminService::ListSites(grpc::CallbackServerContext* context,
                                                  const queue::v1::ListSitesRequest* request,
                                                  queue::v1::ListSitesResponse* response) {
  return Forward(context, request, response, *traffic_,
                 &queue::v1::Traffic::Stub::async::ListSites);
}
grpc::ServerUnaryReactor* AdminService::PauseSite(grpc::CallbackServerContext* context,
                                                  const queue::v1::PauseRequest* request,
                                                  queue::v1::PauseResponse* response) {
  return Forward(context, request, response, *traffic_, &queue::v1::Traffic::Stub::async::Pause);
}
grpc::ServerUnaryReactor* AdminService::ResumeSite(grpc::CallbackServerContext* context,
                                                   const queue::v1::ResumeRequest* request,
                                                   queue::v1::ResumeResponse* response) {
  return Forward(context, request, response, *traffic_, &queue::v1::Traffic::Stub::async::Resume);
}
grpc::ServerUnaryReactor* AdminService::ListTlsReports(
    grpc::CallbackServerContext* context, const queue::v1::ListTlsReportsRequest* request,
    queue::v1::ListTlsReportsResponse* response) {
  return Forward(context, request, response, *transport_,
                 &queue::v1::Transport::Stub::async::ListTlsReports);
}
grpc::ServerUnaryReactor* AdminService::SendTlsReports(
    grpc::CallbackServerContext* context, const queue::v1::SendTlsReportsRequest* request,
    queue::v1::SendTlsReportsResponse* response) {
  return Forward(context, request, response, *transport_,
                 &queue::v1::Transport::Stub::async::SendTlsReports);
}

}  // namespace posthorn::gateway
