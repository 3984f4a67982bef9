#include <unistd.h>

#include <filesystem>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "apps/posthornctl/mail/exporter.h"
#include "apps/posthornctl/mail/file_io.h"
#include "apps/posthornctl/mail/mbox.h"
#include "apps/posthornctl/mail/sources.h"

namespace posthorn::ctl {
namespace {

using admin::v1::AccountMailbox;

// Appends to a file. Beside it lies ".NAME.posthorn" with UIDVALIDITY, the last UID and the file's
// size then: an interrupted export goes on from there.
class MboxFile final : public ExportTarget {
 public:
  MboxFile(const std::string& directory, const std::string& mailbox, std::uint32_t uid_validity)
      : uid_validity_(uid_validity) {
    const std::filesystem::path path =
        std::filesystem::path(directory) / (MboxPathOf(mailbox) + ".mbox");
    path_ = path.string();
    state_ =
        (path.parent_path() / absl::StrCat(".", path.filename().string(), ".posthorn")).string();
  }

  absl::StatusOr<std::uint32_t> Open() override {
    absl::Status made = MakeDirectories(std::filesystem::path(path_).parent_path().string());
    if (!made.ok()) return made;
    const absl::StatusOr<std::string> state = ReadSmallFile(state_);
    if (!state.ok()) return state.status();
    const std::vector<std::string> words = absl::StrSplit(*state, absl::ByAnyChar(" \n"));
    std::uint32_t uid_validity = 0;
    std::uint32_t uid = 0;
    std::int64_t size = 0;
    const bool readable = words.size() >= 3 && absl::SimpleAtoi(words[0], &uid_validity) &&
                          absl::SimpleAtoi(words[1], &uid) && absl::SimpleAtoi(words[2], &size);
    const bool goes_on = readable && uid_validity == uid_validity_;
    std::error_code error;
    if (!goes_on && std::filesystem::exists(path_, error)) {
      return absl::AlreadyExistsError(
          absl::StrCat(path_, ": is there already and not of this mailbox"));
    }
    absl::StatusOr<File> file = OpenFile(path_, "ab");
    if (!file.ok()) return file.status();
    file_ = *std::move(file);
    if (!goes_on) {
      uid = 0;
      size = 0;
    }
    // What was written behind the last note is written again.
    if (ftruncate(fileno(file_.get()), size) != 0) return FileError(path_);
    if (std::fseek(file_.get(), 0, SEEK_END) != 0) return FileError(path_);
    if (absl::Status s = Checkpoint(uid); !s.ok()) return s;
    return uid;
  }

  absl::Status Write(const ExportItem& item, SpooledMessage& message) override {
    LineEnds ends;
    absl::Status looked = message.ForEachPiece([&](std::string_view piece) {
      ends.Feed(piece);
      return absl::OkStatus();
    });
    if (!looked.ok()) return looked;
    MboxMeta meta;
    meta.flags = item.flags;
    meta.keywords = item.keywords;
    meta.received_micros = item.received_micros;
    meta.octets = item.size;
    meta.crlf = ends.AllCrlf();
    if (absl::Status s = WritePiece(file_.get(), path_, MboxHead(meta)); !s.ok()) return s;
    MboxQuoter quoter(meta.crlf);
    absl::Status written = message.ForEachPiece(
        [&](std::string_view piece) { return WritePiece(file_.get(), path_, quoter.Feed(piece)); });
    if (!written.ok()) return written;
    return WritePiece(file_.get(), path_, quoter.Finish());
  }

  absl::Status Checkpoint(std::uint32_t uid) override {
    if (std::fflush(file_.get()) != 0) return FileError(path_);
    const std::int64_t size = ftello(file_.get());
    if (size < 0) return FileError(path_);
    return ReplaceFile(state_, absl::StrCat(uid_validity_, " ", uid, " ", size, "\n"));
  }

  absl::Status Close() override { return CloseWritten(std::move(file_), path_); }

 private:
  const std::uint32_t uid_validity_;
  std::string path_;
  std::string state_;
  File file_;
};

}  // namespace

absl::Status ExportMbox(Session& session, const std::string& account, const std::string& directory,
                        const ExportOptions& options) {
  Exporter exporter(session, account);
  absl::StatusOr<std::vector<AccountMailbox>> mailboxes = exporter.Mailboxes(options.mailboxes);
  if (!mailboxes.ok()) return mailboxes.status();
  for (const AccountMailbox& mailbox : *mailboxes) {
    MboxFile target(directory, mailbox.name(), mailbox.uid_validity());
    if (absl::Status s = exporter.Run(mailbox, target); !s.ok()) return s;
  }
  exporter.Summary();
  return absl::OkStatus();
}

}  // namespace posthorn::ctl
