#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "apps/posthornctl/mail/exporter.h"
#include "apps/posthornctl/mail/file_io.h"
#include "apps/posthornctl/mail/maildir.h"
#include "apps/posthornctl/mail/sources.h"

namespace posthorn::ctl {
namespace {

using admin::v1::AccountMailbox;

// ".P<uidvalidity>.posthorn" behind the UID: by it an export that goes on knows its own files.
std::string Mark(std::uint32_t uid_validity) {
  return absl::StrCat(".P", uid_validity, ".posthorn,");
}

// Files appear in cur complete, in the order of their UIDs: what is there up to some UID was
// written.
absl::StatusOr<std::uint32_t> LastUid(const std::string& folder, std::uint32_t uid_validity) {
  const std::string mark = Mark(uid_validity);
  std::uint32_t last = 0;
  for (const char* part : {"/cur", "/new"}) {
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(folder + part, error)) {
      const std::string name = entry.path().filename().string();
      const std::size_t dot = name.find('.');
      std::uint32_t uid = 0;
      if (dot == std::string::npos || !absl::SimpleAtoi(name.substr(0, dot), &uid)) continue;
      if (name.compare(dot, mark.size(), mark) == 0) last = std::max(last, uid);
    }
    if (error)
      return absl::FailedPreconditionError(absl::StrCat(folder, part, ": ", error.message()));
  }
  return last;
}

class MaildirFolder final : public ExportTarget {
 public:
  MaildirFolder(std::string folder, std::uint32_t uid_validity)
      : folder_(std::move(folder)), uid_validity_(uid_validity) {}

  absl::StatusOr<std::uint32_t> Open() override {
    for (const char* part : {"/cur", "/new", "/tmp"}) {
      if (absl::Status s = MakeDirectories(folder_ + part); !s.ok()) return s;
    }
    const absl::StatusOr<std::string> keywords = ReadSmallFile(folder_ + "/dovecot-keywords");
    if (!keywords.ok()) return keywords.status();
    keywords_ = ParseKeywords(*keywords);
    return LastUid(folder_, uid_validity_);
  }

  absl::Status Write(const ExportItem& item, SpooledMessage& message) override {
    const std::string base =
        absl::StrFormat("%010d%sS=%d,W=%d", item.uid, Mark(uid_validity_), item.size, item.size);
    std::vector<std::string> left_over;
    const std::size_t before = keywords_.size();
    const std::string letters = FlagLetters(item.flags, item.keywords, keywords_, left_over);
    // The letters' meaning is there before the first file that uses them.
    if (keywords_.size() != before) {
      absl::Status s = ReplaceFile(folder_ + "/dovecot-keywords", FormatKeywords(keywords_));
      if (!s.ok()) return s;
    }
    if (!left_over.empty()) {
      const std::string path = folder_ + "/posthorn-keywords";
      absl::StatusOr<std::string> content = ReadSmallFile(path);
      if (!content.ok()) return content.status();
      absl::StrAppend(&*content, base);
      for (const std::string& keyword : left_over) absl::StrAppend(&*content, " ", keyword);
      *content += "\n";
      if (absl::Status s = ReplaceFile(path, *content); !s.ok()) return s;
    }
    const std::string temporary = absl::StrCat(folder_, "/tmp/", base);
    absl::StatusOr<File> file = OpenFile(temporary, "wb");
    if (!file.ok()) return file.status();
    absl::Status copied = message.ForEachPiece(
        [&](std::string_view piece) { return WritePiece(file->get(), temporary, piece); });
    if (!copied.ok()) return copied;
    if (std::fflush(file->get()) != 0) return FileError(temporary);
    const std::int64_t micros = item.received_micros;
    const std::int64_t seconds = micros >= 0 ? micros / 1000000 : (micros - 999999) / 1000000;
    struct timespec times[2];
    times[0].tv_sec = times[1].tv_sec = seconds;
    times[0].tv_nsec = times[1].tv_nsec = (micros - seconds * 1000000) * 1000;
    if (futimens(fileno(file->get()), times) != 0) return FileError(temporary);
    file->reset();
    const std::string final_name = absl::StrCat(folder_, "/cur/", base, ":2,", letters);
    if (std::rename(temporary.c_str(), final_name.c_str()) != 0) return FileError(final_name);
    return absl::OkStatus();
  }

  absl::Status Checkpoint(std::uint32_t) override { return absl::OkStatus(); }
  absl::Status Close() override { return absl::OkStatus(); }

 private:
  const std::string folder_;
  const std::uint32_t uid_validity_;
  std::vector<std::string> keywords_;
};

}  // namespace

absl::Status ExportMaildir(Session& session, const std::string& account,
                           const std::string& directory, const ExportOptions& options) {
  Exporter exporter(session, account);
  absl::StatusOr<std::vector<AccountMailbox>> mailboxes = exporter.Mailboxes(options.mailboxes);
  if (!mailboxes.ok()) return mailboxes.status();
  if (absl::Status s = MakeDirectories(directory); !s.ok()) return s;
  std::string subscriptions;
  for (const AccountMailbox& mailbox : *mailboxes) {
    const std::string folder = FolderOf(mailbox.name());
    const std::string path = folder.empty() ? directory : absl::StrCat(directory, "/", folder);
    MaildirFolder target(path, mailbox.uid_validity());
    if (absl::Status s = exporter.Run(mailbox, target); !s.ok()) return s;
    if (!folder.empty()) {
      // What tells a Maildir++ folder from a Maildir.
      if (absl::Status s = ReplaceFile(path + "/maildirfolder", ""); !s.ok()) return s;
    }
    if (mailbox.subscribed()) {
      absl::StrAppend(&subscriptions, folder.empty() ? "INBOX" : folder.substr(1), "\n");
    }
  }
  if (absl::Status s = ReplaceFile(directory + "/subscriptions", subscriptions); !s.ok()) return s;
  exporter.Summary();
  return absl::OkStatus();
}

}  // namespace posthorn::ctl
