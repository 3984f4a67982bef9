#ifndef POSTHORN_SERVICES_GATEWAY_TESTING_FAKE_DIRECTORY_H_
#define POSTHORN_SERVICES_GATEWAY_TESTING_FAKE_DIRECTORY_H_

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "services/gateway/clients/directory.h"

namespace posthorn::gateway {

// A directory in memory, for unit tests on one executor. Local parts and domains compare without
// regard to case, as in the real one.
class FakeDirectory final : public Directory {
 public:
  void AddTenant(std::string name, TenantId tenant);
  void AddDomain(std::string domain, TenantId tenant);
  void AddAccount(std::string address, std::string password, AccountId account);
  void AddAlias(std::string address, std::vector<Target> targets);
  void AddKey(std::string key, ApiKey owner);
  // A list in one of the domains; `senders` may post to it, "*" is anyone, and addresses of our
  // domains count with a login only. Accounts in `viewers` see the members.
  void AddList(std::string address, std::vector<std::string> members, std::set<std::string> senders,
               std::set<AccountId> viewers);
  void SuspendDomain(std::string domain);
  // Octets left in the account's mailbox, and what is answered when it is too little.
  void SetRoom(AccountId account, std::uint64_t room, absl::Status over_quota);
  void Disable(std::string address);
  // Every call answers this until it is reset.
  void FailWith(std::optional<absl::Status> status) { failure_ = std::move(status); }
  int resolve_calls() const { return resolve_calls_; }

  Task<absl::StatusOr<Resolution>> Resolve(std::string address) override;
  Task<absl::Status> AuthorizePost(std::string list, std::string sender,
                                   TenantId proven) override;
  Task<absl::StatusOr<ShownMembers>> ShowMembers(TenantId tenant, AccountId account,
                                                 std::string address) override;
  void Forget() override { ++forget_calls; }
  int forget_calls = 0;
  Task<absl::StatusOr<Login>> Authenticate(Credentials credentials) override;
  Task<absl::StatusOr<ScramSalt>> GetScramSalt(std::string login) override;
  Task<absl::StatusOr<ScramLogin>> AuthenticateScram(ScramProof proof) override;
  Task<absl::StatusOr<Login>> AuthenticateIdentity(Credentials credentials) override;
  Task<absl::StatusOr<ApiKey>> AuthenticateKey(std::string key) override;
  Task<absl::Status> AuthorizeSender(TenantId tenant, AccountId account,
                                     std::string address) override;
  Task<absl::StatusOr<TenantId>> FindTenant(std::string name) override;

 private:
  struct Account {
    std::string password;
    AccountId id;
  };
  std::map<std::string, TenantId> tenants_;
  std::map<std::string, TenantId> domains_;
  std::map<std::string, Account> accounts_;
  std::map<std::string, std::vector<Target>> aliases_;
  struct List {
    std::vector<std::string> members;
    std::set<std::string> senders;
    std::set<AccountId> viewers;
  };
  struct Room {
    std::uint64_t octets = 0;
    absl::Status over_quota;
  };
  std::map<std::string, List> lists_;
  std::map<AccountId, Room> rooms_;
  std::set<std::string> suspended_domains_;
  std::map<std::string, ApiKey> keys_;
  std::set<std::string> disabled_;
  std::optional<absl::Status> failure_;
  int resolve_calls_ = 0;
};

}  // namespace posthorn::gateway

#endif  // POSTHORN_SERVICES_GATEWAY_TESTING_FAKE_DIRECTORY_H_
