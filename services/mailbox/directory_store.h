#ifndef POSTHORN_SERVICES_MAILBOX_DIRECTORY_STORE_H_
#define POSTHORN_SERVICES_MAILBOX_DIRECTORY_STORE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lib/base/task.h"
#include "lib/postgres/database.h"
#include "services/mailbox/passwords.h"
#include "services/mailbox/types.h"

namespace posthorn::mailbox {

// Where mail for an address goes.
struct Resolution {
  enum class Kind { kLocal, kNoSuchRecipient, kRemote, kDisabled };
  struct Target {
    AccountId account;    // none: remote
    TenantId tenant;      // of the account
    std::string address;  // where the alias chain ended
  };
  Kind kind = Kind::kRemote;
  TenantId tenant;              // of the domain, where it is ours
  std::vector<Target> targets;  // kLocal
};

struct Login {
  Account account;
  std::string address;  // canonical form
};

struct ScramLogin {
  Login login;
  std::string server_signature;
};

struct KeyLogin {
  TenantId tenant;
  KeyId key;
};

// Answers who is who. Thread-safe.
class DirectoryStore {
 public:
  // Aliases may point at aliases, this deep, and at this many addresses in all; beyond that the
  // mail loops (kMailLoop) or is too widely spread (kTooManyRecipients).
  static constexpr int kMaxAliasDepth = 10;
  static constexpr std::size_t kMaxTargets = 1000;

  DirectoryStore(postgres::Database& database, Passwords& passwords);

  // kBadAddress, kMailLoop, kTooManyRecipients. "alice+tag" is alice where it has no address of its
  // own. Targets in another tenant of this platform are remote: mail between tenants is outside
  // mail.
  Task<absl::StatusOr<Resolution>> Resolve(std::string address);

  // Logins (directory_logins.cc). kAuthenticationFailed for whatever is wrong; kAuthenticationBusy.
  // `service` is "smtp", "imap" or "pop3": application passwords are good for some.
  //
  // The password of the account, or an application password. A wrong password and an unknown name
  // take the same time. A hash of another system is replaced by ours once it has matched.
  Task<absl::StatusOr<Login>> Authenticate(std::string login, std::string password,
                                           std::string service);
  // For SCRAM (RFC 5802): what a client is told of a name, whether somebody has it or not, and the
  // check of its proof.
  Task<absl::StatusOr<ScramParameters>> GetScramParameters(std::string login);
  Task<absl::StatusOr<ScramLogin>> AuthenticateScram(std::string login, std::string auth_message,
                                                     std::string proof, std::string service);
  // For somebody whose identity a token has proven.
  Task<absl::StatusOr<Login>> AuthenticateIdentity(std::string login);
  Task<absl::StatusOr<KeyLogin>> AuthenticateKey(std::string key);

  // May the account send as `address`: its own addresses and the aliases that lead to it directly,
  // with or without a tag. No account: any address in a domain of the tenant. OK or
  // kSenderNotAllowed.
  Task<absl::Status> AuthorizeSender(Account account, std::string address);

  // The tenant of this name; kNotFound.
  Task<absl::StatusOr<TenantId>> FindTenant(std::string name);

 private:
  struct Credentials;  // directory_logins.cc
  Task<absl::StatusOr<Credentials>> FindCredentials(std::string login);
  // Whether an application password of the account is `password`.
  Task<absl::StatusOr<bool>> CheckAppPassword(Account account, std::string password,
                                              std::string service);
  // The time of use of an application password, kept to some minutes.
  Task<void> NoteUse(Account account, std::int64_t app_password);
  // Gives the account our own hash and SCRAM keys of a password that has matched.
  Task<void> Renew(Credentials credentials, std::string password);

  postgres::Database& database_;
  Passwords& passwords_;
};

}  // namespace posthorn::mailbox

#endif  // POSTHORN_SERVICES_MAILBOX_DIRECTORY_STORE_H_
