#include "services/gateway/clients/queue_client.h"

#include <utility>
#include <vector>

#include "lib/base/failure.h"
#include "lib/rpc/client.h"
#include "posthorn/queue/v1/queue.grpc.pb.h"
#include "services/gateway/clients/body_upload.h"
#include "services/gateway/clients/coalescer.h"
#include "services/gateway/clients/proto_time.h"

namespace posthorn::gateway {
namespace {

namespace pb = posthorn::queue::v1;
using Batch = Coalescer<pb::OutboundMessage, pb::EnqueueResult>;

// Sets only what was asked for.
void Convert(EnvelopeOptions in, pb::EnvelopeOptions& out) {
  out.set_envelope_id(std::move(in.envelope_id));
  if (in.ret == smtp::DsnReturn::kFull) out.set_ret(pb::EnvelopeOptions::RET_FULL);
  if (in.ret == smtp::DsnReturn::kHeaders) out.set_ret(pb::EnvelopeOptions::RET_HEADERS);
  out.set_require_tls(in.require_tls);
  if (in.hold_until.has_value()) *out.mutable_hold_until() = ToProtoTime(*in.hold_until);
  out.set_priority(in.priority);
  if (in.deliver_by.has_value()) {
    pb::DeliverBy& by = *out.mutable_deliver_by();
    *by.mutable_by() = ToProtoTime(in.deliver_by->by);
    by.set_mode(in.deliver_by->notify ? pb::DeliverBy::MODE_NOTIFY : pb::DeliverBy::MODE_RETURN);
    by.set_trace(in.deliver_by->trace);
  }
  out.set_smtputf8(in.smtputf8);
  out.set_body_is_binary(in.body_is_binary);
  out.set_verp_delimiters(std::move(in.verp_delimiters));
}

void Convert(RecipientOptions in, pb::RecipientOptions& out) {
  out.set_original_recipient(std::move(in.original_recipient));
  if (in.notify.never) out.add_notify(pb::RecipientOptions::NOTIFY_NEVER);
  if (in.notify.success) out.add_notify(pb::RecipientOptions::NOTIFY_SUCCESS);
  if (in.notify.failure) out.add_notify(pb::RecipientOptions::NOTIFY_FAILURE);
  if (in.notify.delay) out.add_notify(pb::RecipientOptions::NOTIFY_DELAY);
}

class QueueClient final : public Spool {
 public:
  QueueClient(const std::shared_ptr<grpc::Channel>& channel, RpcSettings settings)
      : stub_(pb::Queue::NewStub(channel)),
        bodies_(common::v1::Bodies::NewStub(channel)),
        options_(std::move(settings.token), settings.timeout),
        batch_([this](std::vector<pb::OutboundMessage> messages) { return Send(std::move(messages)); },
               Batch::Limits()) {}

  Task<absl::StatusOr<Enqueued>> Enqueue(OutboundMessage message) override {
    pb::OutboundMessage out;
    std::size_t octets = message.prefix.size();
    if (message.body->size() <= kMaxInlineBody) {
      absl::StatusOr<std::string> body = InlineBody(*message.body);
      if (!body.ok()) co_return body.status();
      octets += body->size();
      out.set_inline_body(*std::move(body));
    } else {
      absl::StatusOr<common::v1::BodyRef> body =
          co_await PutBody(*bodies_, message.tenant, message.body, options_);
      if (!body.ok()) co_return body.status();
      *out.mutable_stored_body() = *std::move(body);
    }
    out.set_tenant_id(message.tenant.value());
    out.set_message_id(message.id.bytes());
    out.set_reverse_path(std::move(message.reverse_path));
    out.set_prefix(std::move(message.prefix));
    *out.mutable_received_at() = ToProtoTime(message.received_at);
    out.set_resend_key(std::move(message.resend_key));
    out.set_local_resend_key(std::move(message.local_resend_key));
    out.set_idempotency_key(std::move(message.idempotency_key));
    out.set_body_is_8bit(message.body_is_8bit);
    Convert(std::move(message.options), *out.mutable_options());
    for (OutboundRecipient& recipient : message.recipients) {
      pb::OutboundRecipient& to = *out.add_recipients();
      octets += recipient.address.size() + recipient.original_address.size() +
                recipient.options.original_recipient.size() + 16;
      to.set_address(std::move(recipient.address));
      to.set_original_address(std::move(recipient.original_address));
      to.set_account_id(recipient.account.value());
      if (recipient.options.notify.IsGiven() || !recipient.options.original_recipient.empty()) {
        Convert(std::move(recipient.options), *to.mutable_options());
      }
    }
    const absl::StatusOr<pb::EnqueueResult> result =
        co_await batch_.Submit(std::move(out), octets);
    if (!result.ok()) co_return result.status();
    if (const absl::Status failure = rpc::FromDetail(result->failure()); !failure.ok()) {
      co_return failure;
    }
    const absl::StatusOr<MessageId> id = MessageId::FromBytes(result->message_id());
    co_return Enqueued(id.ok() ? *id : message.id, result->duplicate());
  }

 private:
  Task<absl::StatusOr<std::vector<pb::EnqueueResult>>> Send(
      std::vector<pb::OutboundMessage> messages) {
    pb::EnqueueRequest request;
    for (pb::OutboundMessage& message : messages) *request.add_messages() = std::move(message);
    Task<absl::StatusOr<pb::EnqueueResponse>> call = rpc::Unary<pb::EnqueueResponse>(
        stub_->async(), &pb::Queue::Stub::async::Enqueue, std::move(request), options_);
    absl::StatusOr<pb::EnqueueResponse> response = co_await std::move(call);
    if (!response.ok()) {
      // The call as a whole says nothing about a single message: never permanent.
      if (IsPermanent(response.status())) co_return MakeFailure(Failure::kUnavailable);
      co_return response.status();
    }
    std::vector<pb::EnqueueResult> results;
    results.reserve(static_cast<std::size_t>(response->results_size()));
    for (pb::EnqueueResult& result : *response->mutable_results()) {
      results.push_back(std::move(result));
    }
    co_return results;
  }

  const std::unique_ptr<pb::Queue::Stub> stub_;
  const std::unique_ptr<common::v1::Bodies::Stub> bodies_;
  const rpc::CallOptions options_;
  Batch batch_;
};

}  // namespace

std::unique_ptr<Spool> MakeQueueClient(std::shared_ptr<grpc::Channel> queue, RpcSettings settings) {
  return std::make_unique<QueueClient>(queue, std::move(settings));
}

}  // namespace posthorn::gateway
