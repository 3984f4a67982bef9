#include <cstdint>

#include "lib/base/failure.h"
#include "lib/net/event_loop.h"
#include "lib/postgres/database.h"
#include "lib/rpc/server.h"
#include "posthorn/queue/v1/transport.grpc.pb.h"
#include "services/queue/core.h"
#include "services/queue/queue_service.h"

namespace posthorn::queue {
namespace {

constexpr std::size_t kMaxDomain = 255;
constexpr std::size_t kMaxId = 32;
constexpr std::size_t kMaxPolicy = 64 * 1024;

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

using Context = grpc::CallbackServerContext;
using Reactor = grpc::ServerUnaryReactor;

class TransportService final : public v1::Transport::CallbackService {
 public:
  TransportService(Core& core, net::LoopPool& loops, const rpc::TokenGuard& guard)
      : core_(core), loops_(loops), guard_(guard) {}

  Reactor* FindStsPolicy(Context* context, const v1::FindStsPolicyRequest* request,
                         v1::FindStsPolicyResponse* response) override {
    return rpc::HandleUnary(context, guard_, loops_.Next(), Find(request, response));
  }
  Reactor* StoreStsPolicy(Context* context, const v1::StoreStsPolicyRequest* request,
                          v1::StoreStsPolicyResponse*) override {
    return rpc::HandleUnary(context, guard_, loops_.Next(), Store(request));
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

  Core& core_;
  net::LoopPool& loops_;
  const rpc::TokenGuard& guard_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeTransportService(Core& core, net::LoopPool& loops,
                                                    const rpc::TokenGuard& guard) {
  return std::make_unique<TransportService>(core, loops, guard);
}

}  // namespace posthorn::queue
