#include <grpcpp/grpcpp.h>

#include "lib/base/failure.h"
#include "lib/net/event_loop.h"
#include "lib/rpc/server.h"
#include "posthorn/admin/v1/admin.grpc.pb.h"
#include "services/mailbox/admin_convert.h"
#include "services/mailbox/admin_mail_service.h"
#include "services/mailbox/admin_store.h"
#include "services/mailbox/change_hints.h"
#include "services/mailbox/services.h"
#include "services/mailbox/when_all.h"

// The directory's part of posthorn.admin.v1: the queue's calls stay unimplemented here, the gateway
// takes them to the queue service.

namespace posthorn::mailbox {
namespace {

namespace pb = posthorn::admin::v1;
using grpc::CallbackServerContext;
using grpc::ServerUnaryReactor;

constexpr int kMaxImport = 1000;
// Passwords of one import that are hashed side by side.
constexpr int kImportWidth = 4;

// The record of a call, or its status.
template <typename Record, typename Proto>
absl::Status Answer(absl::StatusOr<Record> record, Proto* out) {
  if (!record.ok()) return record.status();
  ToProto(*std::move(record), out);
  return absl::OkStatus();
}

template <typename Record, typename Field>
absl::Status AnswerAll(absl::StatusOr<std::vector<Record>> records, Field* field) {
  if (!records.ok()) return records.status();
  for (Record& record : *records) ToProto(std::move(record), field->Add());
  return absl::OkStatus();
}

class AdminService final : public pb::Admin::CallbackService {
 public:
  AdminService(ServiceContext context, AdminStore& store, MailStores mail, ChangeHints& hints)
      : context_(context), store_(store), mail_(store, mail), hints_(hints) {}

#define POSTHORN_UNARY(METHOD, RESPONSE)                                                      \
  ServerUnaryReactor* METHOD(CallbackServerContext* call, const pb::METHOD##Request* request, \
                             pb::RESPONSE* response) override {                               \
    return rpc::HandleUnary(call, context_.guard, context_.loops.Next(),                      \
                            Run(*request, *response));                                        \
  }
// What may change where an address leads, or what a session is allowed.
#define POSTHORN_CHANGE(METHOD, RESPONSE)                                                     \
  ServerUnaryReactor* METHOD(CallbackServerContext* call, const pb::METHOD##Request* request, \
                             pb::RESPONSE* response) override {                               \
    return rpc::HandleUnary(call, context_.guard, context_.loops.Next(),                      \
                            Tell(Run(*request, *response)));                                  \
  }
  POSTHORN_UNARY(AddTenant, Tenant)
  POSTHORN_UNARY(ListTenants, ListTenantsResponse)
  POSTHORN_UNARY(GetTenant, Tenant)
  POSTHORN_UNARY(RemoveTenant, RemoveTenantResponse)
  POSTHORN_CHANGE(AddDomain, Domain)
  POSTHORN_UNARY(ListDomains, ListDomainsResponse)
  POSTHORN_UNARY(GetDomain, Domain)
  POSTHORN_CHANGE(RemoveDomain, RemoveDomainResponse)
  POSTHORN_CHANGE(SetDomain, Domain)
  POSTHORN_CHANGE(AddDomainAlias, Domain)
  POSTHORN_UNARY(ListDomainAliases, ListDomainAliasesResponse)
  POSTHORN_CHANGE(RemoveDomainAlias, RemoveDomainAliasResponse)
  POSTHORN_CHANGE(AddAccount, Account)
  POSTHORN_UNARY(ListAccounts, ListAccountsResponse)
  POSTHORN_UNARY(GetAccount, Account)
  POSTHORN_CHANGE(RemoveAccount, RemoveAccountResponse)
  POSTHORN_UNARY(SetPassword, SetPasswordResponse)
  POSTHORN_CHANGE(SetAccount, Account)
  POSTHORN_CHANGE(ImportAccounts, ImportAccountsResponse)
  POSTHORN_UNARY(RequireAppPasswords, Account)
  POSTHORN_UNARY(AddAppPassword, AddAppPasswordResponse)
  POSTHORN_UNARY(ListAppPasswords, ListAppPasswordsResponse)
  POSTHORN_UNARY(GetAppPassword, AppPassword)
  POSTHORN_UNARY(RemoveAppPassword, RemoveAppPasswordResponse)
  POSTHORN_CHANGE(AddAlias, Alias)
  POSTHORN_UNARY(ListAliases, ListAliasesResponse)
  POSTHORN_UNARY(GetAlias, Alias)
  POSTHORN_CHANGE(RemoveAlias, RemoveAliasResponse)
  POSTHORN_CHANGE(SetAlias, Alias)
  POSTHORN_CHANGE(AddList, List)
  POSTHORN_UNARY(ListLists, ListListsResponse)
  POSTHORN_UNARY(GetList, List)
  POSTHORN_CHANGE(SetList, List)
  POSTHORN_CHANGE(RemoveList, RemoveListResponse)
  POSTHORN_UNARY(AddListMembers, AddListMembersResponse)
  POSTHORN_UNARY(RemoveListMembers, RemoveListMembersResponse)
  POSTHORN_UNARY(ListMembers, ListMembersResponse)
  POSTHORN_UNARY(AddKey, AddKeyResponse)
  POSTHORN_UNARY(ListKeys, ListKeysResponse)
  POSTHORN_UNARY(GetKey, Key)
  POSTHORN_UNARY(RemoveKey, RemoveKeyResponse)
  POSTHORN_CHANGE(SetTenant, Tenant)
#undef POSTHORN_UNARY
#undef POSTHORN_CHANGE
#define POSTHORN_MAIL(METHOD)                                                                 \
  ServerUnaryReactor* METHOD(CallbackServerContext* call, const pb::METHOD##Request* request, \
                             pb::METHOD##Response* response) override {                       \
    return rpc::HandleUnary(call, context_.guard, context_.loops.Next(),                      \
                            mail_.Run(*request, *response));                                  \
  }
  POSTHORN_MAIL(ListDeleted)
  POSTHORN_MAIL(Undelete)
  POSTHORN_MAIL(ListAccountMailboxes)
  POSTHORN_MAIL(EnsureMailbox)
  POSTHORN_MAIL(ExportMessages)
  POSTHORN_MAIL(ReadExported)
  POSTHORN_MAIL(FindImported)
  POSTHORN_MAIL(ImportMessages)
#undef POSTHORN_MAIL

 private:
  Task<absl::Status> Tell(Task<absl::Status> change) {
    absl::Status status = co_await std::move(change);
    if (status.ok()) hints_.DirectoryChanged();
    co_return status;
  }

  // Requests and responses outlive the tasks below.

  Task<absl::Status> Run(const pb::AddTenantRequest& request, pb::Tenant& response) {
    absl::StatusOr<TenantRecord> record = co_await store_.AddTenant(request.name());
    co_return Answer(std::move(record), &response);
  }
  Task<absl::Status> Run(const pb::ListTenantsRequest& request,
                         pb::ListTenantsResponse& response) {
    Page page(request.limit(), request.after());
    absl::StatusOr<std::vector<TenantRecord>> records =
        co_await store_.ListTenants(std::move(page));
    co_return AnswerAll(std::move(records), response.mutable_tenants());
  }
  Task<absl::Status> Run(const pb::GetTenantRequest& request, pb::Tenant& response) {
    absl::StatusOr<TenantRecord> record = co_await store_.GetTenant(request.name());
    co_return Answer(std::move(record), &response);
  }
  Task<absl::Status> Run(const pb::RemoveTenantRequest& request, pb::RemoveTenantResponse&) {
    absl::Status status = co_await store_.RemoveTenant(request.name());
    co_return status;
  }
  Task<absl::Status> Run(const pb::SetTenantRequest& request, pb::Tenant& response) {
    TenantChange change;
    if (request.has_quota_bytes()) change.quota_bytes = request.quota_bytes();
    if (request.has_quota_messages()) change.quota_messages = request.quota_messages();
    absl::StatusOr<TenantRecord> record =
        co_await store_.SetTenant(request.name(), std::move(change));
    co_return Answer(std::move(record), &response);
  }

  Task<absl::Status> Run(const pb::AddDomainRequest& request, pb::Domain& response) {
    absl::StatusOr<DomainRecord> record =
        co_await store_.AddDomain(request.tenant(), request.name());
    co_return Answer(std::move(record), &response);
  }
  Task<absl::Status> Run(const pb::ListDomainsRequest& request,
                         pb::ListDomainsResponse& response) {
    Page page(request.limit(), request.after());
    absl::StatusOr<std::vector<DomainRecord>> records =
        co_await store_.ListDomains(request.tenant(), std::move(page));
    co_return AnswerAll(std::move(records), response.mutable_domains());
  }
  Task<absl::Status> Run(const pb::GetDomainRequest& request, pb::Domain& response) {
    absl::StatusOr<DomainRecord> record = co_await store_.GetDomain(request.name());
    co_return Answer(std::move(record), &response);
  }
  Task<absl::Status> Run(const pb::RemoveDomainRequest& request, pb::RemoveDomainResponse&) {
    absl::Status status = co_await store_.RemoveDomain(request.name());
    co_return status;
  }

  Task<absl::Status> Run(const pb::SetDomainRequest& request, pb::Domain& response) {
    absl::StatusOr<DomainRecord> record =
        co_await store_.SetDomain(request.name(), FromProto(request));
    co_return Answer(std::move(record), &response);
  }
  Task<absl::Status> Run(const pb::AddDomainAliasRequest& request, pb::Domain& response) {
    absl::StatusOr<DomainRecord> record =
        co_await store_.AddDomainAlias(request.alias(), request.domain());
    co_return Answer(std::move(record), &response);
  }
  Task<absl::Status> Run(const pb::ListDomainAliasesRequest& request,
                         pb::ListDomainAliasesResponse& response) {
    Page page(request.limit(), request.after());
    absl::StatusOr<std::vector<DomainRecord>> records =
        co_await store_.ListDomainAliases(request.domain(), std::move(page));
    co_return AnswerAll(std::move(records), response.mutable_aliases());
  }
  Task<absl::Status> Run(const pb::RemoveDomainAliasRequest& request,
                         pb::RemoveDomainAliasResponse&) {
    absl::Status status = co_await store_.RemoveDomainAlias(request.alias());
    co_return status;
  }

  Task<absl::Status> Run(const pb::AddAccountRequest& request, pb::Account& response) {
    NewAccount account(request.address(), request.password(), request.quota_bytes(),
                       request.password_hash());
    absl::StatusOr<AccountRecord> record = co_await store_.AddAccount(std::move(account));
    co_return Answer(std::move(record), &response);
  }
  Task<absl::Status> Run(const pb::ListAccountsRequest& request,
                         pb::ListAccountsResponse& response) {
    Page page(request.limit(), request.after());
    absl::StatusOr<std::vector<AccountRecord>> records =
        co_await store_.ListAccounts(request.domain(), std::move(page));
    co_return AnswerAll(std::move(records), response.mutable_accounts());
  }
  Task<absl::Status> Run(const pb::GetAccountRequest& request, pb::Account& response) {
    absl::StatusOr<AccountRecord> record = co_await store_.GetAccount(request.address());
    co_return Answer(std::move(record), &response);
  }
  Task<absl::Status> Run(const pb::RemoveAccountRequest& request, pb::RemoveAccountResponse&) {
    absl::Status status = co_await store_.RemoveAccount(request.address());
    co_return status;
  }
  Task<absl::Status> Run(const pb::SetPasswordRequest& request, pb::SetPasswordResponse&) {
    if (request.password_hash().empty()) {
      absl::Status status = co_await store_.SetPassword(request.address(), request.password());
      co_return status;
    }
    if (!request.password().empty()) {
      co_return MakeFailure(Failure::kInvalidArgument, "either a password or its hash");
    }
    absl::Status status =
        co_await store_.SetPasswordHash(request.address(), request.password_hash());
    co_return status;
  }

  Task<absl::Status> Run(const pb::RequireAppPasswordsRequest& request, pb::Account& response) {
    absl::StatusOr<AccountRecord> record =
        co_await store_.RequireAppPasswords(request.address(), request.required());
    co_return Answer(std::move(record), &response);
  }
  Task<absl::Status> Run(const pb::AddAppPasswordRequest& request,
                         pb::AddAppPasswordResponse& response) {
    std::vector<std::string> services(request.services().begin(), request.services().end());
    absl::StatusOr<std::pair<AppPasswordRecord, std::string>> added =
        co_await store_.AddAppPassword(request.account(), request.description(),
                                       std::move(services));
    if (!added.ok()) co_return added.status();
    ToProto(std::move(added->first), response.mutable_app_password());
    response.set_secret(std::move(added->second));
    co_return absl::OkStatus();
  }
  Task<absl::Status> Run(const pb::ListAppPasswordsRequest& request,
                         pb::ListAppPasswordsResponse& response) {
    absl::StatusOr<std::vector<AppPasswordRecord>> records =
        co_await store_.ListAppPasswords(request.account());
    co_return AnswerAll(std::move(records), response.mutable_app_passwords());
  }
  Task<absl::Status> Run(const pb::GetAppPasswordRequest& request, pb::AppPassword& response) {
    absl::StatusOr<AppPasswordRecord> record =
        co_await store_.GetAppPassword(request.app_password_id());
    co_return Answer(std::move(record), &response);
  }
  Task<absl::Status> Run(const pb::RemoveAppPasswordRequest& request,
                         pb::RemoveAppPasswordResponse&) {
    absl::Status status = co_await store_.RemoveAppPassword(request.app_password_id());
    co_return status;
  }

  Task<absl::Status> Run(const pb::SetAccountRequest& request, pb::Account& response) {
    absl::StatusOr<AccountRecord> record =
        co_await store_.SetAccount(request.address(), FromProto(request));
    co_return Answer(std::move(record), &response);
  }

  Task<absl::Status> Run(const pb::ImportAccountsRequest& request,
                         pb::ImportAccountsResponse& response) {
    if (request.accounts_size() > kMaxImport) {
      co_return MakeFailure(Failure::kInvalidArgument, "at most 1000 accounts a request");
    }
    std::vector<NewAccount> accounts;
    for (const pb::AddAccountRequest& account : request.accounts()) {
      accounts.emplace_back(account.address(), account.password(), account.quota_bytes(),
                            account.password_hash());
    }
    std::vector<PasswordRecord> passwords(accounts.size());
    std::vector<absl::Status> statuses(accounts.size());
    std::size_t next = 0;
    std::vector<Task<void>> tasks;
    for (int i = 0; i < kImportWidth; ++i) {
      tasks.push_back(HashAll(accounts, passwords, statuses, next));
    }
    co_await WhenAll(std::move(tasks));
    absl::StatusOr<std::vector<absl::Status>> imported =
        co_await store_.ImportAccounts(accounts, std::move(passwords), std::move(statuses));
    if (!imported.ok()) co_return imported.status();
    for (std::size_t i = 0; i < accounts.size(); ++i) {
      pb::ImportResult* result = response.add_results();
      result->set_address(accounts[i].address);
      const absl::Status& status = (*imported)[i];
      if (!status.ok()) result->set_error(std::string(PeerText(status)));
    }
    co_return absl::OkStatus();
  }

  // One of several that share the work, all on one executor.
  Task<void> HashAll(const std::vector<NewAccount>& accounts,
                     std::vector<PasswordRecord>& passwords,
                     std::vector<absl::Status>& statuses, std::size_t& next) {
    while (next < accounts.size()) {
      const std::size_t i = next++;
      absl::StatusOr<PasswordRecord> made = co_await store_.PreparePassword(accounts[i]);
      if (made.ok()) {
        passwords[i] = *std::move(made);
      } else {
        statuses[i] = made.status();
      }
    }
  }

  Task<absl::Status> Run(const pb::AddAliasRequest& request, pb::Alias& response) {
    std::vector<std::string> targets(request.targets().begin(), request.targets().end());
    absl::StatusOr<AliasRecord> record =
        co_await store_.AddAlias(request.address(), std::move(targets));
    co_return Answer(std::move(record), &response);
  }
  Task<absl::Status> Run(const pb::ListAliasesRequest& request,
                         pb::ListAliasesResponse& response) {
    Page page(request.limit(), request.after());
    absl::StatusOr<std::vector<AliasRecord>> records =
        co_await store_.ListAliases(request.domain(), std::move(page));
    co_return AnswerAll(std::move(records), response.mutable_aliases());
  }
  Task<absl::Status> Run(const pb::GetAliasRequest& request, pb::Alias& response) {
    absl::StatusOr<AliasRecord> record = co_await store_.GetAlias(request.address());
    co_return Answer(std::move(record), &response);
  }
  Task<absl::Status> Run(const pb::RemoveAliasRequest& request, pb::RemoveAliasResponse&) {
    absl::Status status = co_await store_.RemoveAlias(request.address());
    co_return status;
  }

  Task<absl::Status> Run(const pb::SetAliasRequest& request, pb::Alias& response) {
    std::vector<std::string> targets(request.targets().begin(), request.targets().end());
    absl::StatusOr<AliasRecord> record =
        co_await store_.SetAlias(request.address(), std::move(targets));
    co_return Answer(std::move(record), &response);
  }

  Task<absl::Status> Run(const pb::AddListRequest& request, pb::List& response) {
    absl::StatusOr<ListRecord> record =
        co_await store_.AddList(request.address(), FromProto(request));
    co_return Answer(std::move(record), &response);
  }
  Task<absl::Status> Run(const pb::ListListsRequest& request, pb::ListListsResponse& response) {
    Page page(request.limit(), request.after());
    absl::StatusOr<std::vector<ListRecord>> records =
        co_await store_.ListLists(request.domain(), std::move(page));
    co_return AnswerAll(std::move(records), response.mutable_lists());
  }
  Task<absl::Status> Run(const pb::GetListRequest& request, pb::List& response) {
    absl::StatusOr<ListRecord> record = co_await store_.GetList(request.address());
    co_return Answer(std::move(record), &response);
  }
  Task<absl::Status> Run(const pb::SetListRequest& request, pb::List& response) {
    absl::StatusOr<ListRecord> record =
        co_await store_.SetList(request.address(), FromProto(request));
    co_return Answer(std::move(record), &response);
  }
  Task<absl::Status> Run(const pb::RemoveListRequest& request, pb::RemoveListResponse&) {
    absl::Status status = co_await store_.RemoveList(request.address());
    co_return status;
  }
  Task<absl::Status> Run(const pb::AddListMembersRequest& request,
                         pb::AddListMembersResponse& response) {
    std::vector<std::string> members(request.members().begin(), request.members().end());
    absl::StatusOr<std::int64_t> added =
        co_await store_.AddListMembers(request.address(), std::move(members));
    if (!added.ok()) co_return added.status();
    response.set_added(*added);
    co_return absl::OkStatus();
  }
  Task<absl::Status> Run(const pb::RemoveListMembersRequest& request,
                         pb::RemoveListMembersResponse& response) {
    std::vector<std::string> members(request.members().begin(), request.members().end());
    absl::StatusOr<std::int64_t> removed =
        co_await store_.RemoveListMembers(request.address(), std::move(members));
    if (!removed.ok()) co_return removed.status();
    response.set_removed(*removed);
    co_return absl::OkStatus();
  }
  Task<absl::Status> Run(const pb::ListMembersRequest& request,
                         pb::ListMembersResponse& response) {
    Page page(request.limit(), request.after());
    absl::StatusOr<std::vector<std::string>> members =
        co_await store_.ListMembers(request.address(), std::move(page));
    if (!members.ok()) co_return members.status();
    for (std::string& member : *members) response.add_members(std::move(member));
    co_return absl::OkStatus();
  }

  Task<absl::Status> Run(const pb::AddKeyRequest& request, pb::AddKeyResponse& response) {
    absl::StatusOr<std::pair<KeyRecord, std::string>> added =
        co_await store_.AddKey(request.tenant(), request.description());
    if (!added.ok()) co_return added.status();
    ToProto(std::move(added->first), response.mutable_key());
    response.set_secret(std::move(added->second));
    co_return absl::OkStatus();
  }
  Task<absl::Status> Run(const pb::ListKeysRequest& request, pb::ListKeysResponse& response) {
    Page page(request.limit(), request.after());
    absl::StatusOr<std::vector<KeyRecord>> records =
        co_await store_.ListKeys(request.tenant(), std::move(page));
    co_return AnswerAll(std::move(records), response.mutable_keys());
  }
  Task<absl::Status> Run(const pb::GetKeyRequest& request, pb::Key& response) {
    absl::StatusOr<KeyRecord> record = co_await store_.GetKey(KeyId(request.key_id()));
    co_return Answer(std::move(record), &response);
  }
  Task<absl::Status> Run(const pb::RemoveKeyRequest& request, pb::RemoveKeyResponse&) {
    absl::Status status = co_await store_.RemoveKey(KeyId(request.key_id()));
    co_return status;
  }

  const ServiceContext context_;
  AdminStore& store_;
  AdminMail mail_;
  ChangeHints& hints_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeAdminService(ServiceContext context, AdminStore& store,
                                                MailStores mail, ChangeHints& hints) {
  return std::make_unique<AdminService>(context, store, mail, hints);
}

}  // namespace posthorn::mailbox
