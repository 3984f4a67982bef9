#include "services/gateway/clients/delivery_client.h"

#include <utility>
#include <vector>

#include "lib/base/failure.h"
#include "lib/rpc/client.h"
#include "lib/telemetry/metrics.h"
#include "posthorn/mailbox/v1/delivery.grpc.pb.h"
#include "services/gateway/clients/body_upload.h"
#include "services/gateway/clients/coalescer.h"
#include "services/gateway/clients/proto_time.h"

namespace posthorn::gateway {
namespace {

namespace pb = posthorn::mailbox::v1;
using Batch = Coalescer<pb::Delivery, pb::DeliveryResult>;

absl::Status FromProto(const pb::RecipientResult& result) {
  if (result.outcome() == pb::RecipientResult::OUTCOME_STORED ||
      result.outcome() == pb::RecipientResult::OUTCOME_DUPLICATE) {
    return absl::OkStatus();
  }
  absl::Status status = rpc::FromDetail(result.failure());
  // "Failed" without a reason, or an outcome of a newer replica: not known to be stored.
  return status.ok() ? MakeFailure(Failure::kUnavailable) : status;
}

metrics::Histogram& BatchSize() {
  static metrics::Histogram& histogram = metrics::MakeHistogram(
      "posthorn_gateway_delivery_batch_messages",
      "Messages in one call to the mailbox service. Always 1 under load: calls are not coalesced.",
      {1, 2, 4, 8, 16, 32, 64});
  return histogram;
}

class DeliveryClient final : public LocalDelivery {
 public:
  DeliveryClient(const std::shared_ptr<grpc::Channel>& channel, RpcSettings settings)
      : stub_(pb::LocalDelivery::NewStub(channel)),
        bodies_(common::v1::Bodies::NewStub(channel)),
        options_(std::move(settings.token), settings.timeout),
        batch_([this](std::vector<pb::Delivery> deliveries) { return Send(std::move(deliveries)); },
               Batch::Limits()) {}

  Task<std::vector<absl::Status>> Deliver(LocalMessage message) override {
    const std::size_t recipients = message.recipients.size();
    pb::Delivery delivery;
    std::size_t octets = 0;
    if (message.body->size() <= kMaxInlineBody) {
      absl::StatusOr<std::string> body = InlineBody(*message.body);
      if (!body.ok()) co_return std::vector<absl::Status>(recipients, body.status());
      octets = body->size();
      delivery.set_inline_body(*std::move(body));
    } else {
      absl::StatusOr<common::v1::BodyRef> body =
          co_await PutBody(*bodies_, message.tenant, message.body, options_);
      if (!body.ok()) co_return std::vector<absl::Status>(recipients, body.status());
      *delivery.mutable_stored_body() = *std::move(body);
    }
    delivery.set_tenant_id(message.tenant.value());
    delivery.set_message_id(message.id.bytes());
    delivery.set_reverse_path(std::move(message.reverse_path));
    *delivery.mutable_received_at() = ToProtoTime(message.received_at);
    delivery.set_resend_key(std::move(message.resend_key));
    for (LocalRecipient& recipient : message.recipients) {
      pb::LocalRecipient& out = *delivery.add_recipients();
      octets += recipient.prefix.size() + recipient.address.size() + 32;
      out.set_account_id(recipient.account.value());
      out.set_address(std::move(recipient.address));
      out.set_prefix(std::move(recipient.prefix));
    }
    const absl::StatusOr<pb::DeliveryResult> result =
        co_await batch_.Submit(std::move(delivery), octets);
    if (!result.ok()) co_return std::vector<absl::Status>(recipients, result.status());
    std::vector<absl::Status> statuses;
    for (const pb::RecipientResult& recipient : result->recipients()) {
      statuses.push_back(FromProto(recipient));
    }
    statuses.resize(recipients, MakeFailure(Failure::kUnavailable));
    co_return statuses;
  }

 private:
  Task<absl::StatusOr<std::vector<pb::DeliveryResult>>> Send(std::vector<pb::Delivery> deliveries) {
    BatchSize().Observe(static_cast<double>(deliveries.size()));
    pb::DeliverRequest request;
    for (pb::Delivery& delivery : deliveries) {
      *request.add_deliveries() = std::move(delivery);
    }
    Task<absl::StatusOr<pb::DeliverResponse>> call = rpc::Unary<pb::DeliverResponse>(
        stub_->async(), &pb::LocalDelivery::Stub::async::Deliver, std::move(request), options_);
    absl::StatusOr<pb::DeliverResponse> response = co_await std::move(call);
    if (!response.ok()) {
      // The call as a whole says nothing about a single recipient: never permanent.
      if (IsPermanent(response.status())) co_return MakeFailure(Failure::kUnavailable);
      co_return response.status();
    }
    std::vector<pb::DeliveryResult> results;
    results.reserve(static_cast<std::size_t>(response->results_size()));
    for (pb::DeliveryResult& result : *response->mutable_results()) {
      results.push_back(std::move(result));
    }
    co_return results;
  }

  const std::unique_ptr<pb::LocalDelivery::Stub> stub_;
  const std::unique_ptr<common::v1::Bodies::Stub> bodies_;
  const rpc::CallOptions options_;
  Batch batch_;
};

}  // namespace

std::unique_ptr<LocalDelivery> MakeDeliveryClient(std::shared_ptr<grpc::Channel> mailbox,
                                                  RpcSettings settings) {
  return std::make_unique<DeliveryClient>(mailbox, std::move(settings));
}

}  // namespace posthorn::gateway
