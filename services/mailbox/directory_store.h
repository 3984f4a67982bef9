#ifndef POSTHORN_SERVICES_MAILBOX_DIRECTORY_STORE_H_
#define POSTHORN_SERVICES_MAILBOX_DIRECTORY_STORE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lib/base/task.h"
#include "lib/postgres/database.h"
#include "services/mailbox/address.h"
#include "services/mailbox/passwords.h"
#include "services/mailbox/types.h"

namespace posthorn::mailbox {

struct RecipientEntry;  // recipient_lookup.h

// Where mail for an address goes.
struct Resolution {
  enum class Kind {
    kLocal,
    kNoSuchRecipient,
    kRemote,
    kDisabled,         // the account is suspended
    kDomainSuspended,
    kList,             // as kLocal, and a list is among the targets: see AuthorizePost
  };
  struct Target {
    Target() = default;
    Target(AccountId account_in, std::string address_in)
        : account(account_in), address(std::move(address_in)) {}
    AccountId account;    // none: a list, or remote
    std::string address;  // where the alias chain ended, with its tag
    bool is_list = false;
    // Octets left under the account's quota, some seconds ago; none: no quota.
    std::optional<std::uint64_t> room;
  };
  Kind kind = Kind::kRemote;
  TenantId tenant;              // of the domain, where it is ours
  std::vector<Target> targets;  // kLocal, kList
};

struct DirectoryOptions {
  // Each of these characters begins a tag: "alice+tag@". Empty: there are no tags.
  std::string tag_separators = "+";
};

// Whom a list reaches.
struct ListExpansion {
  TenantId tenant;
  std::string address;  // of the list, canonical
  std::string bounces;  // its first owner
  std::vector<Resolution::Target> targets;  // accounts and remote addresses, each once
};

// What EXPN shows.
struct ShownMembers {
  std::vector<std::string> members;  // the first of them, as they were given
  std::int64_t total = 0;
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

// How the mail of a domain leaves.
struct SmartHostSettings {
  std::vector<std::string> hosts;  // in the order to try; none: by MX
  std::string username;            // empty: without a login
  std::string password;
  std::string tls;
};

// Answers who is who. Thread-safe.
class DirectoryStore {
 public:
  // Aliases may point at aliases, this deep, and at this many addresses in all; beyond that the
  // mail loops (kMailLoop) or is too widely spread (kTooManyRecipients).
  static constexpr int kMaxAliasDepth = 10;
  static constexpr std::size_t kMaxTargets = 1000;
  // And a list, with all that is listed by its members, at this many.
  static constexpr std::size_t kMaxListTargets = 200000;
  static constexpr int kMaxShownMembers = 1000;

  DirectoryStore(postgres::Database& database, Passwords& passwords,
                 DirectoryOptions options = DirectoryOptions());

  // kBadAddress, kMailLoop, kTooManyRecipients. "alice+tag" is alice where it has no address of its
  // own; an unknown name goes where the domain catches all. postmaster and abuse (RFC 2142) always
  // lead somewhere: to their own address, else to whom the domain names, else to the tenant's first
  // account. Targets in another tenant of this platform are remote: mail between tenants is outside
  // mail.
  Task<absl::StatusOr<Resolution>> Resolve(std::string address);

  // May a message from `sender`, an envelope's reverse-path, go to the list? `proven`: the tenant
  // for which the client has logged in, or none; an address of this platform counts only then. The
  // null path never posts: what has it is a notification. OK, kPostNotAllowed, kNotFound.
  Task<absl::Status> AuthorizePost(std::string list, std::string sender, TenantId proven);
  // Everybody the list reaches, through aliases and lists that are members too. kNotFound.
  Task<absl::StatusOr<ListExpansion>> ExpandList(std::string list);
  // The members of a list or the targets of an alias of the account's tenant, as far as the list's
  // visibility lets the account see them: kPermissionDenied. kNotFound for an account, an unknown
  // address, and what belongs to others.
  Task<absl::StatusOr<ShownMembers>> ShowMembers(Account account, std::string address);

  // Logins (directory_logins.cc). kAuthenticationFailed for whatever is wrong; kAuthenticationBusy.
  // `service` is "smtp", "imap" or "pop3": application passwords are good for some. A name in an
  // alias of a domain is the name in the domain itself.
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
  // with or without a tag, in the domain or an alias of it. No account: any address in a domain of
  // the tenant. OK, kSenderNotAllowed, or, suspended since the login, kAccountDisabled or
  // kDomainSuspended.
  Task<absl::Status> AuthorizeSender(Account account, std::string address);

  // Which servers the mail of a sender in `domain` leaves through; none: by MX. A domain that is
  // not the tenant's has none.
  Task<absl::StatusOr<SmartHostSettings>> FindSmartHosts(TenantId tenant, std::string domain);

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

  struct Search;

  // Adds what one name leads to.
  Task<absl::Status> Visit(RecipientEntry& entry, const std::string& given, Search& search);
  // Goes on from `names` until nothing is open.
  Task<absl::Status> Follow(std::vector<std::string> names, Search& search);
  Task<absl::StatusOr<Resolution>> ResolveAdministrative(TenantId tenant, std::string named);
  Task<absl::StatusOr<std::vector<std::string>>> MembersOf(TenantId tenant, std::string list);
  // The address in the domain itself, where it was given in an alias of it.
  Task<absl::StatusOr<DirectoryAddress>> InMainDomain(DirectoryAddress address);
  // All that names the account of `address`, or the address alone.
  Task<absl::StatusOr<std::vector<std::string>>> NamesOf(TenantId tenant, AccountId account);

  postgres::Database& database_;
  Passwords& passwords_;
  const DirectoryOptions options_;
};

}  // namespace posthorn::mailbox

#endif  // POSTHORN_SERVICES_MAILBOX_DIRECTORY_STORE_H_
