#include "services/delivery/clients/mailbox_client.h"

#include <algorithm>
#include <deque>
#include <utility>

#include "lib/base/failure.h"
#include "lib/base/one_shot.h"
#include "posthorn/common/v1/common.grpc.pb.h"
#include "posthorn/directory/v1/directory.grpc.pb.h"
#include "posthorn/mailbox/v1/delivery.grpc.pb.h"
#include "services/delivery/clients/convert.h"
#include "services/delivery/clients/put_pieces.h"

namespace posthorn::delivery {
namespace {

using delivery::FromProto;
using delivery::ToProto;

namespace dir = posthorn::directory::v1;
namespace mbox = posthorn::mailbox::v1;
namespace common = posthorn::common::v1;

constexpr std::size_t kDeliveriesPerCall = 64;
constexpr std::size_t kOctetsPerCall = 4 * 1024 * 1024;
constexpr int kCallsAtOnce = 2;
constexpr absl::Duration kBodyDeadline = absl::Hours(1);

ResolvedTarget FromProto(const dir::Target& from) {
  ResolvedTarget target;
  target.account = AccountId(from.account_id());
  target.remote_address = from.remote_address();
  target.list_address = from.list_address();
  target.address = from.address();
  return target;
}

class DirectoryClient final : public DirectoryPort {
 public:
  DirectoryClient(std::shared_ptr<grpc::Channel> channel, std::string token,
                  absl::Duration deadline)
      : stub_(dir::Directory::NewStub(std::move(channel))),
        token_(std::move(token)),
        deadline_(deadline) {}

  Task<absl::StatusOr<Resolution>> Resolve(std::string address) override {
    dir::ResolveRequest request;
    request.set_address(std::move(address));
    rpc::CallOptions options(token_, deadline_);
    absl::StatusOr<dir::ResolveResponse> response = co_await rpc::Unary<dir::ResolveResponse>(
        stub_->async(), &dir::Directory::Stub::async::Resolve, std::move(request),
        std::move(options));
    if (!response.ok()) co_return response.status();
    Resolution resolution;
    switch (response->kind()) {
      case dir::ResolveResponse::KIND_LOCAL:
      case dir::ResolveResponse::KIND_LIST:
        resolution.kind = Resolution::Kind::kLocal;
        break;
      case dir::ResolveResponse::KIND_NO_SUCH_RECIPIENT:
        resolution.kind = Resolution::Kind::kNoSuchRecipient;
        break;
      case dir::ResolveResponse::KIND_REMOTE:
        resolution.kind = Resolution::Kind::kRemote;
        break;
      case dir::ResolveResponse::KIND_DISABLED:
      case dir::ResolveResponse::KIND_DOMAIN_SUSPENDED:
        resolution.kind = Resolution::Kind::kRefused;
        resolution.refusal = rpc::FromDetail(response->refusal());
        if (resolution.refusal.ok()) resolution.refusal = MakeFailure(Failure::kAccountDisabled);
        break;
      default:
        co_return MakeFailure(Failure::kUnavailable, "an answer of a newer directory");
    }
    resolution.tenant = TenantId(response->tenant_id());
    for (const dir::Target& target : response->targets()) {
      resolution.targets.push_back(FromProto(target));
    }
    co_return resolution;
  }

  Task<absl::StatusOr<SmartHostSettings>> FindSmartHosts(TenantId tenant,
                                                         std::string domain) override {
    dir::FindSmartHostsRequest request;
    request.set_tenant_id(tenant.value());
    request.set_domain(std::move(domain));
    rpc::CallOptions options(token_, deadline_);
    absl::StatusOr<dir::FindSmartHostsResponse> response =
        co_await rpc::Unary<dir::FindSmartHostsResponse>(
            stub_->async(), &dir::Directory::Stub::async::FindSmartHosts, std::move(request),
            std::move(options));
    // A directory of the release before knows of none.
    SmartHostSettings settings;
    if (absl::IsUnimplemented(response.status())) co_return settings;
    if (!response.ok()) co_return response.status();
    settings.hosts.assign(response->hosts().begin(), response->hosts().end());
    settings.username = response->username();
    settings.password = response->password();
    settings.tls = response->tls();
    co_return settings;
  }

  Task<absl::Status> AuthorizePost(std::string list, std::string sender) override {
    dir::AuthorizePostRequest request;
    request.set_list(std::move(list));
    request.set_sender(std::move(sender));
    rpc::CallOptions options(token_, deadline_);
    absl::StatusOr<dir::AuthorizePostResponse> response =
        co_await rpc::Unary<dir::AuthorizePostResponse>(
            stub_->async(), &dir::Directory::Stub::async::AuthorizePost, std::move(request),
            std::move(options));
    co_return response.status();
  }

  Task<absl::StatusOr<ListExpansion>> ExpandList(std::string list) override {
    dir::ExpandListRequest request;
    request.set_list(std::move(list));
    rpc::CallOptions options(token_, deadline_);
    absl::StatusOr<dir::ExpandListResponse> response =
        co_await rpc::Unary<dir::ExpandListResponse>(stub_->async(),
                                                     &dir::Directory::Stub::async::ExpandList,
                                                     std::move(request), std::move(options));
    if (!response.ok()) co_return response.status();
    ListExpansion expansion;
    expansion.tenant = TenantId(response->tenant_id());
    expansion.address = response->address();
    expansion.bounces = response->bounces();
    for (const dir::Target& target : response->targets()) {
      expansion.targets.push_back(FromProto(target));
    }
    co_return expansion;
  }

 private:
  const std::unique_ptr<dir::Directory::Stub> stub_;
  const std::string token_;
  const absl::Duration deadline_;
};

void ToProto(MailboxDelivery&& in, mbox::Delivery& out) {
  out.set_tenant_id(in.tenant.value());
  out.set_message_id(in.message_id.bytes());
  out.set_reverse_path(in.reverse_path);
  for (MailboxRecipient& recipient : in.recipients) {
    mbox::LocalRecipient& to = *out.add_recipients();
    to.set_account_id(recipient.account.value());
    to.set_address(std::move(recipient.address));
    to.set_prefix(std::move(recipient.prefix));
  }
  if (in.stored_body.has_value()) {
    ToProto(*in.stored_body, *out.mutable_stored_body());
  } else {
    out.set_inline_body(std::move(in.inline_body));
  }
  ToProto(in.received_at, *out.mutable_received_at());
  out.set_resend_key(in.resend_key);
}

std::vector<absl::Status> FromProto(const mbox::DeliveryResult& in) {
  std::vector<absl::Status> statuses;
  for (const mbox::RecipientResult& recipient : in.recipients()) {
    absl::Status status = absl::OkStatus();
    if (recipient.outcome() != mbox::RecipientResult::OUTCOME_STORED &&
        recipient.outcome() != mbox::RecipientResult::OUTCOME_DUPLICATE) {
      status = rpc::FromDetail(recipient.failure());
      if (status.ok()) status = absl::InternalError("not stored, without a reason");
    }
    statuses.push_back(std::move(status));
  }
  return statuses;
}

class MailboxClient final : public MailboxPort {
 public:
  MailboxClient(std::shared_ptr<grpc::Channel> channel, std::string token,
                absl::Duration deadline, Executor& executor)
      : stub_(mbox::LocalDelivery::NewStub(channel)),
        bodies_(common::Bodies::NewStub(channel)),
        token_(std::move(token)),
        deadline_(deadline),
        executor_(executor) {}

  Task<absl::StatusOr<std::vector<absl::Status>>> Deliver(MailboxDelivery delivery) override {
    Waiting waiting(std::move(delivery));
    waiting_.push_back(&waiting);
    if (calls_ < kCallsAtOnce) {
      ++calls_;
      Spawn(executor_, CallWhileWaiting());
    }
    absl::StatusOr<std::vector<absl::Status>> statuses = co_await waiting.done;
    co_return statuses;
  }

  Task<absl::StatusOr<BodyRef>> PutBody(TenantId tenant, BodyReader& body) override {
    return PutPieces(*bodies_, tenant, body, rpc::CallOptions(token_, kBodyDeadline));
  }

 private:
  struct Waiting {
    explicit Waiting(MailboxDelivery delivery_in) : delivery(std::move(delivery_in)) {}
    MailboxDelivery delivery;
    OneShot<absl::StatusOr<std::vector<absl::Status>>> done;
  };

  // Calls until nothing waits; each takes along all that has gathered.
  Task<void> CallWhileWaiting() {
    while (!waiting_.empty()) {
      std::vector<Waiting*> batch;
      std::size_t octets = 0;
      mbox::DeliverRequest request;
      while (!waiting_.empty() && batch.size() < kDeliveriesPerCall && octets < kOctetsPerCall) {
        Waiting* const next = waiting_.front();
        waiting_.pop_front();
        octets += next->delivery.inline_body.size();
        ToProto(std::move(next->delivery), *request.add_deliveries());
        batch.push_back(next);
      }
      rpc::CallOptions options(token_, deadline_);
      const absl::StatusOr<mbox::DeliverResponse> response =
          co_await rpc::Unary<mbox::DeliverResponse>(stub_->async(),
                                                     &mbox::LocalDelivery::Stub::async::Deliver,
                                                     std::move(request), std::move(options));
      for (std::size_t i = 0; i < batch.size(); ++i) {
        if (!response.ok()) {
          batch[i]->done.Set(response.status());
        } else if (static_cast<int>(i) >= response->results_size()) {
          batch[i]->done.Set(absl::InternalError("results do not match"));
        } else {
          batch[i]->done.Set(FromProto(response->results(static_cast<int>(i))));
        }
      }
    }
    --calls_;
  }

  const std::unique_ptr<mbox::LocalDelivery::Stub> stub_;
  const std::unique_ptr<common::Bodies::Stub> bodies_;
  const std::string token_;
  const absl::Duration deadline_;
  Executor& executor_;
  std::deque<Waiting*> waiting_;
  int calls_ = 0;
};

}  // namespace

std::unique_ptr<DirectoryPort> MakeDirectoryClient(std::shared_ptr<grpc::Channel> channel,
                                                   std::string service_token,
                                                   absl::Duration deadline) {
  return std::make_unique<DirectoryClient>(std::move(channel), std::move(service_token), deadline);
}

std::unique_ptr<MailboxPort> MakeMailboxClient(std::shared_ptr<grpc::Channel> channel,
                                               std::string service_token, absl::Duration deadline,
                                               Executor& executor) {
  return std::make_unique<MailboxClient>(std::move(channel), std::move(service_token), deadline,
                                         executor);
}

}  // namespace posthorn::delivery
