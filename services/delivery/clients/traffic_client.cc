#include "services/delivery/clients/traffic_client.h"

#include <utility>

#include "lib/rpc/client.h"
#include "posthorn/queue/v1/queue.grpc.pb.h"

namespace posthorn::delivery {
namespace {

namespace pb = posthorn::queue::v1;

// The server's words are its own bytes; a proto string is UTF-8.
std::string Ascii(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) >= 0x7f || static_cast<unsigned char>(c) < 0x20) c = '?';
  }
  return text;
}

void ToProto(const TrafficPort::Slot& in, pb::ConnectionSlot& out) {
  out.set_site(in.site);
  out.set_rule(in.rule);
  out.set_token(in.token);
}

class TrafficClient final : public TrafficPort {
 public:
  TrafficClient(std::shared_ptr<grpc::Channel> channel, std::string token, absl::Duration deadline)
      : traffic_(pb::Traffic::NewStub(channel)), token_(std::move(token)), deadline_(deadline) {}

  Task<absl::StatusOr<Answer>> Admit(Question question) override {
    pb::AdmitRequest request;
    request.set_tenant_id(question.tenant.value());
    request.set_site(question.site);
    request.set_rule(question.rule);
    request.set_domain(question.domain);
    pb::TrafficLimits& limits = *request.mutable_limits();
    limits.set_connections(question.limits.connections);
    limits.set_messages_per_second(question.limits.per_second);
    limits.set_messages_per_minute(question.limits.per_minute);
    limits.set_messages_per_hour(question.limits.per_hour);
    for (const SourceOffer& offer : question.sources) {
      pb::SourceOffer& added = *request.add_sources();
      added.set_name(offer.name);
      added.set_messages_per_day(offer.per_day);
    }
    rpc::CallOptions options(token_, deadline_);
    const absl::StatusOr<pb::AdmitResponse> response = co_await rpc::Unary<pb::AdmitResponse>(
        traffic_->async(), &pb::Traffic::Stub::async::Admit, std::move(request),
        std::move(options));
    if (!response.ok()) co_return response.status();
    Answer answer;
    answer.granted = response->granted();
    answer.wait = absl::Milliseconds(response->wait_ms());
    answer.reason = response->reason();
    answer.whole_site = response->whole_site();
    answer.source = response->source();
    answer.free_for = absl::Milliseconds(response->free_ms());
    answer.probe = response->probe();
    co_return answer;
  }

  Task<absl::StatusOr<SlotAnswer>> TakeConnection(TenantId tenant, Slot slot, int limit) override {
    pb::HoldConnectionsRequest request;
    request.set_tenant_id(tenant.value());
    ToProto(slot, *request.mutable_take());
    request.set_limit(limit);
    const absl::StatusOr<pb::HoldConnectionsResponse> response =
        co_await Hold(std::move(request));
    if (!response.ok()) co_return response.status();
    SlotAnswer answer;
    answer.granted = response->granted();
    answer.wait = absl::Milliseconds(response->wait_ms());
    co_return answer;
  }

  Task<absl::Status> HoldConnections(std::vector<Slot> keep, std::vector<Slot> drop) override {
    pb::HoldConnectionsRequest request;
    for (const Slot& slot : keep) ToProto(slot, *request.add_keep());
    for (const Slot& slot : drop) ToProto(slot, *request.add_drop());
    const absl::StatusOr<pb::HoldConnectionsResponse> response =
        co_await Hold(std::move(request));
    co_return response.status();
  }

  Task<absl::Status> Note(Notice notice) override {
    pb::NoteRequest request;
    request.set_site(notice.site);
    request.set_domain(notice.domain);
    request.set_action(static_cast<pb::NoteRequest::Action>(notice.action));
    request.set_seconds(absl::ToInt64Seconds(notice.duration));
    request.set_source(notice.source);
    request.set_reason(Ascii(std::move(notice.reason)));
    request.set_probe(notice.probe);
    rpc::CallOptions options(token_, deadline_);
    const absl::StatusOr<pb::NoteResponse> response = co_await rpc::Unary<pb::NoteResponse>(
        traffic_->async(), &pb::Traffic::Stub::async::Note, std::move(request),
        std::move(options));
    co_return response.status();
  }

 private:
  Task<absl::StatusOr<pb::HoldConnectionsResponse>> Hold(pb::HoldConnectionsRequest request) {
    rpc::CallOptions options(token_, deadline_);
    co_return co_await rpc::Unary<pb::HoldConnectionsResponse>(
        traffic_->async(), &pb::Traffic::Stub::async::HoldConnections, std::move(request),
        std::move(options));
  }

  const std::unique_ptr<pb::Traffic::Stub> traffic_;
  const std::string token_;
  const absl::Duration deadline_;
};

}  // namespace

std::unique_ptr<TrafficPort> MakeTrafficClient(std::shared_ptr<grpc::Channel> channel,
                                               std::string service_token,
                                               absl::Duration deadline) {
  return std::make_unique<TrafficClient>(std::move(channel), std::move(service_token), deadline);
}

}  // namespace posthorn::delivery
