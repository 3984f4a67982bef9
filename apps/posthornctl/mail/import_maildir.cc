#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "apps/posthornctl/mail/file_io.h"
#include "apps/posthornctl/mail/maildir.h"
#include "apps/posthornctl/mail/sources.h"

namespace posthorn::ctl {
namespace {

struct Found {
  std::string path;
  std::string name;
};

// The files of cur and new, in the order of their names.
absl::StatusOr<std::vector<Found>> FilesOf(const std::string& folder) {
  std::vector<Found> files;
  for (const char* part : {"/cur", "/new"}) {
    std::error_code error;
    std::filesystem::directory_iterator entries(folder + part, error);
    if (error == std::errc::no_such_file_or_directory) continue;
    if (error)
      return absl::FailedPreconditionError(absl::StrCat(folder, part, ": ", error.message()));
    for (const std::filesystem::directory_entry& entry : entries) {
      const std::string name = entry.path().filename().string();
      if (name.empty() || name.front() == '.' || !entry.is_regular_file(error)) continue;
      files.push_back(Found{entry.path().string(), name});
    }
  }
  std::sort(files.begin(), files.end(),
            [](const Found& a, const Found& b) { return ComesBefore(a.name, b.name); });
  return files;
}

// Lines "base keyword keyword": what an export could not put into file names.
std::map<std::string, std::vector<std::string>> MoreKeywords(const std::string& content) {
  std::map<std::string, std::vector<std::string>> more;
  for (const absl::string_view line : absl::StrSplit(content, '\n', absl::SkipEmpty())) {
    std::vector<std::string> words = absl::StrSplit(line, ' ');
    const std::string base = words.front();
    words.erase(words.begin());
    more[base] = std::move(words);
  }
  return more;
}

absl::Status ReadFileInto(const std::string& path, const FileName& name, std::uint64_t size,
                          ImportBody& body) {
  absl::StatusOr<File> file = OpenFile(path, "rb");
  if (!file.ok()) return file.status();
  // Its size is that of the message: every octet is as it was.
  bool raw = name.size == size && name.virtual_size == size;
  bool first = true;
  CrlfMaker crlf;
  for (;;) {
    absl::StatusOr<std::string> piece = ReadPiece(file->get(), path);
    if (!piece.ok()) return piece.status();
    if (piece->empty()) return body.Finish();
    if (std::exchange(first, false) && !raw) {
      const std::size_t end = piece->find('\n');
      raw = end != std::string::npos && end > 0 && (*piece)[end - 1] == '\r';
    }
    absl::Status appended = body.Append(raw ? *piece : crlf.Feed(*piece));
    if (!appended.ok()) return appended;
  }
}

absl::Status ImportFolder(Importer& importer, const std::string& folder, const std::string& source,
                          const std::string& target, const ImportOptions& options) {
  absl::StatusOr<std::vector<Found>> files = FilesOf(folder);
  if (!files.ok()) return files.status();
  const absl::StatusOr<std::string> keywords_file = ReadSmallFile(folder + "/dovecot-keywords");
  const absl::StatusOr<std::string> more_file = ReadSmallFile(folder + "/posthorn-keywords");
  if (!keywords_file.ok()) return keywords_file.status();
  if (!more_file.ok()) return more_file.status();
  const std::vector<std::string> keywords = ParseKeywords(*keywords_file);
  const std::map<std::string, std::vector<std::string>> more = MoreKeywords(*more_file);
  importer.progress().Start(target, files->size());
  for (std::size_t at = 0; at < files->size(); at += Importer::kBatch) {
    const std::size_t end = std::min(files->size(), at + Importer::kBatch);
    std::vector<std::string> keys;
    for (std::size_t i = at; i < end; ++i) {
      const FileName name = ParseFileName((*files)[i].name, keywords);
      keys.push_back(ImportKey({"maildir", options.label, options.into, source, name.base}));
    }
    const absl::StatusOr<std::vector<bool>> known = importer.Known(keys);
    if (!known.ok()) return known.status();
    for (std::size_t i = at; i < end; ++i) {
      const Found& found = (*files)[i];
      if ((*known)[i - at]) {
        importer.Skip(0);
        continue;
      }
      struct stat info {};
      if (stat(found.path.c_str(), &info) != 0) {
        if (errno == ENOENT) continue;  // somebody reads this Maildir
        return FileError(found.path);
      }
      const FileName name = ParseFileName(found.name, keywords);
      ImportItem item;
      item.key = keys[i - at];
      item.mailbox = target;
      item.flags = name.flags;
      item.keywords = name.keywords;
      if (const auto extra = more.find(name.base); extra != more.end()) {
        item.keywords.insert(item.keywords.end(), extra->second.begin(), extra->second.end());
      }
      item.received_micros =
          static_cast<std::int64_t>(info.st_mtim.tv_sec) * 1000000 + info.st_mtim.tv_nsec / 1000;
      ImportBody body(importer.session(), importer.account());
      absl::Status read =
          ReadFileInto(found.path, name, static_cast<std::uint64_t>(info.st_size), body);
      if (!read.ok()) return read;
      if (absl::Status s = importer.Add(std::move(item), body); !s.ok()) return s;
    }
  }
  return absl::OkStatus();
}

}  // namespace

std::string TargetOf(const ImportOptions& options, const std::string& name) {
  return options.into.empty() ? name : absl::StrCat(options.into, "/", name);
}

absl::Status ImportMaildir(Importer& importer, const std::string& directory,
                           const ImportOptions& options) {
  std::set<std::string> folders = {""};
  std::error_code error;
  std::filesystem::directory_iterator entries(directory, error);
  if (error) return absl::FailedPreconditionError(absl::StrCat(directory, ": ", error.message()));
  for (const std::filesystem::directory_entry& entry : entries) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(".") && std::filesystem::is_directory(entry.path() / "cur", error)) {
      folders.insert(name);
    }
  }
  const absl::StatusOr<std::string> subscriptions = ReadSmallFile(directory + "/subscriptions");
  if (!subscriptions.ok()) return subscriptions.status();
  std::set<std::string> subscribed;
  for (const absl::string_view line : absl::StrSplit(*subscriptions, '\n', absl::SkipEmpty())) {
    subscribed.insert(line == "INBOX" ? "" : absl::StrCat(".", line));
  }
  for (const std::string& folder : folders) {
    const std::optional<std::string> mailbox = MailboxOf(folder);
    if (!mailbox.has_value()) {
      return absl::InvalidArgumentError(
          absl::StrCat(directory, "/", folder, ": not the name of a Maildir++ folder"));
    }
    const std::string target = TargetOf(options, *mailbox);
    const bool subscribe = subscriptions->empty() || subscribed.contains(folder);
    if (absl::Status s = importer.EnsureMailbox(target, subscribe); !s.ok()) return s;
    const std::string path = folder.empty() ? directory : absl::StrCat(directory, "/", folder);
    if (absl::Status s = ImportFolder(importer, path, folder, target, options); !s.ok()) return s;
  }
  return importer.Flush();
}

}  // namespace posthorn::ctl
