#include "services/gateway/clients/directory_client.h"

#include <utility>

#include "lib/base/failure.h"
#include "lib/rpc/client.h"
#include "lib/rpc/failure_status.h"
#include "posthorn/directory/v1/directory.grpc.pb.h"
#include "services/gateway/clients/resolve_cache.h"

namespace posthorn::gateway {
namespace {

namespace pb = posthorn::directory::v1;

constexpr absl::Duration kCacheAge = absl::Seconds(5);
constexpr std::size_t kCacheEntries = 10000;

absl::StatusOr<Resolution> FromProto(const pb::ResolveResponse& response) {
  Resolution resolution;
  resolution.tenant = TenantId(response.tenant_id());
  switch (response.kind()) {
    case pb::ResolveResponse::KIND_LOCAL:
      resolution.kind = AddressKind::kLocal;
      break;
    case pb::ResolveResponse::KIND_NO_SUCH_RECIPIENT:
      resolution.kind = AddressKind::kNoSuchRecipient;
      break;
    case pb::ResolveResponse::KIND_REMOTE:
      resolution.kind = AddressKind::kRemote;
      break;
    case pb::ResolveResponse::KIND_DISABLED:
      resolution.kind = AddressKind::kDisabled;
      break;
    case pb::ResolveResponse::KIND_DOMAIN_SUSPENDED:
      resolution.kind = AddressKind::kDomainSuspended;
      break;
    case pb::ResolveResponse::KIND_LIST:
      resolution.kind = AddressKind::kList;
      break;
    default:
      // A newer replica knows a kind that this one does not: wait until this one is newer too.
      return MakeFailure(Failure::kUnavailable);
  }
  resolution.refusal = rpc::FromDetail(response.refusal());
  resolution.over_quota = rpc::FromDetail(response.over_quota());
  for (const pb::Target& target : response.targets()) {
    switch (target.to_case()) {
      case pb::Target::kAccountId:
        resolution.targets.emplace_back(AccountId(target.account_id()), target.address());
        if (target.has_room()) resolution.targets.back().room = target.room();
        break;
      case pb::Target::kListAddress:
        resolution.targets.emplace_back(AccountId(), target.list_address());
        resolution.targets.back().is_list = true;
        break;
      case pb::Target::kRemoteAddress:
        resolution.targets.emplace_back(AccountId(), target.remote_address());
        break;
      case pb::Target::TO_NOT_SET:
        return MakeFailure(Failure::kUnavailable);
    }
  }
  return resolution;
}

Login ToLogin(const pb::AuthenticateResponse& response) {
  return Login(TenantId(response.tenant_id()), AccountId(response.account_id()),
               response.address());
}

class DirectoryClient final : public Directory {
 public:
  DirectoryClient(std::shared_ptr<grpc::Channel> channel, RpcSettings settings, const Clock& clock)
      : stub_(pb::Directory::NewStub(std::move(channel))),
        options_(std::move(settings.token), settings.timeout),
        cache_(clock, kCacheAge, kCacheEntries) {}

  Task<absl::StatusOr<Resolution>> Resolve(std::string address) override {
    std::optional<Resolution> cached = cache_.Find(address);
    if (cached.has_value()) co_return *std::move(cached);
    const std::uint64_t generation = cache_.Generation();
    pb::ResolveRequest request;
    request.set_address(address);
    Task<absl::StatusOr<pb::ResolveResponse>> call = rpc::Unary<pb::ResolveResponse>(
        stub_->async(), &Stub::async::Resolve, std::move(request), options_);
    const absl::StatusOr<pb::ResolveResponse> response = co_await std::move(call);
    if (!response.ok()) co_return response.status();
    absl::StatusOr<Resolution> resolution = FromProto(*response);
    if (resolution.ok()) cache_.Store(address, *resolution, generation);
    co_return resolution;
  }

  void Forget() override { cache_.Clear(); }

  Task<absl::Status> AuthorizePost(std::string list, std::string sender,
                                   TenantId proven) override {
    pb::AuthorizePostRequest request;
    request.set_list(std::move(list));
    request.set_sender(std::move(sender));
    request.set_tenant_id(proven.value());
    Task<absl::StatusOr<pb::AuthorizePostResponse>> call = rpc::Unary<pb::AuthorizePostResponse>(
        stub_->async(), &Stub::async::AuthorizePost, std::move(request), options_);
    const absl::StatusOr<pb::AuthorizePostResponse> response = co_await std::move(call);
    co_return response.status();
  }

  Task<absl::StatusOr<ShownMembers>> ShowMembers(TenantId tenant, AccountId account,
                                                 std::string address) override {
    pb::ShowMembersRequest request;
    request.set_tenant_id(tenant.value());
    request.set_account_id(account.value());
    request.set_address(std::move(address));
    Task<absl::StatusOr<pb::ShowMembersResponse>> call = rpc::Unary<pb::ShowMembersResponse>(
        stub_->async(), &Stub::async::ShowMembers, std::move(request), options_);
    const absl::StatusOr<pb::ShowMembersResponse> response = co_await std::move(call);
    if (!response.ok()) co_return response.status();
    std::vector<std::string> members(response->members().begin(), response->members().end());
    co_return ShownMembers(std::move(members), response->total());
  }

  Task<absl::StatusOr<Login>> Authenticate(Credentials credentials) override {
    pb::AuthenticateRequest request;
    request.set_login(std::move(credentials.login));
    request.set_password(std::move(credentials.password));
    request.set_client_address(std::move(credentials.client_address));
    request.set_service(std::move(credentials.service));
    Task<absl::StatusOr<pb::AuthenticateResponse>> call = rpc::Unary<pb::AuthenticateResponse>(
        stub_->async(), &Stub::async::Authenticate, std::move(request), options_);
    const absl::StatusOr<pb::AuthenticateResponse> response = co_await std::move(call);
    if (!response.ok()) co_return response.status();
    co_return ToLogin(*response);
  }

  Task<absl::StatusOr<ScramSalt>> GetScramSalt(std::string login) override {
    pb::GetScramParametersRequest request;
    request.set_login(std::move(login));
    Task<absl::StatusOr<pb::GetScramParametersResponse>> call =
        rpc::Unary<pb::GetScramParametersResponse>(
            stub_->async(), &Stub::async::GetScramParameters, std::move(request), options_);
    const absl::StatusOr<pb::GetScramParametersResponse> response = co_await std::move(call);
    if (!response.ok()) co_return response.status();
    co_return ScramSalt(response->salt(), response->iterations());
  }

  Task<absl::StatusOr<ScramLogin>> AuthenticateScram(ScramProof proof) override {
    pb::AuthenticateScramRequest request;
    request.set_login(std::move(proof.login));
    request.set_auth_message(std::move(proof.auth_message));
    request.set_proof(std::move(proof.proof));
    request.set_client_address(std::move(proof.client_address));
    request.set_service(std::move(proof.service));
    Task<absl::StatusOr<pb::AuthenticateScramResponse>> call =
        rpc::Unary<pb::AuthenticateScramResponse>(stub_->async(), &Stub::async::AuthenticateScram,
                                                  std::move(request), options_);
    const absl::StatusOr<pb::AuthenticateScramResponse> response = co_await std::move(call);
    if (!response.ok()) co_return response.status();
    co_return ScramLogin(ToLogin(response->login()), response->server_signature());
  }

  Task<absl::StatusOr<Login>> AuthenticateIdentity(Credentials credentials) override {
    pb::AuthenticateIdentityRequest request;
    request.set_login(std::move(credentials.login));
    request.set_client_address(std::move(credentials.client_address));
    request.set_service(std::move(credentials.service));
    Task<absl::StatusOr<pb::AuthenticateResponse>> call = rpc::Unary<pb::AuthenticateResponse>(
        stub_->async(), &Stub::async::AuthenticateIdentity, std::move(request), options_);
    const absl::StatusOr<pb::AuthenticateResponse> response = co_await std::move(call);
    if (!response.ok()) co_return response.status();
    co_return ToLogin(*response);
  }

  Task<absl::StatusOr<ApiKey>> AuthenticateKey(std::string key) override {
    pb::AuthenticateKeyRequest request;
    request.set_key(std::move(key));
    Task<absl::StatusOr<pb::AuthenticateKeyResponse>> call =
        rpc::Unary<pb::AuthenticateKeyResponse>(stub_->async(), &Stub::async::AuthenticateKey,
                                                std::move(request), options_);
    const absl::StatusOr<pb::AuthenticateKeyResponse> response = co_await std::move(call);
    if (!response.ok()) co_return response.status();
    co_return ApiKey(TenantId(response->tenant_id()), KeyId(response->key_id()));
  }

  Task<absl::Status> AuthorizeSender(TenantId tenant, AccountId account,
                                     std::string address) override {
    pb::AuthorizeSenderRequest request;
    request.set_tenant_id(tenant.value());
    request.set_account_id(account.value());
    request.set_address(std::move(address));
    Task<absl::StatusOr<pb::AuthorizeSenderResponse>> call =
        rpc::Unary<pb::AuthorizeSenderResponse>(stub_->async(), &Stub::async::AuthorizeSender,
                                                std::move(request), options_);
    const absl::StatusOr<pb::AuthorizeSenderResponse> response = co_await std::move(call);
    co_return response.status();
  }

  Task<absl::StatusOr<TenantId>> FindTenant(std::string name) override {
    pb::FindTenantRequest request;
    request.set_name(std::move(name));
    Task<absl::StatusOr<pb::FindTenantResponse>> call = rpc::Unary<pb::FindTenantResponse>(
        stub_->async(), &Stub::async::FindTenant, std::move(request), options_);
    const absl::StatusOr<pb::FindTenantResponse> response = co_await std::move(call);
    if (!response.ok()) co_return response.status();
    co_return TenantId(response->tenant_id());
  }

 private:
  using Stub = pb::Directory::Stub;

  const std::unique_ptr<Stub> stub_;
  const rpc::CallOptions options_;
  ResolveCache cache_;
};

}  // namespace

std::unique_ptr<Directory> MakeDirectoryClient(std::shared_ptr<grpc::Channel> mailbox,
                                               RpcSettings settings, const Clock& clock) {
  return std::make_unique<DirectoryClient>(std::move(mailbox), std::move(settings), clock);
}

}  // namespace posthorn::gateway
