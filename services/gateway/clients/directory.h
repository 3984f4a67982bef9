#ifndef POSTHORN_SERVICES_GATEWAY_CLIENTS_DIRECTORY_H_
#define POSTHORN_SERVICES_GATEWAY_CLIENTS_DIRECTORY_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lib/base/ids.h"
#include "lib/base/task.h"

namespace posthorn::gateway {

// Where a copy of a message goes: a mailbox of this platform, or (account none) a list, or an
// address elsewhere that an alias points to.
struct Target {
  Target() = default;
  Target(AccountId account_in, std::string address_in)
      : account(account_in), address(std::move(address_in)) {}
  AccountId account;    // none: a list, or remote
  std::string address;  // where the alias chain ended, with its tag; Delivered-To names it
  bool is_list = false;
  std::optional<std::uint64_t> room;  // octets left some seconds ago; none: no quota
};

enum class AddressKind {
  kLocal,            // `targets` says where
  kNoSuchRecipient,  // the domain is ours, the local part is not
  kRemote,           // the domain is not ours
  kDisabled,         // the account is suspended; `refusal` says what to answer
  kDomainSuspended,  // likewise
  kList,             // as kLocal, and a list is among the targets: ask AuthorizePost
};

struct Resolution {
  Resolution() = default;
  Resolution(AddressKind kind_in, TenantId tenant_in, std::vector<Target> targets_in)
      : kind(kind_in), tenant(tenant_in), targets(std::move(targets_in)) {}
  AddressKind kind = AddressKind::kRemote;
  TenantId tenant;  // of the domain, where it is ours
  std::vector<Target> targets;
  absl::Status refusal;     // of kDisabled and kDomainSuspended; OK: not said
  absl::Status over_quota;  // what to answer where a message is larger than its only target's room
};

// What EXPN shows.
struct ShownMembers {
  ShownMembers() = default;
  ShownMembers(std::vector<std::string> members_in, std::int64_t total_in)
      : members(std::move(members_in)), total(total_in) {}
  std::vector<std::string> members;  // the first of them
  std::int64_t total = 0;
};

struct Credentials {
  Credentials() = default;
  Credentials(std::string login_in, std::string password_in, std::string client_address_in,
              std::string service_in)
      : login(std::move(login_in)),
        password(std::move(password_in)),
        client_address(std::move(client_address_in)),
        service(std::move(service_in)) {}
  std::string login;  // a full address
  std::string password;
  std::string client_address;  // IP, for logs and rate limits
  std::string service;         // "smtp", "imap", "pop3"
};

// Who has logged in.
struct Login {
  Login() = default;
  Login(TenantId tenant_in, AccountId account_in, std::string address_in)
      : tenant(tenant_in), account(account_in), address(std::move(address_in)) {}
  TenantId tenant;
  AccountId account;
  std::string address;  // canonical form
};

// What a SCRAM client (RFC 5802) is told of a name.
struct ScramSalt {
  ScramSalt() = default;
  ScramSalt(std::string salt_in, int iterations_in)
      : salt(std::move(salt_in)), iterations(iterations_in) {}
  std::string salt;
  int iterations = 0;
};

// What a SCRAM client proves its password with.
struct ScramProof {
  ScramProof() = default;
  ScramProof(std::string login_in, std::string auth_message_in, std::string proof_in,
             std::string client_address_in, std::string service_in)
      : login(std::move(login_in)),
        auth_message(std::move(auth_message_in)),
        proof(std::move(proof_in)),
        client_address(std::move(client_address_in)),
        service(std::move(service_in)) {}
  std::string login;
  std::string auth_message;
  std::string proof;
  std::string client_address;
  std::string service;  // as in Credentials
};

struct ScramLogin {
  ScramLogin() = default;
  ScramLogin(Login login_in, std::string server_signature_in)
      : login(std::move(login_in)), server_signature(std::move(server_signature_in)) {}
  Login login;
  std::string server_signature;  // what proves the server to the client
};

struct ApiKey {
  ApiKey() = default;
  ApiKey(TenantId tenant_in, KeyId key_in) : tenant(tenant_in), key(key_in) {}
  TenantId tenant;
  KeyId key;
};

// Who is who, as the gateway's sessions ask. Thread-safe; a call continues on the executor it was
// made on, and ends within its deadline. Errors carry a Failure; without one they are temporary.
class Directory {
 public:
  virtual ~Directory() = default;

  // Where mail for `address` (addr-spec without angle brackets) goes. An unknown local part is an
  // answer, not an error. May be a few seconds old.
  virtual Task<absl::StatusOr<Resolution>> Resolve(std::string address) = 0;

  // May a message from `sender`, a reverse-path, go to a list? `proven`: the tenant for which the
  // client has logged in or is trusted, or none. OK, kPostNotAllowed, kNotFound.
  virtual Task<absl::Status> AuthorizePost(std::string list, std::string sender,
                                           TenantId proven) = 0;

  // What the account may see of a list's members or an alias's targets: kPermissionDenied,
  // kNotFound.
  virtual Task<absl::StatusOr<ShownMembers>> ShowMembers(TenantId tenant, AccountId account,
                                                         std::string address) = 0;

  // The directory has changed: answers of Resolve from now on are new.
  virtual void Forget() = 0;

  // kAuthenticationFailed for a wrong name and a wrong password alike; kAuthenticationBusy when
  // too many checks run at once.
  virtual Task<absl::StatusOr<Login>> Authenticate(Credentials credentials) = 0;

  // Salt and count for a SCRAM login; for a name that nobody has too, and always the same.
  virtual Task<absl::StatusOr<ScramSalt>> GetScramSalt(std::string login) = 0;
  // Errors as for Authenticate.
  virtual Task<absl::StatusOr<ScramLogin>> AuthenticateScram(ScramProof proof) = 0;
  // Lets in somebody whose identity was proven by a token; its password is not used.
  // kAuthenticationFailed if there is no such account.
  virtual Task<absl::StatusOr<Login>> AuthenticateIdentity(Credentials credentials) = 0;

  // kAuthenticationFailed for an unknown key.
  virtual Task<absl::StatusOr<ApiKey>> AuthenticateKey(std::string key) = 0;

  // May the account send as `address`? Without an account: is it in a domain of the tenant? Empty,
  // the null reverse-path, is always allowed. kSenderNotAllowed if not.
  virtual Task<absl::Status> AuthorizeSender(TenantId tenant, AccountId account,
                                             std::string address) = 0;

  // The tenant with this name, for trusted networks; kNotFound if there is none.
  virtual Task<absl::StatusOr<TenantId>> FindTenant(std::string name) = 0;
};

}  // namespace posthorn::gateway

#endif  // POSTHORN_SERVICES_GATEWAY_CLIENTS_DIRECTORY_H_
