#include "services/queue/queue_service.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_join.h"
#include "lib/base/failure.h"
#include "lib/net/event_loop.h"
#include "lib/rpc/server.h"
#include "posthorn/queue/v1/queue.grpc.pb.h"
#include "services/queue/convert.h"
#include "services/queue/core.h"

namespace posthorn::queue {
namespace {

constexpr int kMaxMessagesPerCall = 1000;
constexpr int kMaxLeasesPerCall = 10000;
constexpr int kDefaultListLimit = 100;
constexpr int kMaxListLimit = 1000;
constexpr std::size_t kMaxReason = 500;
constexpr absl::Duration kMaxWait = absl::Seconds(30);

std::int32_t SecondsOf(absl::Duration duration) {
  return static_cast<std::int32_t>(absl::ToInt64Seconds(duration));
}

// GetScheduleResponse and RetryRule alike.
template <typename Proto>
void FillDelays(const RetryPolicy& policy, Proto& to) {
  for (const absl::Duration delay : policy.schedule) to.add_delay_seconds(SecondsOf(delay));
  to.set_delay_warning_seconds(SecondsOf(policy.delay_warning));
  to.set_expiry_seconds(SecondsOf(policy.expiry));
}

using Context = grpc::CallbackServerContext;
using Reactor = grpc::ServerUnaryReactor;

class QueueService final : public v1::Queue::CallbackService {
 public:
  QueueService(Core& core, net::LoopPool& loops, const rpc::TokenGuard& guard)
      : core_(core), loops_(loops), guard_(guard) {}

  Reactor* Enqueue(Context* context, const v1::EnqueueRequest* request,
                   v1::EnqueueResponse* response) override {
    return Handle(context, DoEnqueue(request, response));
  }
  Reactor* Lease(Context* context, const v1::LeaseRequest* request,
                 v1::LeaseResponse* response) override {
    return Handle(context, DoLease(context, request, response));
  }
  Reactor* Heartbeat(Context* context, const v1::HeartbeatRequest* request,
                     v1::HeartbeatResponse* response) override {
    return Handle(context, DoHeartbeat(request, response));
  }
  Reactor* Report(Context* context, const v1::ReportRequest* request,
                  v1::ReportResponse*) override {
    return Handle(context, DoReport(request));
  }
  Reactor* ListMessages(Context* context, const v1::ListMessagesRequest* request,
                        v1::ListMessagesResponse* response) override {
    return Handle(context, DoList(request, response));
  }
  Reactor* GetMessage(Context* context, const v1::GetMessageRequest* request,
                      v1::GetMessageResponse* response) override {
    return Handle(context, DoGet(request, response));
  }
  Reactor* RetryMessages(Context* context, const v1::RetryMessagesRequest* request,
                         v1::RetryMessagesResponse* response) override {
    return Handle(context, DoRetry(request, response));
  }
  Reactor* CancelMessages(Context* context, const v1::CancelMessagesRequest* request,
                          v1::CancelMessagesResponse* response) override {
    return Handle(context, DoCancel(request, response));
  }

  Reactor* HoldMessages(Context* context, const v1::HoldMessagesRequest* request,
                        v1::ChangeMessagesResponse* response) override {
    return Handle(context, DoHold(request, response));
  }
  Reactor* ReleaseMessages(Context* context, const v1::ReleaseMessagesRequest* request,
                           v1::ChangeMessagesResponse* response) override {
    return Handle(context, DoRelease(request, response));
  }
  Reactor* BounceMessages(Context* context, const v1::BounceMessagesRequest* request,
                          v1::ChangeMessagesResponse* response) override {
    return Handle(context, DoBounce(request, response));
  }
  Reactor* RerouteMessages(Context* context, const v1::RerouteMessagesRequest* request,
                           v1::ChangeMessagesResponse* response) override {
    return Handle(context, DoReroute(request, response));
  }
  Reactor* Summarize(Context* context, const v1::SummarizeRequest* request,
                     v1::SummarizeResponse* response) override {
    return Handle(context, DoSummarize(request, response));
  }
  Reactor* GetSchedule(Context* context, const v1::GetScheduleRequest*,
                       v1::GetScheduleResponse* response) override {
    return Handle(context, DoGetSchedule(response));
  }

 private:
  Reactor* Handle(Context* context, Task<absl::Status> task) {
    return rpc::HandleUnary(context, guard_, loops_.Next(), std::move(task));
  }

  Task<absl::Status> DoEnqueue(const v1::EnqueueRequest* request, v1::EnqueueResponse* response) {
    if (request->messages_size() > kMaxMessagesPerCall) {
      co_return MakeFailure(Failure::kInvalidArgument, "too many messages in one call");
    }
    // The request belongs to this call until it ends, and is not looked at again: its content
    // moves on.
    auto& messages = *const_cast<v1::EnqueueRequest*>(request)->mutable_messages();
    std::vector<Message> good;
    std::vector<absl::Status> refused;
    for (v1::OutboundMessage& message : messages) {
      absl::StatusOr<Message> converted = FromProto(std::move(message));
      refused.push_back(converted.status());
      if (converted.ok()) good.push_back(*std::move(converted));
    }
    absl::StatusOr<std::vector<absl::StatusOr<Accepted>>> queued =
        co_await core_.Enqueue(std::move(good));
    if (!queued.ok()) co_return queued.status();
    std::size_t next = 0;
    for (const absl::Status& refusal : refused) {
      v1::EnqueueResult& result = *response->add_results();
      const absl::StatusOr<Accepted> accepted =
          refusal.ok() ? (*queued)[next++] : absl::StatusOr<Accepted>(refusal);
      if (!accepted.ok()) {
        *result.mutable_failure() = rpc::ToDetail(accepted.status());
        continue;
      }
      result.set_message_id(accepted->id.bytes());
      result.set_duplicate(accepted->duplicate);
    }
    co_return absl::OkStatus();
  }

  Task<absl::Status> DoLease(Context* context, const v1::LeaseRequest* request,
                             v1::LeaseResponse* response) {
    const absl::Duration asked = absl::Milliseconds(std::max(0, request->wait_ms()));
    // The answer must be on its way before the caller gives up.
    const absl::Duration left = rpc::TimeLeft(*context, kMaxWait) - absl::Milliseconds(200);
    const absl::Duration wait = std::max(absl::ZeroDuration(), std::min(asked, left));
    std::function<bool()> is_gone = [context] { return context->IsCancelled(); };
    absl::StatusOr<std::vector<LeasedJob>> jobs =
        co_await core_.Lease(request->worker_id(), request->max_jobs(), wait, std::move(is_gone));
    if (!jobs.ok()) co_return jobs.status();
    for (LeasedJob& job : *jobs) *response->add_jobs() = ToProto(std::move(job));
    response->set_lease_seconds(static_cast<std::int32_t>(absl::ToInt64Seconds(core_.lease())));
    co_return absl::OkStatus();
  }

  Task<absl::Status> DoHeartbeat(const v1::HeartbeatRequest* request,
                                 v1::HeartbeatResponse* response) {
    if (request->jobs_size() > kMaxLeasesPerCall) {
      co_return MakeFailure(Failure::kInvalidArgument, "too many jobs in one call");
    }
    std::vector<LeaseKey> leases;
    for (const v1::LeaseKey& key : request->jobs()) leases.push_back(FromProto(key));
    absl::StatusOr<std::vector<JobId>> lost = co_await core_.Heartbeat(std::move(leases));
    if (!lost.ok()) co_return lost.status();
    for (const JobId job : *lost) response->add_lost_job_ids(job.value());
    co_return absl::OkStatus();
  }

  Task<absl::Status> DoReport(const v1::ReportRequest* request) {
    if (request->reports_size() > kMaxLeasesPerCall) {
      co_return MakeFailure(Failure::kInvalidArgument, "too many reports in one call");
    }
    std::vector<JobReport> reports;
    absl::flat_hash_set<std::int64_t> jobs;
    for (v1::JobReport& from : *const_cast<v1::ReportRequest*>(request)->mutable_reports()) {
      absl::StatusOr<JobReport> report = FromProto(std::move(from));
      if (!report.ok()) co_return report.status();
      if (!jobs.insert(report->key.ref.job.value()).second) {
        co_return MakeFailure(Failure::kInvalidArgument, "two reports of one job");
      }
      reports.push_back(*std::move(report));
    }
    co_return co_await core_.Report(std::move(reports));
  }

  Task<absl::Status> DoList(const v1::ListMessagesRequest* request,
                            v1::ListMessagesResponse* response) {
    absl::StatusOr<Filter> filter = FromProto(request->filter());
    if (!filter.ok()) co_return filter.status();
    std::optional<MessageId> after;
    if (!request->after_message_id().empty()) {
      absl::StatusOr<MessageId> id = MessageId::FromBytes(request->after_message_id());
      if (!id.ok()) {
        co_return MakeFailure(Failure::kInvalidArgument, "after_message_id must have 16 octets");
      }
      after = *id;
    }
    const int limit = request->limit() <= 0 ? kDefaultListLimit
                                            : std::min(request->limit(), kMaxListLimit);
    absl::StatusOr<std::vector<QueuedMessage>> messages =
        co_await core_.List(*std::move(filter), limit, after);
    if (!messages.ok()) co_return messages.status();
    for (const QueuedMessage& message : *messages) *response->add_messages() = ToProto(message);
    co_return absl::OkStatus();
  }

  Task<absl::Status> DoGet(const v1::GetMessageRequest* request,
                           v1::GetMessageResponse* response) {
    absl::StatusOr<MessageId> id = MessageId::FromBytes(request->message_id());
    if (!id.ok()) {
      co_return MakeFailure(Failure::kInvalidArgument, "message_id must have 16 octets");
    }
    Filter filter;
    filter.tenant = TenantId(request->tenant_id());
    filter.message = *id;
    absl::StatusOr<std::vector<QueuedMessage>> messages =
        co_await core_.List(std::move(filter), 1, std::nullopt);
    if (!messages.ok()) co_return messages.status();
    const absl::StatusOr<History> history =
        co_await core_.HistoryOf(TenantId(request->tenant_id()), *id);
    if (!history.ok()) co_return history.status();
    v1::QueuedMessage& message = *response->mutable_message();
    if (!messages->empty()) {
      message = ToProto(messages->front());
    } else if (!history->events.empty()) {
      message.set_tenant_id(history->tenant.value());
      message.set_message_id(request->message_id());
    } else {
      co_return MakeFailure(Failure::kNotFound, "No such message");
    }
    for (const Event& event : history->events) *message.add_events() = ToProto(event);
    co_return absl::OkStatus();
  }

  Task<absl::Status> DoRetry(const v1::RetryMessagesRequest* request,
                             v1::RetryMessagesResponse* response) {
    absl::StatusOr<Filter> filter = FromProto(request->filter());
    if (!filter.ok()) co_return filter.status();
    absl::StatusOr<int> jobs = co_await core_.Retry(*std::move(filter));
    if (!jobs.ok()) co_return jobs.status();
    response->set_jobs(*jobs);
    co_return absl::OkStatus();
  }

  Task<absl::Status> DoCancel(const v1::CancelMessagesRequest* request,
                              v1::CancelMessagesResponse* response) {
    absl::StatusOr<Filter> filter = FromProto(request->filter());
    if (!filter.ok()) co_return filter.status();
    absl::StatusOr<int> recipients = co_await core_.Cancel(*std::move(filter));
    if (!recipients.ok()) co_return recipients.status();
    response->set_recipients(*recipients);
    co_return absl::OkStatus();
  }

  Task<absl::Status> DoHold(const v1::HoldMessagesRequest* request,
                            v1::ChangeMessagesResponse* response) {
    absl::StatusOr<Filter> filter = FromProto(request->filter());
    if (!filter.ok()) co_return filter.status();
    const absl::StatusOr<int> jobs = co_await core_.Hold(*std::move(filter));
    if (!jobs.ok()) co_return jobs.status();
    response->set_jobs(*jobs);
    co_return absl::OkStatus();
  }

  Task<absl::Status> DoRelease(const v1::ReleaseMessagesRequest* request,
                               v1::ChangeMessagesResponse* response) {
    absl::StatusOr<Filter> filter = FromProto(request->filter());
    if (!filter.ok()) co_return filter.status();
    const absl::StatusOr<int> jobs = co_await core_.Release(*std::move(filter));
    if (!jobs.ok()) co_return jobs.status();
    response->set_jobs(*jobs);
    co_return absl::OkStatus();
  }

  Task<absl::Status> DoBounce(const v1::BounceMessagesRequest* request,
                              v1::ChangeMessagesResponse* response) {
    absl::StatusOr<Filter> filter = FromProto(request->filter());
    if (!filter.ok()) co_return filter.status();
    std::string reason = request->reason().substr(0, kMaxReason);
    if (reason.empty()) reason = "returned by the operator";
    const absl::StatusOr<int> jobs = co_await core_.Bounce(*std::move(filter), std::move(reason));
    if (!jobs.ok()) co_return jobs.status();
    response->set_jobs(*jobs);
    co_return absl::OkStatus();
  }

  Task<absl::Status> DoReroute(const v1::RerouteMessagesRequest* request,
                               v1::ChangeMessagesResponse* response) {
    absl::StatusOr<Filter> filter = FromProto(request->filter());
    if (!filter.ok()) co_return filter.status();
    for (const std::string& host : request->hosts()) {
      const bool odd = host.empty() || host.find_first_of(", \t\r\n") != std::string::npos;
      if (odd) co_return MakeFailure(Failure::kInvalidArgument, "a host is \"name:port\"");
    }
    std::string hosts = absl::StrJoin(request->hosts(), ",");
    const absl::StatusOr<int> jobs = co_await core_.Reroute(*std::move(filter), std::move(hosts));
    if (!jobs.ok()) co_return jobs.status();
    response->set_jobs(*jobs);
    co_return absl::OkStatus();
  }

  Task<absl::Status> DoSummarize(const v1::SummarizeRequest* request,
                                 v1::SummarizeResponse* response) {
    const int limit = request->limit() <= 0 ? kDefaultListLimit
                                            : std::min(request->limit(), kMaxListLimit);
    const absl::StatusOr<std::vector<DestinationSummary>> summaries =
        co_await core_.Summarize(TenantId(request->tenant_id()), limit);
    if (!summaries.ok()) co_return summaries.status();
    for (const int minutes : kAgeMinutes) response->add_age_minutes(minutes);
    for (const DestinationSummary& summary : *summaries) {
      v1::DestinationSummary& added = *response->add_destinations();
      added.set_destination(summary.destination);
      added.set_jobs(summary.jobs);
      added.set_deferred(summary.deferred);
      added.set_held(summary.held);
      for (const std::int64_t jobs : summary.by_age) added.add_by_age(jobs);
    }
    co_return absl::OkStatus();
  }

  Task<absl::Status> DoGetSchedule(v1::GetScheduleResponse* response) {
    const RetryPolicies& policy = core_.options().policy;
    FillDelays(policy.general, *response);
    response->set_jitter_percent(policy.general.jitter_percent);
    response->set_max_hold_seconds(SecondsOf(core_.options().max_hold));
    for (const RetryRule& rule : policy.rules) {
      v1::RetryRule& added = *response->add_rules();
      added.set_tenant_id(rule.tenant.value());
      added.set_destination(rule.destination);
      FillDelays(rule.policy, added);
    }
    co_return absl::OkStatus();
  }

  Core& core_;
  net::LoopPool& loops_;
  const rpc::TokenGuard& guard_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeQueueService(Core& core, net::LoopPool& loops,
                                                const rpc::TokenGuard& guard) {
  return std::make_unique<QueueService>(core, loops, guard);
}

}  // namespace posthorn::queue
