#include "lib/net/staged_body.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/base/failure.h"
#include "lib/telemetry/log.h"

namespace posthorn::net {
namespace {

// Two steps where O_TMPFILE is not supported; a crash between them leaves an empty file.
int OpenUnlinked(const std::string& directory) {
  int fd = ::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR)) return fd;
  std::string path = directory + "/body-XXXXXX";
  fd = ::mkostemp(path.data(), O_CLOEXEC);
  if (fd >= 0) ::unlink(path.c_str());
  return fd;
}

absl::Status DiskError(const char* what) {
  log::Error("staging", what, {{"error", std::strerror(errno)}});
  return MakeFailure(Failure::kInsufficientStorage);
}

absl::Status WriteFully(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return DiskError("cannot write");
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<StagingArea>> StagingArea::Open(std::string directory,
                                                               std::uint64_t max_octets) {
  if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) {
    return MakeFailure(Failure::kInvalidArgument, absl::StrCat("cannot create ", directory, ": ",
                                                               std::strerror(errno)));
  }
  const int fd = OpenUnlinked(directory);
  if (fd < 0) {
    return MakeFailure(Failure::kInvalidArgument, absl::StrCat("cannot create files in ", directory,
                                                               ": ", std::strerror(errno)));
  }
  ::close(fd);
  return std::unique_ptr<StagingArea>(new StagingArea(std::move(directory), max_octets));
}

StagedBody::~StagedBody() {
  if (fd_ < 0) return;
  ::close(fd_);
  area_.used_.fetch_sub(size_);
}

absl::Status StagedBody::Append(std::string_view bytes) {
  if (bytes.empty()) return absl::OkStatus();
  if (fd_ < 0 && memory_.size() + bytes.size() <= kMemoryOctets) {
    // Grows by doubling, but never beyond what the limit allows.
    if (memory_.capacity() < memory_.size() + bytes.size()) {
      memory_.reserve(std::min(kMemoryOctets,
                               std::max(2 * memory_.capacity(), memory_.size() + bytes.size())));
    }
    memory_.append(bytes);
    size_ = memory_.size();
    return absl::OkStatus();
  }

  // The file's share of the area is what it will hold after this call.
  const std::uint64_t more = fd_ < 0 ? size_ + bytes.size() : bytes.size();
  if (area_.used_.fetch_add(more) + more > area_.max_octets_) {
    area_.used_.fetch_sub(more);
    return MakeFailure(Failure::kInsufficientStorage);
  }
  if (fd_ < 0) {
    const int fd = OpenUnlinked(area_.directory_);
    absl::Status status = fd < 0 ? DiskError("cannot create") : WriteFully(fd, memory_);
    if (!status.ok()) {
      if (fd >= 0) ::close(fd);
      area_.used_.fetch_sub(more);
      return status;
    }
    fd_ = fd;
    std::string().swap(memory_);
  }
  size_ += bytes.size();
  return WriteFully(fd_, bytes);
}

absl::StatusOr<std::string> StagedBody::Read(std::uint64_t offset, std::size_t length) const {
  if (offset >= size_) return std::string();
  length = static_cast<std::size_t>(std::min<std::uint64_t>(length, size_ - offset));
  if (in_memory()) return memory_.substr(static_cast<std::size_t>(offset), length);
  std::string bytes(length, '\0');
  std::size_t done = 0;
  while (done < length) {
    const ssize_t got = ::pread(fd_, bytes.data() + done, length - done,
                                static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return DiskError("cannot read");
    done += static_cast<std::size_t>(got);
  }
  return bytes;
}

}  // namespace posthorn::net
