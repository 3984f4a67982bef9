#include "services/gateway/clients/queue_view_client.h"

#include <utility>

#include "lib/base/failure.h"
#include "lib/rpc/client.h"
#include "posthorn/queue/v1/queue.grpc.pb.h"

namespace posthorn::gateway {
namespace {

namespace pb = posthorn::queue::v1;

absl::Time FromProtoTime(const google::protobuf::Timestamp& timestamp) {
  return absl::FromUnixSeconds(timestamp.seconds()) + absl::Nanoseconds(timestamp.nanos());
}

bool IsOver(const std::string& state) {
  return state == "delivered" || state == "bounced" || state == "cancelled";
}

WaitingMessage FromProto(const pb::QueuedMessage& in, MessageId id) {
  WaitingMessage message;
  message.id = id;
  message.reverse_path = in.reverse_path();
  message.octets = in.size();
  message.received_at = FromProtoTime(in.received_at());
  for (const pb::QueuedRecipient& to : in.recipients()) {
    if (IsOver(to.state())) continue;
    WaitingRecipient recipient;
    recipient.address = to.address();
    recipient.state = to.state();
    recipient.last_reply = to.last_reply();
    if (to.has_next_attempt_at()) recipient.next_attempt_at = FromProtoTime(to.next_attempt_at());
    message.recipients.push_back(std::move(recipient));
  }
  return message;
}

class QueueViewClient final : public QueueView {
 public:
  QueueViewClient(const std::shared_ptr<grpc::Channel>& channel, RpcSettings settings)
      : stub_(pb::Queue::NewStub(channel)),
        options_(std::move(settings.token), settings.timeout) {}

  Task<absl::StatusOr<std::vector<WaitingMessage>>> List(TenantId tenant,
                                                         std::optional<std::string> reverse_path,
                                                         std::optional<MessageId> after,
                                                         int limit) override {
    pb::ListMessagesRequest request;
    request.mutable_filter()->set_tenant_id(tenant.value());
    if (reverse_path.has_value()) {
      request.mutable_filter()->set_reverse_path(*std::move(reverse_path));
    }
    request.set_limit(limit);
    if (after.has_value()) request.set_after_message_id(after->bytes());
    Task<absl::StatusOr<pb::ListMessagesResponse>> call = rpc::Unary<pb::ListMessagesResponse>(
        stub_->async(), &pb::Queue::Stub::async::ListMessages, std::move(request), options_);
    const absl::StatusOr<pb::ListMessagesResponse> response = co_await std::move(call);
    if (!response.ok()) co_return response.status();
    std::vector<WaitingMessage> messages;
    for (const pb::QueuedMessage& message : response->messages()) {
      const absl::StatusOr<MessageId> id = MessageId::FromBytes(message.message_id());
      if (!id.ok()) co_return MakeFailure(Failure::kUnavailable);
      messages.push_back(FromProto(message, *id));
    }
    co_return messages;
  }

 private:
  const std::unique_ptr<pb::Queue::Stub> stub_;
  const rpc::CallOptions options_;
};

}  // namespace

std::unique_ptr<QueueView> MakeQueueViewClient(std::shared_ptr<grpc::Channel> queue,
                                               RpcSettings settings) {
  return std::make_unique<QueueViewClient>(queue, std::move(settings));
}

}  // namespace posthorn::gateway
