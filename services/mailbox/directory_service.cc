#include <grpcpp/grpcpp.h>

#include "lib/base/failure.h"
#include "lib/net/event_loop.h"
#include "lib/rpc/failure_status.h"
#include "lib/rpc/server.h"
#include "posthorn/directory/v1/directory.grpc.pb.h"
#include "services/mailbox/directory_store.h"
#include "services/mailbox/services.h"

namespace posthorn::mailbox {
namespace {

namespace pb = posthorn::directory::v1;

pb::ResolveResponse::Kind KindOf(Resolution::Kind kind) {
  switch (kind) {
    case Resolution::Kind::kLocal: return pb::ResolveResponse::KIND_LOCAL;
    case Resolution::Kind::kNoSuchRecipient: return pb::ResolveResponse::KIND_NO_SUCH_RECIPIENT;
    case Resolution::Kind::kRemote: return pb::ResolveResponse::KIND_REMOTE;
    case Resolution::Kind::kDisabled: return pb::ResolveResponse::KIND_DISABLED;
    case Resolution::Kind::kDomainSuspended: return pb::ResolveResponse::KIND_DOMAIN_SUSPENDED;
    case Resolution::Kind::kList: return pb::ResolveResponse::KIND_LIST;
  }
  return pb::ResolveResponse::KIND_UNSPECIFIED;
}

void ToProto(Login login, pb::AuthenticateResponse* out) {
  out->set_tenant_id(login.account.tenant.value());
  out->set_account_id(login.account.account.value());
  out->set_address(std::move(login.address));
}

void ToProto(Resolution::Target target, pb::Target* out) {
  if (target.account) {
    out->set_account_id(target.account.value());
    if (target.room.has_value()) out->set_room(*target.room);
  } else if (target.is_list) {
    out->set_list_address(target.address);
  } else {
    out->set_remote_address(target.address);
  }
  out->set_address(std::move(target.address));
}

class DirectoryService final : public pb::Directory::CallbackService {
 public:
  DirectoryService(ServiceContext context, DirectoryStore& store, AddressPolicy policy)
      : context_(context), store_(store), policy_(policy) {}

  grpc::ServerUnaryReactor* Resolve(grpc::CallbackServerContext* call,
                                    const pb::ResolveRequest* request,
                                    pb::ResolveResponse* response) override {
    return Run(call, RunResolve(request, response));
  }
  grpc::ServerUnaryReactor* AuthorizePost(grpc::CallbackServerContext* call,
                                          const pb::AuthorizePostRequest* request,
                                          pb::AuthorizePostResponse*) override {
    return Run(call, RunAuthorizePost(request));
  }
  grpc::ServerUnaryReactor* ExpandList(grpc::CallbackServerContext* call,
                                       const pb::ExpandListRequest* request,
                                       pb::ExpandListResponse* response) override {
    return Run(call, RunExpandList(request, response));
  }
  grpc::ServerUnaryReactor* ShowMembers(grpc::CallbackServerContext* call,
                                        const pb::ShowMembersRequest* request,
                                        pb::ShowMembersResponse* response) override {
    return Run(call, RunShowMembers(request, response));
  }
  grpc::ServerUnaryReactor* FindSmartHosts(grpc::CallbackServerContext* call,
                                           const pb::FindSmartHostsRequest* request,
                                           pb::FindSmartHostsResponse* response) override {
    return Run(call, RunFindSmartHosts(request, response));
  }
  grpc::ServerUnaryReactor* Authenticate(grpc::CallbackServerContext* call,
                                         const pb::AuthenticateRequest* request,
                                         pb::AuthenticateResponse* response) override {
    return Run(call, RunAuthenticate(request, response));
  }
  grpc::ServerUnaryReactor* GetScramParameters(grpc::CallbackServerContext* call,
                                               const pb::GetScramParametersRequest* request,
                                               pb::GetScramParametersResponse* response) override {
    return Run(call, RunGetScramParameters(request, response));
  }
  grpc::ServerUnaryReactor* AuthenticateScram(grpc::CallbackServerContext* call,
                                              const pb::AuthenticateScramRequest* request,
                                              pb::AuthenticateScramResponse* response) override {
    return Run(call, RunAuthenticateScram(request, response));
  }
  grpc::ServerUnaryReactor* AuthenticateIdentity(grpc::CallbackServerContext* call,
                                                 const pb::AuthenticateIdentityRequest* request,
                                                 pb::AuthenticateResponse* response) override {
    return Run(call, RunAuthenticateIdentity(request, response));
  }
  grpc::ServerUnaryReactor* AuthenticateKey(grpc::CallbackServerContext* call,
                                            const pb::AuthenticateKeyRequest* request,
                                            pb::AuthenticateKeyResponse* response) override {
    return Run(call, RunAuthenticateKey(request, response));
  }
  grpc::ServerUnaryReactor* AuthorizeSender(grpc::CallbackServerContext* call,
                                            const pb::AuthorizeSenderRequest* request,
                                            pb::AuthorizeSenderResponse*) override {
    return Run(call, RunAuthorizeSender(request));
  }
  grpc::ServerUnaryReactor* FindTenant(grpc::CallbackServerContext* call,
                                       const pb::FindTenantRequest* request,
                                       pb::FindTenantResponse* response) override {
    return Run(call, RunFindTenant(request, response));
  }

 private:
  grpc::ServerUnaryReactor* Run(grpc::CallbackServerContext* call, Task<absl::Status> task) {
    return rpc::HandleUnary(call, context_.guard, context_.loops.Next(), std::move(task));
  }

  Task<absl::Status> RunResolve(const pb::ResolveRequest* request, pb::ResolveResponse* response) {
    absl::StatusOr<Resolution> resolution = co_await store_.Resolve(request->address());
    if (!resolution.ok()) co_return resolution.status();
    response->set_kind(KindOf(resolution->kind));
    response->set_tenant_id(resolution->tenant.value());
    for (Resolution::Target& target : resolution->targets) {
      ToProto(std::move(target), response->add_targets());
    }
    if (resolution->kind == Resolution::Kind::kDisabled) {
      *response->mutable_refusal() = rpc::ToDetail(MakeFailure(policy_.account_suspended));
    } else if (resolution->kind == Resolution::Kind::kDomainSuspended) {
      *response->mutable_refusal() = rpc::ToDetail(MakeFailure(policy_.domain_suspended));
    } else if (response->targets_size() == 1 && response->targets(0).has_room()) {
      *response->mutable_over_quota() = rpc::ToDetail(MakeFailure(policy_.over_quota));
    }
    co_return absl::OkStatus();
  }

  Task<absl::Status> RunAuthorizePost(const pb::AuthorizePostRequest* request) {
    absl::Status status = co_await store_.AuthorizePost(request->list(), request->sender(),
                                                        TenantId(request->tenant_id()));
    co_return status;
  }

  Task<absl::Status> RunExpandList(const pb::ExpandListRequest* request,
                                   pb::ExpandListResponse* response) {
    absl::StatusOr<ListExpansion> expansion = co_await store_.ExpandList(request->list());
    if (!expansion.ok()) co_return expansion.status();
    response->set_tenant_id(expansion->tenant.value());
    response->set_address(std::move(expansion->address));
    response->set_bounces(std::move(expansion->bounces));
    for (Resolution::Target& target : expansion->targets) {
      ToProto(std::move(target), response->add_targets());
    }
    co_return absl::OkStatus();
  }

  Task<absl::Status> RunShowMembers(const pb::ShowMembersRequest* request,
                                    pb::ShowMembersResponse* response) {
    const Account account(TenantId(request->tenant_id()), AccountId(request->account_id()));
    absl::StatusOr<ShownMembers> shown = co_await store_.ShowMembers(account, request->address());
    if (!shown.ok()) co_return shown.status();
    for (std::string& member : shown->members) response->add_members(std::move(member));
    response->set_total(shown->total);
    co_return absl::OkStatus();
  }

  Task<absl::Status> RunFindSmartHosts(const pb::FindSmartHostsRequest* request,
                                       pb::FindSmartHostsResponse* response) {
    absl::StatusOr<SmartHostSettings> found =
        co_await store_.FindSmartHosts(TenantId(request->tenant_id()), request->domain());
    if (!found.ok()) co_return found.status();
    for (std::string& host : found->hosts) response->add_hosts(std::move(host));
    response->set_username(std::move(found->username));
    response->set_password(std::move(found->password));
    response->set_tls(std::move(found->tls));
    co_return absl::OkStatus();
  }

  Task<absl::Status> RunAuthenticate(const pb::AuthenticateRequest* request,
                                     pb::AuthenticateResponse* response) {
    absl::StatusOr<Login> login = co_await store_.Authenticate(
        request->login(), request->password(), request->service());
    if (!login.ok()) co_return login.status();
    ToProto(*std::move(login), response);
    co_return absl::OkStatus();
  }

  Task<absl::Status> RunGetScramParameters(const pb::GetScramParametersRequest* request,
                                           pb::GetScramParametersResponse* response) {
    absl::StatusOr<ScramParameters> parameters =
        co_await store_.GetScramParameters(request->login());
    if (!parameters.ok()) co_return parameters.status();
    response->set_salt(std::move(parameters->salt));
    response->set_iterations(parameters->iterations);
    co_return absl::OkStatus();
  }

  Task<absl::Status> RunAuthenticateScram(const pb::AuthenticateScramRequest* request,
                                          pb::AuthenticateScramResponse* response) {
    absl::StatusOr<ScramLogin> login = co_await store_.AuthenticateScram(
        request->login(), request->auth_message(), request->proof(), request->service());
    if (!login.ok()) co_return login.status();
    ToProto(std::move(login->login), response->mutable_login());
    response->set_server_signature(std::move(login->server_signature));
    co_return absl::OkStatus();
  }

  Task<absl::Status> RunAuthenticateIdentity(const pb::AuthenticateIdentityRequest* request,
                                             pb::AuthenticateResponse* response) {
    absl::StatusOr<Login> login = co_await store_.AuthenticateIdentity(request->login());
    if (!login.ok()) co_return login.status();
    ToProto(*std::move(login), response);
    co_return absl::OkStatus();
  }

  Task<absl::Status> RunAuthenticateKey(const pb::AuthenticateKeyRequest* request,
                                        pb::AuthenticateKeyResponse* response) {
    absl::StatusOr<KeyLogin> login = co_await store_.AuthenticateKey(request->key());
    if (!login.ok()) co_return login.status();
    response->set_tenant_id(login->tenant.value());
    response->set_key_id(login->key.value());
    co_return absl::OkStatus();
  }

  Task<absl::Status> RunAuthorizeSender(const pb::AuthorizeSenderRequest* request) {
    const Account account(TenantId(request->tenant_id()), AccountId(request->account_id()));
    absl::Status status = co_await store_.AuthorizeSender(account, request->address());
    co_return status;
  }

  Task<absl::Status> RunFindTenant(const pb::FindTenantRequest* request,
                                   pb::FindTenantResponse* response) {
    const absl::StatusOr<TenantId> tenant = co_await store_.FindTenant(request->name());
    if (!tenant.ok()) co_return tenant.status();
    response->set_tenant_id(tenant->value());
    co_return absl::OkStatus();
  }

  const ServiceContext context_;
  DirectoryStore& store_;
  const AddressPolicy policy_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeDirectoryService(ServiceContext context, DirectoryStore& store,
                                                    AddressPolicy policy) {
  return std::make_unique<DirectoryService>(context, store, policy);
}

}  // namespace posthorn::mailbox
