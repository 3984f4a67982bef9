#ifndef POSTHORN_APPS_POSTHORNCTL_ACTIONS_H_
#define POSTHORN_APPS_POSTHORNCTL_ACTIONS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"

// What the commands do: one call of the API (or a few), and its result on standard output. Errors
// are one line without the command's own words.
namespace posthorn::ctl {

class Session;

absl::Status Status(Session& session);

absl::Status AddTenant(Session& session, const std::string& name);
absl::Status ListTenants(Session& session);
absl::Status ShowTenant(Session& session, const std::string& name);
absl::Status RemoveTenant(Session& session, const std::string& name);
// What is not given stays.
struct TenantSettings {
  std::optional<std::uint64_t> quota_octets;
  std::optional<std::uint64_t> quota_messages;
};
absl::Status SetTenant(Session& session, const std::string& name, const TenantSettings& settings);

absl::Status AddDomain(Session& session, const std::string& tenant, const std::string& name);
absl::Status ListDomains(Session& session, const std::string& tenant);
absl::Status ShowDomain(Session& session, const std::string& name);
absl::Status RemoveDomain(Session& session, const std::string& name);
// What is not given stays. "none" and "default" take a setting away.
struct DomainSettings {
  std::string catch_all;
  std::string postmaster;
  std::vector<std::string> smart_hosts;
  std::string smart_host_username;  // the password is read from the standard input
  std::string smart_host_tls;
  bool suspend = false;
  bool resume = false;
};
absl::Status SetDomain(Session& session, const std::string& name, const DomainSettings& settings);

absl::Status AddDomainAlias(Session& session, const std::string& alias, const std::string& domain);
absl::Status ListDomainAliases(Session& session, const std::string& domain);
absl::Status RemoveDomainAlias(Session& session, const std::string& alias);

absl::Status AddAccount(Session& session, const std::string& address, std::uint64_t quota_octets);
absl::Status ListAccounts(Session& session, const std::string& domain);
absl::Status ShowAccount(Session& session, const std::string& address);
absl::Status RemoveAccount(Session& session, const std::string& address);
absl::Status SetPassword(Session& session, const std::string& address);
// What standard input has is the hash of another system.
absl::Status SetPasswordHash(Session& session, const std::string& address);
absl::Status RequireAppPasswords(Session& session, const std::string& address, bool required);
struct AccountSettings {
  std::optional<std::uint64_t> quota_octets;
  std::optional<std::uint64_t> quota_messages;
  std::string tags;  // "ignore", "existing", "create"; empty: as it is
  bool suspend = false;
  bool resume = false;
};
absl::Status SetAccount(Session& session, const std::string& address,
                        const AccountSettings& settings);
// Errors of single rows go to standard error, and make the whole an error in the end.
absl::Status ImportAccounts(Session& session, const std::string& file);

absl::Status AddAlias(Session& session, const std::string& address,
                      const std::vector<std::string>& targets);
absl::Status ListAliases(Session& session, const std::string& domain);
absl::Status ShowAlias(Session& session, const std::string& address);
absl::Status RemoveAlias(Session& session, const std::string& address);
absl::Status SetAlias(Session& session, const std::string& address,
                      const std::vector<std::string>& targets);

// What is not given stays, or is the default of a new list.
struct ListSettings {
  std::vector<std::string> owners;
  std::vector<std::string> senders;  // "none": no longer any
  std::string posting;               // "anyone", "tenant", "members", "owners", "senders"
  std::string visibility;            // "owners", "members", "tenant"
  std::optional<std::string> description;
};
absl::Status AddList(Session& session, const std::string& address, const ListSettings& settings);
absl::Status ListLists(Session& session, const std::string& domain);
absl::Status ShowList(Session& session, const std::string& address);
absl::Status SetList(Session& session, const std::string& address, const ListSettings& settings);
absl::Status RemoveList(Session& session, const std::string& address);
absl::Status ShowListMembers(Session& session, const std::string& address);
// `file` has an address a line, beside those named; "-" is standard input.
absl::Status AddListMembers(Session& session, const std::string& address,
                            const std::vector<std::string>& members, const std::string& file);
absl::Status RemoveListMembers(Session& session, const std::string& address,
                               const std::vector<std::string>& members, const std::string& file);

absl::Status AddKey(Session& session, const std::string& tenant, const std::string& description);
absl::Status ListKeys(Session& session, const std::string& tenant);
absl::Status ShowKey(Session& session, std::int64_t id);
absl::Status RemoveKey(Session& session, std::int64_t id);

// login_actions.cc
absl::Status AddAppPassword(Session& session, const std::string& account,
                            const std::string& description,
                            const std::vector<std::string>& services);
absl::Status ListAppPasswords(Session& session, const std::string& account);
absl::Status ShowAppPassword(Session& session, std::int64_t id);
absl::Status RemoveAppPassword(Session& session, std::int64_t id);
absl::Status ListLockouts(Session& session);
absl::Status ClearLockout(Session& session, const std::string& subject);

// Which queued messages; all conditions that are given hold.
struct QueueSelection {
  std::string message_id;
  std::string tenant;
  std::string destination;
  std::string sender;
  bool all = false;

  bool empty() const {
    return message_id.empty() && tenant.empty() && destination.empty() && sender.empty() && !all;
  }
};
absl::Status ListQueue(Session& session, const QueueSelection& selection);
absl::Status ShowQueued(Session& session, const std::string& message_id);
absl::Status RetryQueue(Session& session, const QueueSelection& selection);
absl::Status CancelQueue(Session& session, const QueueSelection& selection);
absl::Status HoldQueue(Session& session, const QueueSelection& selection);
absl::Status ReleaseQueue(Session& session, const QueueSelection& selection);
absl::Status BounceQueue(Session& session, const QueueSelection& selection,
                         const std::string& reason);
// No hosts: back to routes and MX.
absl::Status RerouteQueue(Session& session, const QueueSelection& selection,
                          const std::vector<std::string>& hosts);
absl::Status SummarizeQueue(Session& session, const QueueSelection& selection);
absl::Status ShowSchedule(Session& session);

// Which deleted messages; all conditions that are given hold.
struct MailSelection {
  std::vector<std::int64_t> ids;
  std::string mailbox;
  std::string since;  // as ParseTime takes it
  std::string until;
  bool all = false;
  std::string destination;  // undelete: empty: where they were
};
// mail_actions.cc
absl::Status ListDeleted(Session& session, const std::string& account,
                         const MailSelection& selection);
absl::Status Undelete(Session& session, const std::string& account,
                      const MailSelection& selection);
struct MailTransferSettings {
  std::string source;                  // import: a path or imap[s]://user@host
  std::string directory;               // export
  std::string format;                  // "maildir", "mbox"; empty: import: what it looks like
  std::vector<std::string> mailboxes;  // export: none: all
  std::string label;
  std::string into;
  std::string ca_file;
  bool plaintext = false;
};
absl::Status ListMailboxes(Session& session, const std::string& account);
absl::Status ImportMail(Session& session, const std::string& account,
                        const MailTransferSettings& settings);
absl::Status ExportMail(Session& session, const std::string& account,
                        const MailTransferSettings& settings);

// Destinations with a limit or anything out of the ordinary; a name: only that site, or the one that
// takes this domain's mail.
absl::Status ListSites(Session& session, const std::string& name);
// 0 seconds: until it is resumed.
absl::Status PauseSite(Session& session, const std::string& pattern, std::int64_t seconds,
                       const std::string& reason);
absl::Status ResumeSite(Session& session, const std::string& pattern);

// Reports about TLS to other domains; a name: only of this domain.
absl::Status ListTlsReports(Session& session, const std::string& domain);
// Makes those due that wait. `day` ("2026-11-26") and `domain` may be empty: all.
absl::Status SendTlsReports(Session& session, const std::string& day, const std::string& domain);

}  // namespace posthorn::ctl

#endif  // POSTHORN_APPS_POSTHORNCTL_ACTIONS_H_
