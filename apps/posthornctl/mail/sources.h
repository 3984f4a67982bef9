#ifndef POSTHORN_APPS_POSTHORNCTL_MAIL_SOURCES_H_
#define POSTHORN_APPS_POSTHORNCTL_MAIL_SOURCES_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "apps/posthornctl/mail/importer.h"

namespace posthorn::ctl {

// How a source is read. Messages that were imported under the same label are not imported again,
// wherever the source lies.
struct ImportOptions {
  std::string label;  // empty: that of the kind
  std::string into;   // mailbox that everything goes below; empty: as it was. Of one mbox file: its
                      // mailbox
  std::string ca_file;     // what a server's certificate is checked against; empty: the system's
  bool plaintext = false;  // imap: no TLS, also where the password could be read on the way
};

// The mailbox `name` of a source, where `options` want it.
std::string TargetOf(const ImportOptions& options, const std::string& name);

// Folders with flags (also dovecot-keywords) and the files' times as dates; subscriptions.
absl::Status ImportMaildir(Importer& importer, const std::string& directory,
                           const ImportOptions& options);
// One file into INBOX (or `into`), or the *.mbox of a directory each into its mailbox.
absl::Status ImportMbox(Importer& importer, const std::string& path, const ImportOptions& options);

// imap[s]://user@host[:port]. New messages of every mailbox since the last time, by UIDVALIDITY and
// UID. The password is read as ReadPassword does.
struct ImapSource {
  bool tls = false;
  std::string user;
  std::string host;
  std::string port;
};
// InvalidArgument for anything else.
absl::StatusOr<ImapSource> ParseImapUrl(const std::string& url);
absl::Status ImportImap(Importer& importer, const ImapSource& source, const std::string& password,
                        const ImportOptions& options);

struct ExportOptions {
  std::vector<std::string> mailboxes;  // none: all
};
// Into a directory, which is made. What it has already (of the same UIDVALIDITY) is not written
// again.
absl::Status ExportMaildir(Session& session, const std::string& account,
                           const std::string& directory, const ExportOptions& options);
absl::Status ExportMbox(Session& session, const std::string& account, const std::string& directory,
                        const ExportOptions& options);

}  // namespace posthorn::ctl

#endif  // POSTHORN_APPS_POSTHORNCTL_MAIL_SOURCES_H_
