#include <openssl/evp.h>

#include <algorithm>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "apps/posthornctl/mail/file_io.h"
#include "apps/posthornctl/mail/mbox.h"
#include "apps/posthornctl/mail/sources.h"

namespace posthorn::ctl {
namespace {

// Of lines that may be a From line; of longer ones only so much is kept.
constexpr std::size_t kMaxFromLine = 1024;

// Where a message lies in the file, and what its octets there are.
struct Place {
  std::int64_t begin = 0;  // behind the From line
  std::int64_t end = 0;
  std::int64_t received = 0;  // seconds; 0: unknown
  std::string hash;
};

class Hash {
 public:
  Hash() : context_(EVP_MD_CTX_new()) { EVP_DigestInit_ex(context_, EVP_sha256(), nullptr); }
  ~Hash() { EVP_MD_CTX_free(context_); }
  Hash(const Hash&) = delete;
  Hash& operator=(const Hash&) = delete;
  void Update(std::string_view data) { EVP_DigestUpdate(context_, data.data(), data.size()); }
  std::string Finish() {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    EVP_DigestFinal_ex(context_, digest, &size);
    EVP_DigestInit_ex(context_, EVP_sha256(), nullptr);
    return std::string(reinterpret_cast<const char*>(digest), size);
  }

 private:
  EVP_MD_CTX* const context_;
};

// Finds the messages of a file one after another, in one pass: a line "From " at the start or
// behind an empty line begins one.
class Scanner {
 public:
  Scanner(std::FILE* file, std::string path) : file_(file), path_(std::move(path)) {}

  // False: there are no more.
  absl::StatusOr<bool> Next(Place& place) {
    for (;;) {
      std::string line;
      bool ends = false;
      const std::int64_t start = position_;
      absl::StatusOr<bool> more = ReadLine(line, ends);
      if (!more.ok()) return more.status();
      const bool is_from = *more && after_empty_ && IsFromLine(line);
      if (!*more || is_from) {
        const bool had = in_message_;
        if (had) {
          place.begin = begin_;
          place.end = start;
          place.received = received_;
          place.hash = hash_.Finish();
        }
        in_message_ = is_from;
        if (is_from) {
          // The rest of a From line too long to be kept is part of it.
          while (!ends) {
            std::string rest;
            absl::StatusOr<bool> read = ReadLine(rest, ends);
            if (!read.ok()) return read.status();
            if (!*read) break;
          }
          begin_ = position_;
          received_ = TimeOfFromLine(line.substr(0, line.find_last_not_of("\r\n") + 1)).value_or(0);
          after_empty_ = false;
        }
        if (had) return true;
        if (!*more) return false;
        continue;
      }
      if (in_message_) hash_.Update(line);
      if (!in_message_ && line != "\n" && line != "\r\n") {
        return absl::InvalidArgumentError(absl::StrCat(path_, ": not an mbox file"));
      }
      after_empty_ = at_line_start_ && (line == "\n" || line == "\r\n");
      at_line_start_ = ends;
    }
  }

 private:
  // A line, or the next part of a long one.
  absl::StatusOr<bool> ReadLine(std::string& line, bool& ends) {
    for (;;) {
      const std::size_t feed = buffer_.find('\n', at_);
      if (feed != std::string::npos || buffer_.size() - at_ >= kMaxFromLine || end_) {
        const std::size_t size = feed == std::string::npos ? buffer_.size() - at_ : feed + 1 - at_;
        line = buffer_.substr(at_, size);
        at_ += size;
        position_ += static_cast<std::int64_t>(size);
        ends = feed != std::string::npos || end_;
        return !line.empty();
      }
      buffer_.erase(0, at_);
      at_ = 0;
      absl::StatusOr<std::string> piece = ReadPiece(file_, path_);
      if (!piece.ok()) return piece.status();
      end_ = piece->empty();
      buffer_ += *piece;
    }
  }

  std::FILE* const file_;
  const std::string path_;
  std::string buffer_;
  std::size_t at_ = 0;
  bool end_ = false;
  std::int64_t position_ = 0;
  bool in_message_ = false;
  bool after_empty_ = true;
  bool at_line_start_ = true;
  std::int64_t begin_ = 0;
  std::int64_t received_ = 0;
  Hash hash_;
};

absl::Status ReadPlace(std::FILE* file, const std::string& path, const Place& place,
                       MboxReader& reader, ImportBody& body) {
  if (fseeko(file, place.begin, SEEK_SET) != 0) return FileError(path);
  auto left = static_cast<std::uint64_t>(place.end - place.begin);
  while (left > 0) {
    absl::StatusOr<std::string> piece = ReadPiece(file, path);
    if (!piece.ok()) return piece.status();
    if (piece->empty()) break;
    piece->resize(std::min<std::uint64_t>(piece->size(), left));
    left -= piece->size();
    if (absl::Status s = body.Append(reader.Feed(*piece)); !s.ok()) return s;
  }
  if (absl::Status s = body.Append(reader.Finish()); !s.ok()) return s;
  return body.Finish();
}

absl::Status ImportFile(Importer& importer, const std::string& path, const std::string& target,
                        const ImportOptions& options) {
  if (absl::Status s = importer.EnsureMailbox(target, true); !s.ok()) return s;
  importer.progress().Start(target, 0);
  // One to look ahead, one to read with.
  absl::StatusOr<File> scanned = OpenFile(path, "rb");
  if (!scanned.ok()) return scanned.status();
  absl::StatusOr<File> file = OpenFile(path, "rb");
  if (!file.ok()) return file.status();
  Scanner scanner(scanned->get(), path);
  bool more = true;
  while (more) {
    std::vector<Place> places;
    std::vector<std::string> keys;
    while (places.size() < Importer::kBatch) {
      Place place;
      absl::StatusOr<bool> found = scanner.Next(place);
      if (!found.ok()) return found.status();
      more = *found;
      if (!more) break;
      keys.push_back(
          ImportKey({"mbox", options.label, target, absl::StrCat(place.begin), place.hash}));
      places.push_back(std::move(place));
    }
    if (places.empty()) break;
    const absl::StatusOr<std::vector<bool>> known = importer.Known(keys);
    if (!known.ok()) return known.status();
    for (std::size_t i = 0; i < places.size(); ++i) {
      if ((*known)[i]) {
        importer.Skip(0);
        continue;
      }
      MboxReader reader;
      ImportBody body(importer.session(), importer.account());
      absl::Status read = ReadPlace(file->get(), path, places[i], reader, body);
      if (!read.ok()) return read;
      ImportItem item;
      item.key = keys[i];
      item.mailbox = target;
      item.flags = reader.meta().flags;
      item.keywords = reader.meta().keywords;
      item.received_micros = reader.meta().received_micros != 0 ? reader.meta().received_micros
                                                                : places[i].received * 1000000;
      if (absl::Status s = importer.Add(std::move(item), body); !s.ok()) return s;
    }
  }
  return importer.Flush();
}

}  // namespace

absl::Status ImportMbox(Importer& importer, const std::string& path, const ImportOptions& options) {
  std::error_code error;
  if (!std::filesystem::is_directory(path, error)) {
    return ImportFile(importer, path, options.into.empty() ? "INBOX" : options.into, options);
  }
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(path, error)) {
    const std::filesystem::path& file = entry.path();
    if (entry.is_regular_file(error) && file.extension() == ".mbox" &&
        !file.filename().string().starts_with(".")) {
      files.push_back(file.string());
    }
  }
  if (error) return absl::FailedPreconditionError(absl::StrCat(path, ": ", error.message()));
  if (files.empty()) return absl::NotFoundError(absl::StrCat(path, ": no *.mbox files"));
  std::sort(files.begin(), files.end());
  for (const std::string& file : files) {
    std::string name = std::filesystem::path(file).lexically_relative(path).string();
    name.resize(name.size() - std::string_view(".mbox").size());
    const std::string target = TargetOf(options, MailboxOfMboxPath(name));
    if (absl::Status s = ImportFile(importer, file, target, options); !s.ok()) return s;
  }
  return absl::OkStatus();
}

}  // namespace posthorn::ctl
