#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "lib/base/failure.h"
#include "lib/net/event_loop.h"
#include "lib/rpc/server.h"
#include "posthorn/queue/v1/queue.grpc.pb.h"
#include "services/queue/core.h"
#include "services/queue/queue_service.h"

namespace posthorn::queue {
namespace {

constexpr std::size_t kMaxName = 500;
constexpr int kMaxSlots = 10000;
constexpr int kMaxSources = 100;

using Context = grpc::CallbackServerContext;
using Reactor = grpc::ServerUnaryReactor;

absl::Status Malformed(std::string_view what) {
  return MakeFailure(Failure::kInvalidArgument, what);
}

bool IsName(const std::string& name) { return !name.empty() && name.size() <= kMaxName; }

void ToProto(absl::Time time, google::protobuf::Timestamp& to) {
  const std::int64_t seconds =
      time == absl::InfiniteFuture() ? 253402300799 : absl::ToUnixSeconds(time);  // 9999-12-31
  to.set_seconds(seconds);
}

TrafficLimits FromProto(const v1::TrafficLimits& from) {
  TrafficLimits limits;
  limits.connections = std::max(0, from.connections());
  limits.per_second = std::max(0, from.messages_per_second());
  limits.per_minute = std::max(0, from.messages_per_minute());
  limits.per_hour = std::max(0, from.messages_per_hour());
  return limits;
}

absl::StatusOr<ConnectionSlot> FromProto(const v1::ConnectionSlot& from) {
  if (!IsName(from.site()) || from.rule().size() > kMaxName || !IsName(from.token())) {
    return Malformed("a connection needs a site and a token");
  }
  ConnectionSlot slot;
  slot.site = from.site();
  slot.rule = from.rule();
  slot.token = from.token();
  return slot;
}

absl::StatusOr<std::vector<ConnectionSlot>> FromProto(
    const google::protobuf::RepeatedPtrField<v1::ConnectionSlot>& from) {
  if (from.size() > kMaxSlots) return Malformed("too many connections in one call");
  std::vector<ConnectionSlot> slots;
  for (const v1::ConnectionSlot& one : from) {
    absl::StatusOr<ConnectionSlot> slot = FromProto(one);
    if (!slot.ok()) return slot.status();
    slots.push_back(*std::move(slot));
  }
  return slots;
}

const char* StateName(const SiteState& state, absl::Time now) {
  if (state.paused_until > now) return "paused";
  if (state.dead) return "dead";
  if (state.slowed > 0) return "slow";
  return state.rules.empty() ? "normal" : "limited";
}

void ToProto(const SiteState& state, absl::Time now, v1::SiteState& to) {
  to.set_site(state.site);
  to.set_state(StateName(state, now));
  for (const SiteState::Rule& rule : state.rules) {
    v1::SiteRule& added = *to.add_rules();
    added.set_rule(rule.name);
    added.mutable_limits()->set_connections(rule.limits.connections);
    added.mutable_limits()->set_messages_per_second(rule.limits.per_second);
    added.mutable_limits()->set_messages_per_minute(rule.limits.per_minute);
    added.mutable_limits()->set_messages_per_hour(rule.limits.per_hour);
    added.set_connections(rule.connections);
    added.set_messages_per_second(rule.per_second);
  }
  to.set_slowed(state.slowed);
  if (state.paused_until > now) ToProto(state.paused_until, *to.mutable_paused_until());
  if (state.dead) ToProto(state.probe_at, *to.mutable_probe_at());
  to.set_reason(state.reason);
  for (const std::string& source : state.avoided_sources) to.add_avoided_sources(source);
  for (const std::string& domain : state.waiting_domains) to.add_waiting_domains(domain);
  to.set_by_operator(state.by_operator);
}

class TrafficService final : public v1::Traffic::CallbackService {
 public:
  TrafficService(Core& core, net::LoopPool& loops, const rpc::TokenGuard& guard)
      : core_(core), loops_(loops), guard_(guard) {}

  Reactor* Admit(Context* context, const v1::AdmitRequest* request,
                 v1::AdmitResponse* response) override {
    return Handle(context, DoAdmit(request, response));
  }
  Reactor* HoldConnections(Context* context, const v1::HoldConnectionsRequest* request,
                           v1::HoldConnectionsResponse* response) override {
    return Handle(context, DoHold(request, response));
  }
  Reactor* Note(Context* context, const v1::NoteRequest* request, v1::NoteResponse*) override {
    return Handle(context, DoNote(request));
  }
  Reactor* ListSites(Context* context, const v1::ListSitesRequest* request,
                     v1::ListSitesResponse* response) override {
    return Handle(context, DoList(request, response));
  }
  Reactor* Pause(Context* context, const v1::PauseRequest* request, v1::PauseResponse*) override {
    return Handle(context, DoPause(request));
  }
  Reactor* Resume(Context* context, const v1::ResumeRequest* request,
                  v1::ResumeResponse* response) override {
    return Handle(context, DoResume(request, response));
  }

 private:
  Reactor* Handle(Context* context, Task<absl::Status> task) {
    return rpc::HandleUnary(context, guard_, loops_.Next(), std::move(task));
  }

  Task<absl::Status> DoAdmit(const v1::AdmitRequest* request, v1::AdmitResponse* response) {
    if (!IsName(request->site()) || request->rule().size() > kMaxName ||
        request->domain().size() > kMaxName || request->sources_size() > kMaxSources) {
      co_return Malformed("a site is needed");
    }
    AdmitRequest ask;
    ask.tenant = TenantId(request->tenant_id());
    ask.site = request->site();
    ask.rule = request->rule();
    ask.domain = request->domain();
    ask.limits = FromProto(request->limits());
    for (const v1::SourceOffer& offer : request->sources()) {
      SourceOffer source;
      source.name = offer.name();
      source.per_day = std::max<std::int64_t>(0, offer.messages_per_day());
      ask.sources.push_back(std::move(source));
    }
    const Admission admission = co_await core_.traffic().Admit(std::move(ask));
    response->set_granted(admission.granted);
    response->set_wait_ms(absl::ToInt64Milliseconds(admission.wait));
    response->set_reason(admission.reason);
    response->set_source(admission.source);
    response->set_free_ms(absl::ToInt64Milliseconds(admission.free_for));
    response->set_probe(admission.probe);
    response->set_whole_site(admission.whole_site);
    co_return absl::OkStatus();
  }

  Task<absl::Status> DoHold(const v1::HoldConnectionsRequest* request,
                            v1::HoldConnectionsResponse* response) {
    absl::StatusOr<std::vector<ConnectionSlot>> keep = FromProto(request->keep());
    if (!keep.ok()) co_return keep.status();
    absl::StatusOr<std::vector<ConnectionSlot>> drop = FromProto(request->drop());
    if (!drop.ok()) co_return drop.status();
    co_await core_.traffic().DropConnections(*std::move(drop));
    co_await core_.traffic().KeepConnections(*std::move(keep));
    if (!request->has_take()) co_return absl::OkStatus();
    absl::StatusOr<ConnectionSlot> take = FromProto(request->take());
    if (!take.ok()) co_return take.status();
    const SlotAnswer answer = co_await core_.traffic().TakeConnection(
        TenantId(request->tenant_id()), *std::move(take), request->limit());
    response->set_granted(answer.granted);
    response->set_wait_ms(absl::ToInt64Milliseconds(answer.wait));
    co_return absl::OkStatus();
  }

  Task<absl::Status> DoNote(const v1::NoteRequest* request) {
    const int action = request->action();
    if (!IsName(request->site()) || action < v1::NoteRequest::ACTION_SLOW_DOWN ||
        action > v1::NoteRequest::ACTION_UNUSED) {
      co_return Malformed("a site and an action are needed");
    }
    TrafficNote note;
    note.site = request->site();
    note.domain = request->domain();
    note.action = static_cast<TrafficNote::Action>(action);
    note.duration = absl::Seconds(std::max<std::int64_t>(1, request->seconds()));
    note.source = request->source();
    note.reason = request->reason();
    note.probe = request->probe();
    co_return co_await core_.traffic().Note(std::move(note));
  }

  Task<absl::Status> DoList(const v1::ListSitesRequest* request,
                            v1::ListSitesResponse* response) {
    const absl::StatusOr<std::vector<SiteState>> states =
        co_await core_.traffic().List(absl::AsciiStrToLower(request->name()));
    if (!states.ok()) co_return states.status();
    const absl::Time now = core_.now();
    for (const SiteState& state : *states) ToProto(state, now, *response->add_sites());
    co_return absl::OkStatus();
  }

  Task<absl::Status> DoPause(const v1::PauseRequest* request) {
    if (!IsName(request->pattern()) || request->seconds() < 0) {
      co_return Malformed("a domain or a site is needed");
    }
    queue::Pause pause;
    pause.pattern = absl::AsciiStrToLower(request->pattern());
    pause.until = request->seconds() == 0 ? absl::InfiniteFuture()
                                          : core_.now() + absl::Seconds(request->seconds());
    pause.reason = request->reason().substr(0, kMaxName);
    co_return co_await core_.pauses().Set(std::move(pause));
  }

  Task<absl::Status> DoResume(const v1::ResumeRequest* request, v1::ResumeResponse* response) {
    if (!IsName(request->pattern())) co_return Malformed("a domain or a site is needed");
    const absl::StatusOr<int> jobs =
        co_await core_.Resume(absl::AsciiStrToLower(request->pattern()));
    if (!jobs.ok()) co_return jobs.status();
    response->set_jobs(*jobs);
    co_return absl::OkStatus();
  }

  Core& core_;
  net::LoopPool& loops_;
  const rpc::TokenGuard& guard_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeTrafficService(Core& core, net::LoopPool& loops,
                                                  const rpc::TokenGuard& guard) {
  return std::make_unique<TrafficService>(core, loops, guard);
}

}  // namespace posthorn::queue
