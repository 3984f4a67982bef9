#include "lib/maildrop/directory.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "lib/base/descriptor.h"
#include "lib/base/failure.h"
#include "lib/base/ids.h"

namespace posthorn::maildrop {
namespace {

absl::Status ErrnoStatus(int error, const std::string& path) {
  const std::string text = absl::StrCat(path, ": ", std::strerror(error));
  switch (error) {
    case ENOENT: return absl::NotFoundError(text);
    case EACCES:
    case EPERM:
    case EROFS: return absl::PermissionDeniedError(text);
    case ENOSPC:
    case EDQUOT: return absl::ResourceExhaustedError(text);
    default: return absl::UnavailableError(text);
  }
}

absl::Status Untrusted(const std::string& name, const char* why) {
  return MakeFailure(Failure::kInvalidArgument, absl::StrCat(name, ": ", why));
}

std::string Hidden(const std::string& name) { return "." + name; }

int OpenDirectory(const std::string& directory) {
  return open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

absl::Status WriteAll(int fd, std::string_view bytes, const std::string& name) {
  while (!bytes.empty()) {
    const ssize_t put = write(fd, bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return ErrnoStatus(errno, name);
    bytes.remove_prefix(static_cast<std::size_t>(put));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> ReadAt(int fd, std::uint64_t offset, std::size_t length,
                                   const std::string& name) {
  std::string bytes(length, '\0');
  std::size_t have = 0;
  while (have < length) {
    const ssize_t got =
        pread(fd, bytes.data() + have, length - have, static_cast<off_t>(offset + have));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoStatus(errno, name);
    if (got == 0) break;
    have += static_cast<std::size_t>(got);
  }
  bytes.resize(have);
  return bytes;
}

absl::Time ModificationTime(const struct stat& info) {
  return absl::TimeFromTimespec(info.st_mtim);
}

// Goes through a directory by its open descriptor: fn(name, information).
template <typename Function>
absl::Status ForEach(const std::string& directory, Function fn) {
  const int fd = OpenDirectory(directory);
  if (fd < 0) return ErrnoStatus(errno, directory);
  DIR* const raw = fdopendir(fd);
  if (raw == nullptr) {
    close(fd);
    return ErrnoStatus(errno, directory);
  }
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(raw, closedir);
  while (const dirent* entry = readdir(raw)) {
    const std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    struct stat info;
    if (fstatat(fd, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0) fn(fd, name, info);
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status Prepare(const std::string& directory) {
  if (mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) return ErrnoStatus(errno, directory);
  const Descriptor fd(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  struct stat info;
  if (fd.get() < 0 || fstat(fd.get(), &info) != 0) return ErrnoStatus(errno, directory);
  if ((info.st_mode & 07777) == kDirectoryMode) return absl::OkStatus();
  if (fchmod(fd.get(), kDirectoryMode) != 0) return ErrnoStatus(errno, directory);
  return absl::OkStatus();
}

absl::StatusOr<Writer> Writer::Create(const std::string& directory, const Envelope& envelope) {
  const absl::StatusOr<std::string> text = FormatEnvelope(envelope);
  if (!text.ok()) return text.status();
  Descriptor parent(OpenDirectory(directory));
  struct stat info;
  if (parent.get() < 0 || fstat(parent.get(), &info) != 0) return ErrnoStatus(errno, directory);
  // Our own directory needs no group to read what is in it.
  const bool own = info.st_uid == geteuid();
  const bool shared = (info.st_mode & 0022) != 0;
  if ((shared && (info.st_mode & S_ISVTX) == 0) || (!own && (info.st_mode & S_ISGID) == 0)) {
    return absl::FailedPreconditionError(
        absl::StrCat(directory, ": must have the mode 3777: the platform gives it at its start"));
  }
  const std::string name = MessageId::Generate(absl::Now()).ToString();
  const int fd = openat(parent.get(), Hidden(name).c_str(),
                        O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) return ErrnoStatus(errno, directory);
  Writer writer(fd, parent.Release(), name);
  // Whatever the umask.
  if (!own && fchmod(fd, 0640) != 0) return ErrnoStatus(errno, directory);
  if (absl::Status s = writer.Append(*text); !s.ok()) return s;
  return writer;
}

Writer::Writer(Writer&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      directory_(std::exchange(other.directory_, -1)),
      name_(std::move(other.name_)) {}

Writer::~Writer() {
  if (fd_ >= 0) {
    unlinkat(directory_, Hidden(name_).c_str(), 0);
    close(fd_);
  }
  if (directory_ >= 0) close(directory_);
}

absl::Status Writer::Append(std::string_view bytes) { return WriteAll(fd_, bytes, name_); }

absl::Status Writer::Commit() {
  if (fsync(fd_) != 0 ||
      renameat(directory_, Hidden(name_).c_str(), directory_, name_.c_str()) != 0) {
    return ErrnoStatus(errno, name_);
  }
  close(std::exchange(fd_, -1));
  if (fsync(directory_) != 0) {
    // Whether it will be there after a crash is not known; so it must not be there now.
    const int error = errno;
    unlinkat(directory_, name_.c_str(), 0);
    return ErrnoStatus(error, name_);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Entry>> List(const std::string& directory) {
  std::vector<Entry> entries;
  const absl::Status status =
      ForEach(directory, [&](int, const std::string& name, const struct stat& info) {
        if (name.front() == '.' || !S_ISREG(info.st_mode)) return;
        Entry entry;
        entry.name = name;
        entry.owner = info.st_uid;
        entry.octets = static_cast<std::uint64_t>(info.st_size);
        entry.spooled_at = ModificationTime(info);
        entries.push_back(std::move(entry));
      });
  if (!status.ok()) return status;
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::pair(a.spooled_at, a.name) < std::pair(b.spooled_at, b.name);
  });
  return entries;
}

void RemoveLeftovers(const std::string& directory, absl::Time before) {
  // What cannot be removed stays for who looks at the directory.
  (void)ForEach(directory, [before](int fd, const std::string& name, const struct stat& info) {
    if (S_ISDIR(info.st_mode) || (S_ISREG(info.st_mode) && name.front() != '.')) return;
    if (ModificationTime(info) < before) unlinkat(fd, name.c_str(), 0);
  });
}

absl::StatusOr<Reader> Reader::Open(const std::string& directory, const std::string& name) {
  if (name.empty() || name.front() == '.' || name.find('/') != std::string::npos) {
    return Untrusted(name, "not a message of a maildrop");
  }
  const Descriptor parent(OpenDirectory(directory));
  struct stat parent_info;
  if (parent.get() < 0 || fstat(parent.get(), &parent_info) != 0) {
    return ErrnoStatus(errno, directory);
  }
  // Not blocking: a FIFO has no writer.
  Descriptor fd(openat(parent.get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (fd.get() < 0) {
    if (errno == ELOOP) return Untrusted(name, "a symbolic link");
    return ErrnoStatus(errno, name);
  }
  struct stat info;
  if (fstat(fd.get(), &info) != 0) return ErrnoStatus(errno, name);
  if (!S_ISREG(info.st_mode)) return Untrusted(name, "not a file");
  if (info.st_nlink != 1) return Untrusted(name, "has other names elsewhere");
  // A file that was made here has the directory's group: nobody moved another's file here.
  if ((parent_info.st_mode & S_ISGID) != 0 && info.st_gid != parent_info.st_gid) {
    return Untrusted(name, "was not made in this directory");
  }
  Entry entry;
  entry.name = name;
  entry.owner = info.st_uid;
  entry.octets = static_cast<std::uint64_t>(info.st_size);
  entry.spooled_at = ModificationTime(info);
  Reader reader(fd.Release(), std::move(entry));
  std::string front;
  for (std::size_t length = 16 * 1024;; length *= 4) {
    absl::StatusOr<std::string> bytes = ReadAt(reader.fd_, 0, length, name);
    if (!bytes.ok()) return bytes.status();
    front = *std::move(bytes);
    if (front.find("\n\n") != std::string::npos || front.size() < length ||
        length > kMaxEnvelopeOctets) {
      break;
    }
  }
  absl::StatusOr<ParsedEnvelope> parsed = ParseEnvelope(front);
  if (!parsed.ok()) return Untrusted(name, std::string(parsed.status().message()).c_str());
  reader.envelope_ = std::move(parsed->envelope);
  reader.begin_ = parsed->octets;
  return reader;
}

Reader::Reader(Reader&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      entry_(std::move(other.entry_)),
      envelope_(std::move(other.envelope_)),
      begin_(other.begin_) {}

Reader::~Reader() {
  if (fd_ >= 0) close(fd_);
}

absl::StatusOr<std::string> Reader::Read(std::uint64_t offset, std::size_t length) const {
  const std::uint64_t size = message_octets();
  if (offset >= size) return std::string();
  return ReadAt(fd_, begin_ + offset, std::min<std::uint64_t>(length, size - offset), entry_.name);
}

}  // namespace posthorn::maildrop
