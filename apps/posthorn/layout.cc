#include "apps/posthorn/layout.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdint>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "apps/posthorn/files.h"

namespace posthorn::app {
namespace {

// The longest name of a socket in the runtime directory.
constexpr char kLongestSocket[] = "/.s.PGSQL.5432.lock";

bool IsShortEnough(const std::string& directory) {
  return directory.size() + sizeof(kLongestSocket) <= sizeof(sockaddr_un::sun_path);
}

// FNV-1a: names the runtime directory of a data directory, the same at each start.
std::string ShortHash(const std::string& text) {
  std::uint64_t hash = 14695981039346656037ull;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ull;
  return absl::StrFormat("%08x", static_cast<std::uint32_t>(hash ^ (hash >> 32)));
}

// A directory that is `owner`'s (or ours) alone. One that exists must be that already, or be
// empty: nobody's data changes its owner here.
absl::Status MakeOwned(const std::string& path, mode_t mode, const std::optional<User>& owner,
                       const std::string& key) {
  const bool existed = Exists(path);
  if (absl::Status s = MakeDirectories(path, mode); !s.ok()) {
    return absl::FailedPreconditionError(absl::StrCat(key, ": ", std::string(s.message())));
  }
  struct stat info;
  if (lstat(path.c_str(), &info) != 0) return ErrnoError(absl::StrCat(key, ": ", path));
  if (owner.has_value() && info.st_uid != owner->uid) {
    // rmdir fails unless it is empty; so it is asked by making it anew.
    const bool ours_to_give = !existed || rmdir(path.c_str()) == 0;
    if (ours_to_give && existed) {
      if (absl::Status s = MakeDirectories(path, mode); !s.ok()) return s;
    }
    if (!ours_to_give || lchown(path.c_str(), owner->uid, owner->gid) != 0) {
      return absl::FailedPreconditionError(
          absl::StrCat(key, ": ", path, " is not empty and belongs to another user than ",
                       owner->name, ": chown -R ", owner->name, " it, or choose another"));
    }
  }
  if (!CanUse(path, owner)) {
    return absl::FailedPreconditionError(
        absl::StrCat(key, ": ", path, " cannot be used by the user ",
                     owner.has_value() ? owner->name : CurrentUserName()));
  }
  return absl::OkStatus();
}

}  // namespace

std::string RuntimeDirectory(const config::v1::Config& config) {
  if (!config.runtime_dir().empty()) return config.runtime_dir();
  const std::string inside = config.data_dir() + "/run";
  if (IsShortEnough(inside)) return inside;
  if (geteuid() == 0) return absl::StrCat("/run/posthorn-", ShortHash(config.data_dir()));
  return absl::StrCat("/tmp/posthorn-", geteuid(), "-", ShortHash(config.data_dir()));
}

absl::StatusOr<Layout> PrepareDirectories(const config::v1::Config& config,
                                          const std::optional<User>& owner) {
  Layout layout(config.data_dir());
  if (absl::Status s = MakeOwned(layout.data_dir, 0755, owner, "data_dir"); !s.ok()) return s;
  layout.runtime_dir = RuntimeDirectory(config);
  if (!IsShortEnough(layout.runtime_dir)) {
    return absl::InvalidArgumentError(
        absl::StrCat("runtime_dir: ", layout.runtime_dir, " is too long for sockets: at most ",
                     sizeof(sockaddr_un::sun_path) - sizeof(kLongestSocket), " octets"));
  }
  if (absl::Status s = MakeOwned(layout.runtime_dir, 0700, owner, "runtime_dir"); !s.ok()) return s;
  struct stat info;
  const uid_t uid = owner.has_value() ? owner->uid : geteuid();
  if (lstat(layout.runtime_dir.c_str(), &info) != 0 || !S_ISDIR(info.st_mode) ||
      info.st_uid != uid || (info.st_mode & 0022) != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("runtime_dir: ", layout.runtime_dir, " is writable by others"));
  }
  return layout;
}

absl::Status PrepareContents(const Layout& layout) {
  for (const std::string& directory : {layout.redis(), layout.tls(), layout.log()}) {
    // The CA's certificate is for clients of this machine to read.
    const mode_t mode = directory == layout.tls() ? 0755 : 0750;
    if (absl::Status s = MakeDirectories(directory, mode); !s.ok()) {
      return absl::FailedPreconditionError(absl::StrCat("data_dir: ", std::string(s.message())));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<int> LockDataDirectory(const Layout& layout, const std::optional<User>& owner) {
  const int fd = open(layout.lock().c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return ErrnoError(absl::StrCat("data_dir: ", layout.lock()));
  if (owner.has_value() && fchown(fd, owner->uid, owner->gid) != 0) {
    return ErrnoError(absl::StrCat("data_dir: ", layout.lock()));
  }
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    const std::string pid(absl::StripAsciiWhitespace(ReadDescriptor(fd).value_or("")));
    close(fd);
    return absl::FailedPreconditionError(absl::StrCat(
        "data_dir: ", layout.data_dir, " is in use by another posthorn serve, process ", pid));
  }
  const std::string pid = absl::StrCat(getpid(), "\n");
  if (ftruncate(fd, 0) != 0 ||
      pwrite(fd, pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size())) {
    return ErrnoError(absl::StrCat("data_dir: ", layout.lock()));
  }
  return fd;
}

}  // namespace posthorn::app
