#include "services/delivery/clients/transport_client.h"

#include <utility>

#include "posthorn/queue/v1/transport.grpc.pb.h"
#include "services/delivery/clients/convert.h"

namespace posthorn::delivery {
namespace {

using delivery::FromProto;
using delivery::ToProto;

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

void ToProto(const TlsCount& in, pb::TlsResult& out) {
  out.set_day(in.day);
  out.set_domain(in.domain);
  pb::TlsPolicyApplied& policy = *out.mutable_policy();
  policy.set_type(in.policy.type);
  policy.set_domain(in.policy.policy_domain);
  for (const std::string& line : in.policy.text) policy.add_text(line);
  for (const std::string& pattern : in.policy.mx) policy.add_mx(pattern);
  if (!in.outcome.result.empty()) {
    pb::TlsFailure& failure = *out.mutable_failure();
    failure.set_result(in.outcome.result);
    failure.set_sending_ip(in.outcome.sending_ip);
    failure.set_mx_host(in.outcome.host);
    failure.set_receiving_ip(in.outcome.ip);
    failure.set_reason(in.outcome.text);
  }
  out.set_sessions(in.sessions);
}

tlsrpt::PolicyResults FromProto(const pb::TlsPolicyResults& in) {
  tlsrpt::PolicyResults results;
  results.type = in.policy().type();
  results.domain = in.policy().domain();
  results.text.assign(in.policy().text().begin(), in.policy().text().end());
  results.mx.assign(in.policy().mx().begin(), in.policy().mx().end());
  results.successful = in.successful();
  results.failed = in.failed();
  for (const pb::TlsFailureCount& count : in.failures()) {
    tlsrpt::FailureDetail& failure = results.failures.emplace_back();
    failure.result_type = count.failure().result();
    failure.sending_ip = count.failure().sending_ip();
    failure.mx_host = count.failure().mx_host();
    failure.receiving_ip = count.failure().receiving_ip();
    failure.reason = count.failure().reason();
    failure.sessions = count.sessions();
  }
  return results;
}

pb::FinishTlsReportRequest::Outcome ToProto(TlsReportResult result) {
  switch (result) {
    case TlsReportResult::kSent: return pb::FinishTlsReportRequest::OUTCOME_SENT;
    case TlsReportResult::kNotWanted: return pb::FinishTlsReportRequest::OUTCOME_NOT_WANTED;
    case TlsReportResult::kFailed: return pb::FinishTlsReportRequest::OUTCOME_FAILED;
  }
  return pb::FinishTlsReportRequest::OUTCOME_UNSPECIFIED;
}

class TlsReportClient final : public TlsReportPort {
 public:
  TlsReportClient(std::shared_ptr<grpc::Channel> channel, std::string token,
                  absl::Duration deadline)
      : stub_(pb::Transport::NewStub(std::move(channel))),
        token_(std::move(token)),
        deadline_(deadline) {}

  Task<absl::Status> Add(std::string batch, const std::vector<TlsCount>& counts) override {
    pb::AddTlsResultsRequest request;
    request.set_batch(std::move(batch));
    for (const TlsCount& count : counts) ToProto(count, *request.add_results());
    rpc::CallOptions options(token_, deadline_);
    const absl::StatusOr<pb::AddTlsResultsResponse> response =
        co_await rpc::Unary<pb::AddTlsResultsResponse>(
            stub_->async(), &pb::Transport::Stub::async::AddTlsResults, std::move(request),
            std::move(options));
    co_return response.status();
  }

  Task<absl::StatusOr<std::optional<DueTlsReport>>> Lease() override {
    pb::LeaseTlsReportRequest request;
    rpc::CallOptions options(token_, deadline_);
    const absl::StatusOr<pb::LeaseTlsReportResponse> response =
        co_await rpc::Unary<pb::LeaseTlsReportResponse>(
            stub_->async(), &pb::Transport::Stub::async::LeaseTlsReport, std::move(request),
            std::move(options));
    std::optional<DueTlsReport> due;
    // A queue service of the release before makes no reports.
    if (absl::IsUnimplemented(response.status())) co_return due;
    if (!response.ok()) co_return response.status();
    if (!response->has_report()) co_return due;
    const absl::StatusOr<MessageId> id = MessageId::FromBytes(response->report().message_id());
    if (!id.ok()) co_return id.status();
    due.emplace();
    due->day = response->report().day();
    due->domain = response->report().domain();
    due->attempt = response->report().attempt();
    due->message_id = *id;
    for (const pb::TlsPolicyResults& policy : response->report().policies()) {
      due->policies.push_back(FromProto(policy));
    }
    co_return due;
  }

  Task<absl::Status> Finish(const DueTlsReport& report, TlsReportResult result,
                            std::string note) override {
    pb::FinishTlsReportRequest request;
    request.set_day(report.day);
    request.set_domain(report.domain);
    request.set_attempt(report.attempt);
    request.set_outcome(ToProto(result));
    request.set_note(std::move(note));
    rpc::CallOptions options(token_, deadline_);
    const absl::StatusOr<pb::FinishTlsReportResponse> response =
        co_await rpc::Unary<pb::FinishTlsReportResponse>(
            stub_->async(), &pb::Transport::Stub::async::FinishTlsReport, std::move(request),
            std::move(options));
    co_return response.status();
  }

 private:
  const std::unique_ptr<pb::Transport::Stub> stub_;
  const std::string token_;
  const absl::Duration deadline_;
};

}  // namespace

std::unique_ptr<TlsReportPort> MakeTlsReportClient(std::shared_ptr<grpc::Channel> channel,
                                                   std::string service_token,
                                                   absl::Duration deadline) {
  return std::make_unique<TlsReportClient>(std::move(channel), std::move(service_token), deadline);
}

std::unique_ptr<StsStore> MakeTransportClient(std::shared_ptr<grpc::Channel> channel,
                                              std::string service_token,
                                              absl::Duration deadline) {
  return std::make_unique<TransportClient>(std::move(channel), std::move(service_token), deadline);
}

}  // namespace posthorn::delivery
