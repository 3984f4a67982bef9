#include <grpcpp/grpcpp.h>

#include "lib/net/event_loop.h"
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
  }
  return pb::ResolveResponse::KIND_UNSPECIFIED;
}

void ToProto(Login login, pb::AuthenticateResponse* out) {
  out->set_tenant_id(login.account.tenant.value());
  out->set_account_id(login.account.account.value());
  out->set_address(std::move(login.address));
}

class DirectoryService final : public pb::Directory::CallbackService {
 public:
  DirectoryService(ServiceContext context, DirectoryStore& store)
      : context_(context), store_(store) {}

  grpc::ServerUnaryReactor* Resolve(grpc::CallbackServerContext* call,
                                    const pb::ResolveRequest* request,
                                    pb::ResolveResponse* response) override {
    return Run(call, RunResolve(request, response));
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
      pb::Target* out = response->add_targets();
      if (target.account) {
        out->set_account_id(target.account.value());
      } else {
        out->set_remote_address(target.address);
      }
      out->set_address(std::move(target.address));
    }
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
};

}  // namespace

std::unique_ptr<grpc::Service> MakeDirectoryService(ServiceContext context, DirectoryStore& store) {
  return std::make_unique<DirectoryService>(context, store);
}

}  // namespace posthorn::mailbox
