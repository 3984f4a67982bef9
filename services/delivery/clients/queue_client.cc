#include "services/delivery/clients/queue_client.h"

#include <utility>

#include "lib/telemetry/log.h"
#include "posthorn/common/v1/common.grpc.pb.h"
#include "posthorn/queue/v1/queue.grpc.pb.h"
#include "services/delivery/clients/convert.h"
#include "services/delivery/clients/put_pieces.h"

namespace posthorn::delivery {
namespace {

using delivery::FromProto;
using delivery::ToProto;

namespace pb = posthorn::queue::v1;
namespace common = posthorn::common::v1;

// A body may take as long as its slowest reader, the peer; each piece has the peer's timeout.
constexpr absl::Duration kBodyDeadline = absl::Hours(2);

EnvelopeOptions FromProto(const pb::EnvelopeOptions& in) {
  EnvelopeOptions options;
  options.envelope_id = in.envelope_id();
  if (in.ret() == pb::EnvelopeOptions::RET_FULL) options.ret = EnvelopeOptions::Ret::kFull;
  if (in.ret() == pb::EnvelopeOptions::RET_HEADERS) options.ret = EnvelopeOptions::Ret::kHeaders;
  options.require_tls = in.require_tls();
  if (in.has_hold_until()) options.hold_until = FromProto(in.hold_until());
  options.priority = in.priority();
  if (in.has_deliver_by()) {
    DeliverBy& deliver_by = options.deliver_by.emplace();
    deliver_by.by = FromProto(in.deliver_by().by());
    deliver_by.return_after = in.deliver_by().mode() == pb::DeliverBy::MODE_RETURN;
    deliver_by.trace = in.deliver_by().trace();
  }
  options.smtputf8 = in.smtputf8();
  options.body_is_binary = in.body_is_binary();
  options.verp_delimiters = in.verp_delimiters();
  options.tls_optional = in.tls_optional();
  return options;
}

void ToProto(const EnvelopeOptions& in, pb::EnvelopeOptions& out) {
  out.set_envelope_id(in.envelope_id);
  if (in.ret == EnvelopeOptions::Ret::kFull) out.set_ret(pb::EnvelopeOptions::RET_FULL);
  if (in.ret == EnvelopeOptions::Ret::kHeaders) out.set_ret(pb::EnvelopeOptions::RET_HEADERS);
  out.set_require_tls(in.require_tls);
  if (in.hold_until.has_value()) ToProto(*in.hold_until, *out.mutable_hold_until());
  out.set_priority(in.priority);
  if (in.deliver_by.has_value()) {
    pb::DeliverBy& deliver_by = *out.mutable_deliver_by();
    ToProto(in.deliver_by->by, *deliver_by.mutable_by());
    deliver_by.set_mode(in.deliver_by->return_after ? pb::DeliverBy::MODE_RETURN
                                                    : pb::DeliverBy::MODE_NOTIFY);
    deliver_by.set_trace(in.deliver_by->trace);
  }
  out.set_smtputf8(in.smtputf8);
  out.set_body_is_binary(in.body_is_binary);
  out.set_verp_delimiters(in.verp_delimiters);
  out.set_tls_optional(in.tls_optional);
}

RecipientOptions FromProto(const pb::RecipientOptions& in) {
  RecipientOptions options;
  options.original_recipient = in.original_recipient();
  options.notify_given = in.notify_size() > 0;
  for (const int notify : in.notify()) {
    options.never |= notify == pb::RecipientOptions::NOTIFY_NEVER;
    options.success |= notify == pb::RecipientOptions::NOTIFY_SUCCESS;
    options.failure |= notify == pb::RecipientOptions::NOTIFY_FAILURE;
    options.delay |= notify == pb::RecipientOptions::NOTIFY_DELAY;
  }
  return options;
}

void ToProto(const RecipientOptions& in, pb::RecipientOptions& out) {
  out.set_original_recipient(in.original_recipient);
  if (in.never) out.add_notify(pb::RecipientOptions::NOTIFY_NEVER);
  if (in.success) out.add_notify(pb::RecipientOptions::NOTIFY_SUCCESS);
  if (in.failure) out.add_notify(pb::RecipientOptions::NOTIFY_FAILURE);
  if (in.delay) out.add_notify(pb::RecipientOptions::NOTIFY_DELAY);
}

absl::StatusOr<Job> FromProto(pb::Job& in) {
  absl::StatusOr<MessageId> id = MessageId::FromBytes(in.message_id());
  if (!id.ok()) return id.status();
  Job job;
  job.key.tenant = TenantId(in.tenant_id());
  job.key.job = JobId(in.job_id());
  job.key.attempt = in.attempt();
  job.key.destination = in.destination();
  job.message_id = *id;
  job.reverse_path = in.reverse_path();
  for (const pb::JobRecipient& from : in.recipients()) {
    JobRecipient recipient;
    recipient.recipient_id = from.recipient_id();
    recipient.address = from.address();
    recipient.original_address =
        from.original_address().empty() ? from.address() : from.original_address();
    recipient.account = AccountId(from.account_id());
    if (from.has_options()) recipient.options = FromProto(from.options());
    job.recipients.push_back(std::move(recipient));
  }
  job.prefix = std::move(*in.mutable_prefix());
  job.inline_body = std::move(*in.mutable_inline_body());
  if (in.has_stored_body() && in.stored_body().size() > 0) {
    job.stored_body = FromProto(in.stored_body());
  }
  job.received_at = FromProto(in.received_at());
  job.expires_at = in.has_expires_at() ? FromProto(in.expires_at()) : absl::InfiniteFuture();
  job.body_is_8bit = in.body_is_8bit();
  job.local_resend_key = in.local_resend_key();
  job.delay_warning_due = in.delay_warning_due();
  if (in.has_options()) job.options = FromProto(in.options());
  job.deliver_by_notified = in.deliver_by_notified();
  job.bounce_reason = in.bounce_reason();
  job.waits = in.waits();
  job.route.assign(in.route().begin(), in.route().end());
  return job;
}

void ToProto(const LeaseKey& in, pb::LeaseKey& out) {
  out.set_tenant_id(in.tenant.value());
  out.set_job_id(in.job.value());
  out.set_attempt(in.attempt);
  out.set_destination(in.destination);
}

void ToProto(const OutboundMessage& in, pb::OutboundMessage& out) {
  out.set_tenant_id(in.tenant.value());
  out.set_message_id(in.message_id.bytes());
  out.set_reverse_path(in.reverse_path);
  for (const OutboundRecipient& recipient : in.recipients) {
    pb::OutboundRecipient& to = *out.add_recipients();
    to.set_address(recipient.address);
    to.set_original_address(recipient.original_address);
    to.set_account_id(recipient.account.value());
    ToProto(recipient.options, *to.mutable_options());
  }
  out.set_prefix(in.prefix);
  if (in.stored_body.has_value()) {
    ToProto(*in.stored_body, *out.mutable_stored_body());
  } else {
    out.set_inline_body(in.inline_body);
  }
  ToProto(in.received_at, *out.mutable_received_at());
  out.set_body_is_8bit(in.body_is_8bit);
  ToProto(in.options, *out.mutable_options());
}

pb::RecipientReport::Outcome ToProto(Outcome outcome) {
  switch (outcome) {
    case Outcome::kDelivered: return pb::RecipientReport::OUTCOME_DELIVERED;
    case Outcome::kDeferred: return pb::RecipientReport::OUTCOME_DEFERRED;
    case Outcome::kBounced: return pb::RecipientReport::OUTCOME_BOUNCED;
  }
  return pb::RecipientReport::OUTCOME_UNSPECIFIED;
}

// The server's words are its own bytes; a proto string is UTF-8.
std::string Ascii(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) >= 0x7f || static_cast<unsigned char>(c) < 0x20) c = '?';
  }
  return text;
}

void ToProto(const JobReport& in, pb::JobReport& out) {
  ToProto(in.key, *out.mutable_job());
  for (std::size_t i = 0; i < in.results.size(); ++i) {
    const RecipientResult& result = in.results[i];
    pb::RecipientReport& to = *out.add_recipients();
    to.set_recipient_id(in.recipient_ids[i]);
    to.set_outcome(ToProto(result.outcome));
    to.set_remote_host(Ascii(result.remote_host));
    to.set_smtp_code(result.smtp_code);
    to.set_enhanced_status(result.enhanced);
    to.set_text(Ascii(result.text));
  }
  for (const OutboundMessage& message : in.notifications) ToProto(message, *out.add_notifications());
  out.set_delay_warning_sent(in.delay_warning_sent);
  out.set_deliver_by_notified(in.deliver_by_notified);
  out.set_waits(in.waits);
  if (in.waits_until.has_value()) {
    out.set_waited(true);
    ToProto(*in.waits_until, *out.mutable_retry_at());
  }
  if (in.retry_before.has_value()) ToProto(*in.retry_before, *out.mutable_retry_before());
}

class GrpcBodyReader final : public BodyReader {
 public:
  explicit GrpcBodyReader(rpc::StreamReader<common::ReadBodyResponse> reader)
      : reader_(std::move(reader)) {}
  Task<absl::StatusOr<std::string>> Next() override {
    for (;;) {
      absl::StatusOr<std::optional<common::ReadBodyResponse>> next = co_await reader_.Next();
      if (!next.ok()) co_return next.status();
      if (!next->has_value()) co_return std::string();
      if (!(*next)->data().empty()) co_return std::move(*(*next)->mutable_data());
    }
  }

 private:
  rpc::StreamReader<common::ReadBodyResponse> reader_;
};

class QueueClient final : public QueuePort {
 public:
  QueueClient(std::shared_ptr<grpc::Channel> channel, std::string token, absl::Duration deadline)
      : queue_(pb::Queue::NewStub(channel)),
        bodies_(common::Bodies::NewStub(channel)),
        token_(std::move(token)),
        deadline_(deadline) {}

  Task<absl::StatusOr<LeasedJobs>> Lease(std::string worker_id, int max_jobs,
                                         absl::Duration wait) override {
    pb::LeaseRequest request;
    request.set_worker_id(std::move(worker_id));
    request.set_max_jobs(max_jobs);
    request.set_wait_ms(static_cast<int>(absl::ToInt64Milliseconds(wait)));
    rpc::CallOptions options(token_, deadline_ + wait);
    absl::StatusOr<pb::LeaseResponse> response = co_await rpc::Unary<pb::LeaseResponse>(
        queue_->async(), &pb::Queue::Stub::async::Lease, std::move(request), std::move(options));
    if (!response.ok()) co_return response.status();
    LeasedJobs leased;
    leased.lease = absl::Seconds(std::max(1, response->lease_seconds()));
    for (pb::Job& in : *response->mutable_jobs()) {
      absl::StatusOr<Job> job = FromProto(in);
      if (job.ok()) {
        leased.jobs.push_back(*std::move(job));
      } else {
        log::Error("delivery", "malformed job", {{"job", in.job_id()}, {"error", job.status()}});
      }
    }
    co_return leased;
  }

  Task<absl::StatusOr<std::vector<JobId>>> Heartbeat(std::string worker_id,
                                                     std::vector<LeaseKey> jobs) override {
    pb::HeartbeatRequest request;
    request.set_worker_id(std::move(worker_id));
    for (const LeaseKey& key : jobs) ToProto(key, *request.add_jobs());
    rpc::CallOptions options(token_, deadline_);
    const absl::StatusOr<pb::HeartbeatResponse> response =
        co_await rpc::Unary<pb::HeartbeatResponse>(queue_->async(),
                                                   &pb::Queue::Stub::async::Heartbeat,
                                                   std::move(request), std::move(options));
    if (!response.ok()) co_return response.status();
    std::vector<JobId> lost;
    for (const std::int64_t id : response->lost_job_ids()) lost.push_back(JobId(id));
    co_return lost;
  }

  Task<absl::Status> Report(std::string worker_id, const std::vector<JobReport>& reports) override {
    pb::ReportRequest request;
    request.set_worker_id(std::move(worker_id));
    for (const JobReport& report : reports) ToProto(report, *request.add_reports());
    rpc::CallOptions options(token_, deadline_);
    const absl::StatusOr<pb::ReportResponse> response = co_await rpc::Unary<pb::ReportResponse>(
        queue_->async(), &pb::Queue::Stub::async::Report, std::move(request), std::move(options));
    co_return response.status();
  }

  Task<absl::Status> Enqueue(OutboundMessage message) override {
    pb::EnqueueRequest request;
    ToProto(message, *request.add_messages());
    rpc::CallOptions options(token_, deadline_);
    const absl::StatusOr<pb::EnqueueResponse> response = co_await rpc::Unary<pb::EnqueueResponse>(
        queue_->async(), &pb::Queue::Stub::async::Enqueue, std::move(request), std::move(options));
    if (!response.ok()) co_return response.status();
    if (response->results_size() != 1) co_return absl::InternalError("results do not match");
    co_return rpc::FromDetail(response->results(0).failure());
  }

  Task<absl::StatusOr<BodyRef>> PutBody(TenantId tenant, BodyReader& body) override {
    return PutPieces(*bodies_, tenant, body, rpc::CallOptions(token_, kBodyDeadline));
  }

  std::unique_ptr<BodyReader> ReadBody(TenantId tenant, const BodyRef& body,
                                       std::uint64_t length) override {
    common::ReadBodyRequest request;
    request.set_tenant_id(tenant.value());
    request.set_sha256(body.sha256);
    request.set_length(length);
    const rpc::CallOptions options(token_, kBodyDeadline);
    return std::make_unique<GrpcBodyReader>(rpc::StreamReader<common::ReadBodyResponse>(
        bodies_->async(), &common::Bodies::Stub::async::Read, std::move(request), options));
  }

 private:
  const std::unique_ptr<pb::Queue::Stub> queue_;
  const std::unique_ptr<common::Bodies::Stub> bodies_;
  const std::string token_;
  const absl::Duration deadline_;
};

}  // namespace

std::unique_ptr<QueuePort> MakeQueueClient(std::shared_ptr<grpc::Channel> channel,
                                           std::string service_token, absl::Duration deadline) {
  return std::make_unique<QueueClient>(std::move(channel), std::move(service_token), deadline);
}

}  // namespace posthorn::delivery
