// Deleted messages, and moving mail in and out.

#include <algorithm>
#include <filesystem>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "apps/posthornctl/actions.h"
#include "apps/posthornctl/input.h"
#include "apps/posthornctl/mail/importer.h"
#include "apps/posthornctl/mail/sources.h"
#include "apps/posthornctl/show.h"

namespace posthorn::ctl {
namespace {

using admin::v1::AccountMailbox;
using admin::v1::DeletedMessage;
using Stub = Session::Stub;

constexpr int kPage = 1000;

Columns<DeletedMessage> DeletedColumns() {
  return {{"ID", "MAILBOX", "DELETED", "RECEIVED", "SIZE", "FROM", "SUBJECT"},
          [](const DeletedMessage& m) {
            return std::vector<std::string>{absl::StrCat(m.deleted_id()),
                                            m.mailbox(),
                                            FormatTime(m.deleted_at()),
                                            FormatTime(m.received_at()),
                                            FormatOctets(m.size()),
                                            m.from(),
                                            m.subject()};
          }};
}

Columns<AccountMailbox> MailboxColumns() {
  return {{"NAME", "MESSAGES", "SIZE", "USE", "SUBSCRIBED"}, [](const AccountMailbox& m) {
            return std::vector<std::string>{
                m.name(), absl::StrCat(m.messages()), FormatOctets(m.size()),
                m.special_use().empty() ? "-" : m.special_use(), m.subscribed() ? "yes" : "no"};
          }};
}

absl::StatusOr<std::vector<DeletedMessage>> AllDeleted(Session& session, const std::string& account,
                                                       const MailSelection& selection) {
  admin::v1::ListDeletedRequest request;
  request.set_account(account);
  request.set_mailbox(selection.mailbox);
  request.set_limit(kPage);
  const absl::Time now = absl::Now();
  if (!selection.since.empty()) {
    const absl::StatusOr<absl::Time> since = ParseTime(selection.since, now);
    if (!since.ok()) return since.status();
    request.set_since(absl::ToUnixSeconds(*since));
  }
  if (!selection.until.empty()) {
    const absl::StatusOr<absl::Time> until = ParseTime(selection.until, now);
    if (!until.ok()) return until.status();
    request.set_until(absl::ToUnixSeconds(*until));
  }
  std::vector<DeletedMessage> all;
  for (;;) {
    const auto page = session.Call(&Stub::ListDeleted, request);
    if (!page.ok()) return page.status();
    all.insert(all.end(), page->messages().begin(), page->messages().end());
    if (page->messages_size() < kPage) return all;
    request.set_after(all.back().deleted_id());
  }
}

bool LooksLikeMaildir(const std::string& path) {
  std::error_code error;
  return std::filesystem::is_directory(std::filesystem::path(path) / "cur", error);
}

}  // namespace

absl::Status ListDeleted(Session& session, const std::string& account,
                         const MailSelection& selection) {
  const absl::StatusOr<std::vector<DeletedMessage>> all = AllDeleted(session, account, selection);
  if (!all.ok()) return all.status();
  ShowList(session, DeletedColumns(), *all);
  return absl::OkStatus();
}

absl::Status Undelete(Session& session, const std::string& account,
                      const MailSelection& selection) {
  const bool filtered =
      !selection.mailbox.empty() || !selection.since.empty() || !selection.until.empty();
  std::vector<std::int64_t> ids = selection.ids;
  if (ids.empty()) {
    if (!filtered && !selection.all) {
      return absl::InvalidArgumentError("say which: ids, --mailbox, --since, --until or --all");
    }
    const absl::StatusOr<std::vector<DeletedMessage>> all = AllDeleted(session, account, selection);
    if (!all.ok()) return all.status();
    for (const DeletedMessage& message : *all) ids.push_back(message.deleted_id());
  } else if (filtered || selection.all) {
    return absl::InvalidArgumentError("either ids, or --mailbox, --since, --until or --all");
  }
  std::int64_t restored = 0;
  for (std::size_t at = 0; at < ids.size(); at += kPage) {
    admin::v1::UndeleteRequest request;
    request.set_account(account);
    request.set_mailbox(selection.destination);
    for (std::size_t i = at; i < std::min<std::size_t>(ids.size(), at + kPage); ++i) {
      request.add_deleted_ids(ids[i]);
    }
    const auto response = session.Call(&Stub::Undelete, request);
    if (!response.ok()) {
      const std::string done = restored > 0 ? absl::StrCat(" (", restored, " were restored)") : "";
      return absl::Status(response.status().code(),
                          absl::StrCat(response.status().message(), done));
    }
    restored += response->restored();
  }
  if (restored == 0) return absl::NotFoundError("no such deleted message");
  std::cout << (session.json() ? absl::StrCat("{\"restored\": ", restored, "}")
                               : absl::StrCat("restored ", restored))
            << "\n";
  return absl::OkStatus();
}

absl::Status ListMailboxes(Session& session, const std::string& account) {
  admin::v1::ListAccountMailboxesRequest request;
  request.set_account(account);
  const auto response = session.Call(&Stub::ListAccountMailboxes, request);
  if (!response.ok()) return response.status();
  ShowList(session, MailboxColumns(),
           std::vector<AccountMailbox>(response->mailboxes().begin(), response->mailboxes().end()));
  return absl::OkStatus();
}

absl::Status ImportMail(Session& session, const std::string& account,
                        const MailTransferSettings& settings) {
  ImportOptions options;
  options.label = settings.label;
  options.into = settings.into;
  options.ca_file = settings.ca_file;
  options.plaintext = settings.plaintext;
  Importer importer(session, account);
  absl::Status status;
  if (absl::StrContains(settings.source, "://")) {
    const absl::StatusOr<ImapSource> source = ParseImapUrl(settings.source);
    if (!source.ok()) return source.status();
    const absl::StatusOr<std::string> password =
        ReadPassword(absl::StrCat(source->user, " at ", source->host), false);
    if (!password.ok()) return password.status();
    status = ImportImap(importer, *source, *password, options);
  } else if (settings.format == "maildir" ||
             (settings.format.empty() && LooksLikeMaildir(settings.source))) {
    status = ImportMaildir(importer, settings.source, options);
  } else {
    status = ImportMbox(importer, settings.source, options);
  }
  importer.progress().Clear();
  if (!status.ok()) return status;
  std::cout << importer.Summary() << "\n";
  return absl::OkStatus();
}

absl::Status ExportMail(Session& session, const std::string& account,
                        const MailTransferSettings& settings) {
  ExportOptions options;
  options.mailboxes = settings.mailboxes;
  return settings.format == "mbox" ? ExportMbox(session, account, settings.directory, options)
                                   : ExportMaildir(session, account, settings.directory, options);
}

}  // namespace posthorn::ctl
