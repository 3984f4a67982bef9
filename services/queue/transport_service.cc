#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/time/civil_time.h"
#include "lib/base/failure.h"
#include "lib/net/event_loop.h"
#include "lib/postgres/database.h"
#include "lib/rpc/server.h"
#include "posthorn/queue/v1/transport.grpc.pb.h"
#include "services/queue/core.h"
#include "services/queue/queue_service.h"
#include "services/queue/tls_reports.h"

namespace posthorn::queue {
namespace {

constexpr std::size_t kMaxDomain = 255;
constexpr std::size_t kMaxId = 32;
constexpr std::size_t kMaxPolicy = 64 * 1024;
constexpr int kMaxTlsResults = 1000;
constexpr std::size_t kMaxTlsPolicy = 16 * 1024;  // of a result
constexpr std::size_t kMaxTlsField = 1024;
constexpr std::size_t kBatchOctets = 16;
constexpr int kDefaultListed = 100;
constexpr int kMaxListed = 1000;

constexpr char kFind[] =
    "SELECT id, policy, fetched_at, expires_at FROM queue.sts_policy"
    " WHERE domain = $1 AND expires_at > $2";
constexpr char kStore[] =
    "INSERT INTO queue.sts_policy AS s (domain, id, policy, fetched_at, expires_at)"
    " VALUES ($1, $2, $3, $4, $5) ON CONFLICT (domain) DO UPDATE SET id = excluded.id,"
    " policy = excluded.policy, fetched_at = excluded.fetched_at, expires_at = excluded.expires_at"
    " WHERE s.fetched_at <= excluded.fetched_at";
// Few rows, and few of them at a time.
constexpr char kForget[] = "DELETE FROM queue.sts_policy WHERE expires_at <= $1";

void ToProto(absl::Time in, google::protobuf::Timestamp& out) {
  out.set_seconds(absl::ToUnixSeconds(in));
  out.set_nanos(
      static_cast<std::int32_t>(absl::ToInt64Nanoseconds(in - absl::FromUnixSeconds(out.seconds()))));
}

absl::Time FromProto(const google::protobuf::Timestamp& in) {
  return absl::FromUnixSeconds(in.seconds()) + absl::Nanoseconds(in.nanos());
}

bool Fits(std::string_view text, std::size_t limit = kMaxTlsField) {
  return text.size() <= limit && text.find('\0') == std::string_view::npos;
}

bool FromProto(const v1::TlsResult& from, TlsResult& to) {
  to.day = from.day();
  to.domain = from.domain();
  to.type = from.policy().type();
  to.policy_domain = from.policy().domain();
  to.policy = absl::StrJoin(from.policy().text(), "\n");
  to.mx = absl::StrJoin(from.policy().mx(), "\n");
  if (from.has_failure()) {
    to.result = from.failure().result();
    to.sending_ip = from.failure().sending_ip();
    to.mx_host = from.failure().mx_host();
    to.receiving_ip = from.failure().receiving_ip();
    to.reason = from.failure().reason();
    if (to.result.empty()) return false;
  }
  to.sessions = from.sessions();
  const bool has_name = !to.domain.empty() && to.domain.size() <= kMaxDomain;
  return has_name && to.day > 0 && to.sessions > 0 && Fits(to.domain) && Fits(to.type) &&
         Fits(to.policy_domain) && Fits(to.policy, kMaxTlsPolicy) && Fits(to.mx, kMaxTlsPolicy) &&
         Fits(to.result) && Fits(to.sending_ip) && Fits(to.mx_host) && Fits(to.receiving_ip) &&
         Fits(to.reason);
}

void ToProto(const TlsPolicySum& from, v1::TlsPolicyResults& to) {
  v1::TlsPolicyApplied& policy = *to.mutable_policy();
  policy.set_type(from.policy.type);
  policy.set_domain(from.policy.policy_domain);
  for (absl::string_view line : absl::StrSplit(from.policy.policy, '\n', absl::SkipEmpty())) {
    policy.add_text(line.data(), line.size());
  }
  for (absl::string_view line : absl::StrSplit(from.policy.mx, '\n', absl::SkipEmpty())) {
    policy.add_mx(line.data(), line.size());
  }
  to.set_successful(from.successful);
  to.set_failed(from.failed);
  for (const TlsResult& one : from.failures) {
    v1::TlsFailureCount& count = *to.add_failures();
    count.set_sessions(one.sessions);
    v1::TlsFailure& failure = *count.mutable_failure();
    failure.set_result(one.result);
    failure.set_sending_ip(one.sending_ip);
    failure.set_mx_host(one.mx_host);
    failure.set_receiving_ip(one.receiving_ip);
    failure.set_reason(one.reason);
  }
}

const char* NameOf(TlsReportOutcome state) {
  switch (state) {
    case TlsReportOutcome::kFailed: return "waiting";
    case TlsReportOutcome::kSent: return "sent";
    case TlsReportOutcome::kNotWanted: return "not wanted";
    case TlsReportOutcome::kGivenUp: return "given up";
  }
  return "waiting";
}

std::string DayText(int day) {
  return absl::FormatCivilTime(absl::CivilDay(1970, 1, 1) + day);
}

std::optional<int> ParseDay(const std::string& text) {
  absl::CivilDay day;
  if (!absl::ParseCivilTime(text, &day)) return std::nullopt;
  return static_cast<int>(day - absl::CivilDay(1970, 1, 1));
}

using Context = grpc::CallbackServerContext;
using Reactor = grpc::ServerUnaryReactor;

class TransportService final : public v1::Transport::CallbackService {
 public:
  TransportService(Core& core, net::LoopPool& loops, const rpc::TokenGuard& guard)
      : core_(core), reports_(core.tls_reports()), loops_(loops), guard_(guard) {}

  Reactor* FindStsPolicy(Context* context, const v1::FindStsPolicyRequest* request,
                         v1::FindStsPolicyResponse* response) override {
    return rpc::HandleUnary(context, guard_, loops_.Next(), Find(request, response));
  }
  Reactor* StoreStsPolicy(Context* context, const v1::StoreStsPolicyRequest* request,
                          v1::StoreStsPolicyResponse*) override {
    return rpc::HandleUnary(context, guard_, loops_.Next(), Store(request));
  }
  Reactor* AddTlsResults(Context* context, const v1::AddTlsResultsRequest* request,
                         v1::AddTlsResultsResponse*) override {
    return rpc::HandleUnary(context, guard_, loops_.Next(), Add(request));
  }
  Reactor* LeaseTlsReport(Context* context, const v1::LeaseTlsReportRequest*,
                          v1::LeaseTlsReportResponse* response) override {
    return rpc::HandleUnary(context, guard_, loops_.Next(), Lease(response));
  }
  Reactor* FinishTlsReport(Context* context, const v1::FinishTlsReportRequest* request,
                           v1::FinishTlsReportResponse*) override {
    return rpc::HandleUnary(context, guard_, loops_.Next(), Finish(request));
  }
  Reactor* ListTlsReports(Context* context, const v1::ListTlsReportsRequest* request,
                          v1::ListTlsReportsResponse* response) override {
    return rpc::HandleUnary(context, guard_, loops_.Next(), List(request, response));
  }
  Reactor* SendTlsReports(Context* context, const v1::SendTlsReportsRequest* request,
                          v1::SendTlsReportsResponse* response) override {
    return rpc::HandleUnary(context, guard_, loops_.Next(), Send(request, response));
  }

 private:
  Task<absl::Status> Find(const v1::FindStsPolicyRequest* request,
                          v1::FindStsPolicyResponse* response) {
    const absl::StatusOr<postgres::Result> row = co_await core_.database().Query(
        std::vector<TenantId>(), kFind, postgres::Params::Of(request->domain(), core_.clock().Now()));
    if (!row.ok()) co_return row.status();
    if (row->empty()) co_return absl::OkStatus();
    v1::StsPolicy& policy = *response->mutable_policy();
    policy.set_id(row->Text(0, 0));
    policy.set_text(row->Text(0, 1));
    ToProto(row->Time(0, 2), *policy.mutable_fetched_at());
    ToProto(row->Time(0, 3), *policy.mutable_expires_at());
    co_return absl::OkStatus();
  }

  Task<absl::Status> Store(const v1::StoreStsPolicyRequest* request) {
    const v1::StsPolicy& policy = request->policy();
    if (request->domain().empty() || request->domain().size() > kMaxDomain ||
        policy.id().empty() || policy.id().size() > kMaxId || policy.text().size() > kMaxPolicy ||
        policy.text().find('\0') != std::string::npos) {
      co_return MakeFailure(Failure::kInvalidArgument);
    }
    const absl::Time now = core_.clock().Now();
    absl::StatusOr<postgres::Result> done = co_await core_.database().Query(
        std::vector<TenantId>(), kForget, postgres::Params::Of(now));
    if (!done.ok()) co_return done.status();
    done = co_await core_.database().Query(
        std::vector<TenantId>(), kStore,
        postgres::Params::Of(request->domain(), policy.id(), policy.text(),
                             FromProto(policy.fetched_at()), FromProto(policy.expires_at())));
    co_return done.status();
  }

  Task<absl::Status> Add(const v1::AddTlsResultsRequest* request) {
    if (request->batch().size() != kBatchOctets || request->results_size() > kMaxTlsResults) {
      co_return MakeFailure(Failure::kInvalidArgument);
    }
    std::vector<TlsResult> results(static_cast<std::size_t>(request->results_size()));
    for (int i = 0; i < request->results_size(); ++i) {
      if (!FromProto(request->results(i), results[static_cast<std::size_t>(i)])) {
        co_return MakeFailure(Failure::kInvalidArgument);
      }
    }
    if (results.empty()) co_return absl::OkStatus();
    const absl::Status added = co_await reports_.Add(request->batch(), std::move(results));
    co_return added;
  }

  Task<absl::Status> Lease(v1::LeaseTlsReportResponse* response) {
    const absl::StatusOr<std::optional<DueTlsReport>> due = co_await reports_.Lease();
    if (!due.ok()) co_return due.status();
    if (!due->has_value()) co_return absl::OkStatus();
    const DueTlsReport& report = **due;
    v1::TlsReportDue& to = *response->mutable_report();
    to.set_day(report.day);
    to.set_domain(report.domain);
    to.set_attempt(report.attempt);
    to.set_message_id(report.message_id.bytes());
    for (const TlsPolicySum& policy : report.policies) ToProto(policy, *to.add_policies());
    co_return absl::OkStatus();
  }

  Task<absl::Status> Finish(const v1::FinishTlsReportRequest* request) {
    TlsReportOutcome outcome = TlsReportOutcome::kFailed;
    switch (request->outcome()) {
      case v1::FinishTlsReportRequest::OUTCOME_SENT:
        outcome = TlsReportOutcome::kSent;
        break;
      case v1::FinishTlsReportRequest::OUTCOME_NOT_WANTED:
        outcome = TlsReportOutcome::kNotWanted;
        break;
      case v1::FinishTlsReportRequest::OUTCOME_FAILED:
        break;
      default:
        co_return MakeFailure(Failure::kInvalidArgument);
    }
    if (!Fits(request->note())) co_return MakeFailure(Failure::kInvalidArgument);
    const absl::Status finished = co_await reports_.Finish(
        request->day(), request->domain(), request->attempt(), outcome, request->note());
    co_return finished;
  }

  Task<absl::Status> List(const v1::ListTlsReportsRequest* request,
                          v1::ListTlsReportsResponse* response) {
    const int limit =
        request->limit() > 0 ? std::min(request->limit(), kMaxListed) : kDefaultListed;
    const absl::StatusOr<std::vector<TlsReportRow>> rows =
        co_await reports_.List(request->domain(), limit);
    if (!rows.ok()) co_return rows.status();
    for (const TlsReportRow& row : *rows) {
      v1::TlsReportState& to = *response->add_reports();
      to.set_day(DayText(row.day));
      to.set_domain(row.domain);
      to.set_state(NameOf(row.state));
      if (row.finished_at.has_value()) {
        ToProto(*row.finished_at, *to.mutable_finished_at());
      } else {
        ToProto(row.due_at, *to.mutable_due_at());
      }
      to.set_successful(row.successful);
      to.set_failed(row.failed);
      to.set_note(row.note);
      if (row.message_id.has_value()) to.set_message_id(row.message_id->ToString());
    }
    co_return absl::OkStatus();
  }

  Task<absl::Status> Send(const v1::SendTlsReportsRequest* request,
                          v1::SendTlsReportsResponse* response) {
    std::optional<int> day;
    if (!request->day().empty()) {
      day = ParseDay(request->day());
      const absl::CivilDay today = absl::ToCivilDay(core_.clock().Now(), absl::UTCTimeZone());
      if (!day.has_value() || *day < 0 || absl::CivilDay(1970, 1, 1) + *day >= today) {
        co_return MakeFailure(Failure::kInvalidArgument,
                              "the day must be one before today (UTC), as 2026-11-26");
      }
    }
    const absl::StatusOr<int> due = co_await reports_.MakeDue(day, request->domain());
    if (!due.ok()) co_return due.status();
    response->set_reports(*due);
    co_return absl::OkStatus();
  }

  Core& core_;
  TlsReports& reports_;
  net::LoopPool& loops_;
  const rpc::TokenGuard& guard_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeTransportService(Core& core, net::LoopPool& loops,
                                                    const rpc::TokenGuard& guard) {
  return std::make_unique<TransportService>(core, loops, guard);
}

}  // namespace posthorn::queue
