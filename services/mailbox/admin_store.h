#ifndef POSTHORN_SERVICES_MAILBOX_ADMIN_STORE_H_
#define POSTHORN_SERVICES_MAILBOX_ADMIN_STORE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lib/base/task.h"
#include "lib/postgres/database.h"
#include "services/mailbox/address.h"
#include "services/mailbox/address_rules.h"
#include "services/mailbox/passwords.h"
#include "services/mailbox/types.h"

namespace posthorn::mailbox {

struct TenantRecord {
  TenantId tenant;
  std::string name;
  absl::Time created_at;
  // Of all accounts together; 0: none. Use is counted where there is one of the limits.
  std::uint64_t quota_bytes = 0;
  std::uint64_t quota_messages = 0;
  std::uint64_t used_bytes = 0;
  std::uint64_t messages = 0;
};
// What is not set stays.
struct TenantChange {
  std::optional<std::uint64_t> quota_bytes;     // 0: none
  std::optional<std::uint64_t> quota_messages;  // 0: none
};
struct DomainRecord {
  TenantId tenant;
  std::string tenant_name;
  std::string name;
  absl::Time created_at;
  std::string alias_of;    // set: it is an alias, and the rest is the other's
  bool suspended = false;
  std::string catch_all;   // empty: unknown names are refused
  std::string postmaster;  // empty: the tenant's first account
  std::vector<std::string> smart_hosts;  // where its mail leaves; none: by MX
  std::string smart_host_username;       // empty: without a login
  std::string smart_host_tls;            // "required", "verified"; empty: as usual
};
// What is not set stays. Empty texts take the setting away.
struct DomainChange {
  std::optional<bool> suspended;
  std::optional<std::string> catch_all;
  std::optional<std::string> postmaster;
  // "host", "host:port", "[address]:port"; at most kMaxSmartHosts.
  std::optional<std::vector<std::string>> smart_hosts;
  // Set with smart_hosts, or else nothing: both or none, and "", "required" or "verified".
  std::string smart_host_username;
  std::string smart_host_password;
  std::string smart_host_tls;
};
struct AccountRecord {
  Account account;
  std::string address;
  std::uint64_t quota_bytes = 0;
  std::uint64_t used_bytes = 0;
  std::uint64_t messages = 0;
  std::uint64_t quota_messages = 0;  // 0: none
  bool disabled = false;
  absl::Time created_at;
  bool app_passwords_required = false;
  TagMode tag_mode = TagMode::kIgnore;
};
// What is not set stays.
struct AccountChange {
  std::optional<bool> suspended;
  std::optional<std::uint64_t> quota_bytes;     // 0: none
  std::optional<std::uint64_t> quota_messages;  // 0: none
  std::optional<TagMode> tag_mode;
};
struct AliasRecord {
  TenantId tenant;
  std::string address;
  std::vector<std::string> targets;
  absl::Time created_at;
};
struct ListRecord {
  TenantId tenant;
  std::string address;
  std::string description;
  std::vector<std::string> owners;
  std::string bounces;  // the first owner, as it was given
  ListPosting posting = ListPosting::kMembers;
  std::vector<std::string> senders;
  ListVisibility visibility = ListVisibility::kOwners;
  std::int64_t members = 0;
  absl::Time created_at;
};
// What is not set stays.
struct ListChange {
  std::optional<std::string> description;
  std::optional<std::vector<std::string>> owners;   // 1 to 20; bounces go to the first
  std::optional<ListPosting> posting;
  std::optional<std::vector<std::string>> senders;  // addresses and "@domain", at most 1,000
  std::optional<ListVisibility> visibility;
  std::string bounces;  // of `owners`, found by the store
};
struct KeyRecord {
  TenantId tenant;
  KeyId key;
  std::string tenant_name;
  std::string description;
  absl::Time created_at;
};
struct AppPasswordRecord {
  std::int64_t id = 0;
  std::string account;  // its address
  std::string description;
  std::vector<std::string> services;  // "smtp", "imap", "pop3"
  absl::Time created_at;
  absl::Time last_used_at = absl::UnixEpoch();  // the epoch: never
};
struct NewAccount {
  NewAccount() = default;
  NewAccount(std::string address_in, std::string password_in, std::uint64_t quota_in,
             std::string password_hash_in = {})
      : address(std::move(address_in)),
        password(std::move(password_in)),
        quota_bytes(quota_in),
        password_hash(std::move(password_hash_in)) {}
  std::string address;
  std::string password;  // both empty: nobody can log in
  std::uint64_t quota_bytes = 0;
  std::string password_hash;  // instead of the password: made by another system (password_hash.h)
};
// A page of a list: at most `limit` records (0: 1,000) after the name or address `after`.
struct Page {
  Page() = default;
  Page(int limit_in, std::string after_in) : limit(limit_in), after(std::move(after_in)) {}
  int limit = 0;
  std::string after;
};

// Changes the directory for an administrator, who may see every tenant. Names that exist answer
// kAlreadyExists, those that don't kNotFound, malformed ones kInvalidArgument or kBadAddress, and
// what still has something below it kInvalidArgument with a text that says so.
// Lists are in the order of names. Thread-safe.
class AdminStore {
 public:
  static constexpr int kMaxPage = 1000;
  static constexpr std::size_t kMaxAliasTargets = 1000;
  static constexpr std::size_t kMaxSmartHosts = 10;
  static constexpr std::size_t kMaxListOwners = 20;
  static constexpr std::size_t kMaxListSenders = 1000;
  static constexpr std::int64_t kMaxListMembers = 100000;
  static constexpr std::size_t kMaxMembersAtOnce = 10000;

  // `tag_separators` as in DirectoryOptions: an account's address has none of them.
  AdminStore(postgres::Database& database, Passwords& passwords,
             std::string tag_separators = "+");

  Task<absl::StatusOr<TenantRecord>> AddTenant(std::string name);
  Task<absl::StatusOr<std::vector<TenantRecord>>> ListTenants(Page page);
  Task<absl::StatusOr<TenantRecord>> GetTenant(std::string name);
  Task<absl::Status> RemoveTenant(std::string name);
  // What the accounts hold already stays, also where it is more than the limit.
  Task<absl::StatusOr<TenantRecord>> SetTenant(std::string name, TenantChange change);

  Task<absl::StatusOr<DomainRecord>> AddDomain(std::string tenant, std::string name);
  Task<absl::StatusOr<std::vector<DomainRecord>>> ListDomains(std::string tenant, Page page);
  Task<absl::StatusOr<DomainRecord>> GetDomain(std::string name);
  Task<absl::Status> RemoveDomain(std::string name);
  // Addresses that are named must exist where they are the tenant's: kNotFound.
  Task<absl::StatusOr<DomainRecord>> SetDomain(std::string name, DomainChange change);

  // `domain` is a domain and no alias itself.
  Task<absl::StatusOr<DomainRecord>> AddDomainAlias(std::string alias, std::string domain);
  // Of one domain, or all.
  Task<absl::StatusOr<std::vector<DomainRecord>>> ListDomainAliases(std::string domain, Page page);
  Task<absl::Status> RemoveDomainAlias(std::string alias);

  // With INBOX and the special mailboxes of RFC 6154: Drafts, Sent, Junk, Trash, Archive.
  Task<absl::StatusOr<AccountRecord>> AddAccount(NewAccount account);
  Task<absl::StatusOr<std::vector<AccountRecord>>> ListAccounts(std::string domain, Page page);
  Task<absl::StatusOr<AccountRecord>> GetAccount(std::string address);
  Task<absl::Status> RemoveAccount(std::string address);
  Task<absl::Status> SetPassword(std::string address, std::string password);
  Task<absl::StatusOr<AccountRecord>> SetAccount(std::string address, AccountChange change);
  // A hash of another system, until the next login replaces it; see ParsePasswordHash.
  Task<absl::Status> SetPasswordHash(std::string address, std::string hash);
  // For ImportAccounts: of the account's password or hash; see Passwords::Make.
  Task<absl::StatusOr<PasswordRecord>> PreparePassword(NewAccount account);
  // Adds those with an OK status, all in one transaction, with the passwords given (empty: nobody
  // can log in); answers a status each. `accounts` outlives the task.
  Task<absl::StatusOr<std::vector<absl::Status>>> ImportAccounts(
      const std::vector<NewAccount>& accounts, std::vector<PasswordRecord> passwords,
      std::vector<absl::Status> statuses);

  // admin_app_passwords.cc. The secret is shown once. Without services it is good for all.
  static constexpr std::int64_t kMaxAppPasswords = 100;  // of an account
  Task<absl::StatusOr<AccountRecord>> RequireAppPasswords(std::string address, bool required);
  Task<absl::StatusOr<std::pair<AppPasswordRecord, std::string>>> AddAppPassword(
      std::string address, std::string description, std::vector<std::string> services);
  Task<absl::StatusOr<std::vector<AppPasswordRecord>>> ListAppPasswords(std::string address);
  Task<absl::StatusOr<AppPasswordRecord>> GetAppPassword(std::int64_t id);
  Task<absl::Status> RemoveAppPassword(std::int64_t id);

  // kInvalidArgument for an alias that would lead back to itself.
  Task<absl::StatusOr<AliasRecord>> AddAlias(std::string address, std::vector<std::string> targets);
  Task<absl::StatusOr<std::vector<AliasRecord>>> ListAliases(std::string domain, Page page);
  Task<absl::StatusOr<AliasRecord>> GetAlias(std::string address);
  Task<absl::Status> RemoveAlias(std::string address);
  // Other targets instead of those it has.
  Task<absl::StatusOr<AliasRecord>> SetAlias(std::string address, std::vector<std::string> targets);

  // `settings` needs owners.
  Task<absl::StatusOr<ListRecord>> AddList(std::string address, ListChange settings);
  Task<absl::StatusOr<std::vector<ListRecord>>> ListLists(std::string domain, Page page);
  Task<absl::StatusOr<ListRecord>> GetList(std::string address);
  Task<absl::StatusOr<ListRecord>> SetList(std::string address, ListChange change);
  Task<absl::Status> RemoveList(std::string address);
  // All or, with an error, none; answers how many were new. Members of the tenant must exist, and
  // none may be a list that this one is a member of.
  Task<absl::StatusOr<std::int64_t>> AddListMembers(std::string address,
                                                    std::vector<std::string> members);
  // Answers how many were members.
  Task<absl::StatusOr<std::int64_t>> RemoveListMembers(std::string address,
                                                       std::vector<std::string> members);
  Task<absl::StatusOr<std::vector<std::string>>> ListMembers(std::string address, Page page);

  // The secret is shown once.
  Task<absl::StatusOr<std::pair<KeyRecord, std::string>>> AddKey(std::string tenant,
                                                                 std::string description);
  Task<absl::StatusOr<std::vector<KeyRecord>>> ListKeys(std::string tenant, Page page);
  Task<absl::StatusOr<KeyRecord>> GetKey(KeyId key);
  Task<absl::Status> RemoveKey(KeyId key);

 private:
  // An address of ours, in the domain itself where it was given in an alias of it.
  struct Located {
    TenantId tenant;
    DirectoryAddress address;
  };
  // An address as it is stored: that of our own in canonical form, others as given.
  struct Stored {
    std::string key;  // what the directory compares
    std::string address;
    bool is_own = false;  // of the tenant asked for
  };
  // kBadAddress, kNotFound.
  Task<absl::StatusOr<Located>> Locate(std::string address);
  // `exist`: those of the tenant must be there.
  Task<absl::StatusOr<std::vector<Stored>>> StoredForms(TenantId tenant,
                                                        std::vector<std::string> addresses,
                                                        bool exist);
  // One address or none, for a setting.
  Task<absl::StatusOr<std::string>> StoredForm(TenantId tenant, std::string address);
  // `sql` stores tenant, address, domain and targets, and answers when the alias was made; no row:
  // there is none.
  Task<absl::StatusOr<AliasRecord>> StoreAlias(std::string address,
                                               std::vector<std::string> targets, const char* sql);
  // kInvalidArgument if following the names comes to `address`.
  Task<absl::Status> CheckLoop(TenantId tenant, std::string address,
                               std::vector<std::string> names);
  // Checks and brings into stored form.
  Task<absl::Status> Prepare(TenantId tenant, ListChange& change);

  // kNotFound.
  Task<absl::StatusOr<TenantId>> FindTenant(std::string name);
  Task<absl::StatusOr<TenantId>> TenantOfDomain(std::string name);
  // The tenant of that name, or all where it is empty.
  Task<absl::StatusOr<std::vector<TenantId>>> TenantsFor(std::string name);
  Task<absl::StatusOr<std::vector<TenantId>>> TenantsForDomain(std::string domain);
  Task<absl::StatusOr<std::int64_t>> NextId();
  Task<absl::StatusOr<Account>> FindAccount(std::string address);
  Task<absl::StatusOr<ScramParameters>> FindScramParameters(std::string address);
  Task<absl::Status> StorePassword(Account account, PasswordRecord record);
  Task<absl::StatusOr<Account>> OwnerOfAppPassword(std::int64_t id);

  postgres::Database& database_;
  Passwords& passwords_;
  const std::string tag_separators_;
};

}  // namespace posthorn::mailbox

#endif  // POSTHORN_SERVICES_MAILBOX_ADMIN_STORE_H_
