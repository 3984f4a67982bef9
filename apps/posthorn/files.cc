#include "apps/posthorn/files.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/random.h>
#include <unistd.h>

#include <filesystem>
#include <system_error>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "lib/base/descriptor.h"

namespace posthorn::app {
namespace {

absl::StatusOr<std::string> RandomBytes(std::size_t count) {
  std::string bytes(count, '\0');
  // Up to 256 bytes come whole (getrandom(2)).
  if (getrandom(bytes.data(), count, 0) != static_cast<ssize_t>(count)) {
    return ErrnoError("no random bytes");
  }
  return bytes;
}

}  // namespace

absl::Status ErrnoError(const std::string& what) {
  const int error = errno;
  const std::string text = absl::StrCat(what, ": ", strerror(error));
  if (error == ENOENT) return absl::NotFoundError(text);
  return absl::FailedPreconditionError(text);
}

absl::StatusOr<std::string> ReadDescriptor(int fd) {
  std::string content;
  char buffer[16384];
  off_t offset = 0;
  while (true) {
    const ssize_t got = pread(fd, buffer, sizeof(buffer), offset);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoError("cannot read");
    if (got == 0) return content;
    content.append(buffer, static_cast<std::size_t>(got));
    offset += got;
  }
}

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  const Descriptor fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (fd.get() < 0) return ErrnoError(path);
  // Not ReadDescriptor: files in /proc and pipes have no positions.
  std::string content;
  char buffer[16384];
  while (true) {
    const ssize_t got = read(fd.get(), buffer, sizeof(buffer));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoError(path);
    if (got == 0) return content;
    content.append(buffer, static_cast<std::size_t>(got));
  }
}

absl::Status WriteFile(const std::string& path, std::string_view content, mode_t mode) {
  const std::string temporary = absl::StrCat(path, ".new");
  unlink(temporary.c_str());
  const Descriptor fd(open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
  if (fd.get() < 0) return ErrnoError(temporary);
  fchmod(fd.get(), mode);  // whatever the umask
  while (!content.empty()) {
    const ssize_t put = write(fd.get(), content.data(), content.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return ErrnoError(temporary);
    content.remove_prefix(static_cast<std::size_t>(put));
  }
  if (fsync(fd.get()) != 0 || rename(temporary.c_str(), path.c_str()) != 0) return ErrnoError(path);
  return absl::OkStatus();
}

absl::Status MakeDirectories(const std::string& path, mode_t mode) {
  if (Exists(path)) return absl::OkStatus();
  const std::filesystem::path parent = std::filesystem::path(path).parent_path();
  if (!parent.empty() && parent != path) {
    if (absl::Status s = MakeDirectories(parent.string(), 0755); !s.ok()) return s;
  }
  if (mkdir(path.c_str(), mode) != 0 && errno != EEXIST) return ErrnoError(path);
  chmod(path.c_str(), mode);  // whatever the umask
  return absl::OkStatus();
}

bool Exists(const std::string& path) {
  struct stat info;
  return stat(path.c_str(), &info) == 0;
}

absl::Status RemoveTree(const std::string& path) {
  std::error_code error;
  std::filesystem::remove_all(path, error);
  if (error) return absl::FailedPreconditionError(absl::StrCat(path, ": ", error.message()));
  return absl::OkStatus();
}

std::string AbsolutePath(const std::string& path) {
  std::error_code error;
  const std::filesystem::path absolute = std::filesystem::absolute(path, error);
  if (error) return path;
  std::string text = absolute.lexically_normal().string();
  while (text.size() > 1 && text.back() == '/') text.pop_back();
  return text;
}

absl::StatusOr<std::string> ReadToken(const std::string& path) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0) return ErrnoError(path);
  if ((info.st_mode & 0037) != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, ": holds a token but others may access it: chmod 600 it"));
  }
  absl::StatusOr<std::string> content = ReadFile(path);
  if (!content.ok()) return content.status();
  std::string token = content->substr(0, content->find_first_of("\r\n"));
  if (token.size() < 16) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, ": must hold a token of at least 16 characters in its first line"));
  }
  return token;
}

absl::StatusOr<std::string> ReadOrCreateToken(const std::string& path) {
  if (Exists(path)) return ReadToken(path);
  absl::StatusOr<std::string> random = RandomBytes(32);
  if (!random.ok()) return random.status();
  const std::string token = absl::WebSafeBase64Escape(*random);
  if (absl::Status s = WriteFile(path, absl::StrCat(token, "\n"), 0600); !s.ok()) return s;
  return token;
}

}  // namespace posthorn::app
