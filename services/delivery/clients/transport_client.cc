#include "services/delivery/clients/transport_client.h"

#include <utility>

#include "posthorn/queue/v1/transport.grpc.pb.h"
#include "services/delivery/clients/convert.h"

namespace posthorn::delivery {
namespace {

namespace pb = posthorn::queue::v1;

class TransportClient final : public StsStore {
 public:
  TransportClient(std::shared_ptr<grpc::Channel> channel, std::string token,
                  absl::Duration deadline)
      : stub_(pb::Transport::NewStub(std::move(channel))),
        token_(std::move(token)),
        deadline_(deadline) {}

  Task<absl::StatusOr<std::optional<StoredStsPolicy>>> FindStsPolicy(std::string domain) override {
    pb::FindStsPolicyRequest request;
    request.set_domain(std::move(domain));
    rpc::CallOptions options(token_, deadline_);
    const absl::StatusOr<pb::FindStsPolicyResponse> response =
        co_await rpc::Unary<pb::FindStsPolicyResponse>(
            stub_->async(), &pb::Transport::Stub::async::FindStsPolicy, std::move(request),
            std::move(options));
    if (!response.ok()) co_return response.status();
    std::optional<StoredStsPolicy> policy;
    if (response->has_policy()) {
      policy.emplace();
      policy->id = response->policy().id();
      policy->text = response->policy().text();
      policy->fetched_at = FromProto(response->policy().fetched_at());
    }
    co_return policy;
  }

  Task<absl::Status> StoreStsPolicy(std::string domain, StoredStsPolicy policy) override {
    const absl::StatusOr<StsPolicy> parsed = ParseStsPolicy(policy.text);
    if (!parsed.ok()) co_return parsed.status();
    pb::StoreStsPolicyRequest request;
    request.set_domain(std::move(domain));
    request.mutable_policy()->set_id(std::move(policy.id));
    request.mutable_policy()->set_text(std::move(policy.text));
    ToProto(policy.fetched_at, *request.mutable_policy()->mutable_fetched_at());
    ToProto(policy.fetched_at + parsed->max_age, *request.mutable_policy()->mutable_expires_at());
    rpc::CallOptions options(token_, deadline_);
    const absl::StatusOr<pb::StoreStsPolicyResponse> response =
        co_await rpc::Unary<pb::StoreStsPolicyResponse>(
            stub_->async(), &pb::Transport::Stub::async::StoreStsPolicy, std::move(request),
            std::move(options));
    co_return response.status();
  }

 private:
  const std::unique_ptr<pb::Transport::Stub> stub_;
  const std::string token_;
  const absl::Duration deadline_;
};

}  // namespace

std::unique_ptr<StsStore> MakeTransportClient(std::shared_ptr<grpc::Channel> channel,
                                              std::string service_token,
                                              absl::Duration deadline) {
  return std::make_unique<TransportClient>(std::move(channel), std::move(service_token), deadline);
}

}  // namespace posthorn::delivery
