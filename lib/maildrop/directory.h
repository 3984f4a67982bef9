#ifndef POSTHORN_LIB_MAILDROP_DIRECTORY_H_
#define POSTHORN_LIB_MAILDROP_DIRECTORY_H_

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lib/maildrop/envelope.h"

// The maildrop: a directory where every user of this machine may put mail for the platform while it
// is away. As /tmp it is writable for all and sticky, so that nobody takes away what is another's; it
// is set-group-id besides, so that its files belong to the platform's group, which alone may read
// them with their owner. The owner of a file is who sends the message. Errors name the path;
// absl::NotFoundError where there is no such file or directory.
namespace posthorn::maildrop {

inline constexpr mode_t kDirectoryMode = 03777;

// Makes the directory if it is missing and gives it its mode. By the platform.
absl::Status Prepare(const std::string& directory);

// A file on its way into the directory: nobody sees it before Commit, and without it goes away.
class Writer {
 public:
  // absl::FailedPreconditionError: the directory has other rights than Prepare gives it, so that
  // others could read the message, or the platform could not.
  static absl::StatusOr<Writer> Create(const std::string& directory, const Envelope& envelope);
  Writer(Writer&& other) noexcept;
  Writer& operator=(Writer&&) = delete;
  ~Writer();
  // Octets of the message; its lines end in CRLF.
  absl::Status Append(std::string_view bytes);
  // On disk, for good, and to be seen.
  absl::Status Commit();
  const std::string& name() const { return name_; }

 private:
  Writer(int fd, int directory, std::string name)
      : fd_(fd), directory_(directory), name_(std::move(name)) {}
  int fd_;
  int directory_;
  std::string name_;
};

struct Entry {
  std::string name;
  uid_t owner = 0;
  std::uint64_t octets = 0;  // of the file
  absl::Time spooled_at;
};

// The messages that wait, the oldest first.
absl::StatusOr<std::vector<Entry>> List(const std::string& directory);

// Takes away what writers left behind that did not live to the end, and what is no file.
void RemoveLeftovers(const std::string& directory, absl::Time before);

// A message that waits.
class Reader {
 public:
  // absl::PermissionDeniedError: not readable for this process. kInvalidArgument: no message, or
  // one that cannot be trusted to be its owner's: a link, or put here from elsewhere.
  static absl::StatusOr<Reader> Open(const std::string& directory, const std::string& name);
  Reader(Reader&& other) noexcept;
  Reader& operator=(Reader&&) = delete;
  ~Reader();

  const Entry& entry() const { return entry_; }
  const Envelope& envelope() const { return envelope_; }
  std::uint64_t message_octets() const { return entry_.octets - begin_; }
  // Of the message; shorter at its end.
  absl::StatusOr<std::string> Read(std::uint64_t offset, std::size_t length) const;

 private:
  Reader(int fd, Entry entry) : fd_(fd), entry_(std::move(entry)) {}
  int fd_;
  Entry entry_;
  Envelope envelope_;
  std::uint64_t begin_ = 0;
};

}  // namespace posthorn::maildrop

#endif  // POSTHORN_LIB_MAILDROP_DIRECTORY_H_
