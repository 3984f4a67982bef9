#ifndef POSTHORN_APPS_POSTHORNCTL_MAIL_EXPORTER_H_
#define POSTHORN_APPS_POSTHORNCTL_MAIL_EXPORTER_H_

// Includes gRPC: only for the actions.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "apps/posthornctl/mail/file_io.h"
#include "apps/posthornctl/mail/progress.h"
#include "apps/posthornctl/session.h"

namespace posthorn::ctl {

struct ExportItem {
  std::uint32_t uid = 0;
  std::uint32_t flags = 0;
  std::vector<std::string> keywords;
  std::int64_t received_micros = 0;
  std::uint64_t size = 0;
};

// One message, in memory while it is small, else in an unlinked file. Can be read more than once.
class SpooledMessage {
 public:
  absl::Status Append(std::string_view piece);
  absl::Status ForEachPiece(const std::function<absl::Status(std::string_view)>& take);
  std::uint64_t size() const { return size_; }

 private:
  static constexpr std::size_t kInMemory = 1024 * 1024;
  std::string data_;
  File file_;
  std::uint64_t size_ = 0;
};

// Where the messages of one mailbox go.
class ExportTarget {
 public:
  virtual ~ExportTarget() = default;
  // Answers the highest UID that it has already.
  virtual absl::StatusOr<std::uint32_t> Open() = 0;
  virtual absl::Status Write(const ExportItem& item, SpooledMessage& message) = 0;
  // All up to this UID was written.
  virtual absl::Status Checkpoint(std::uint32_t uid) = 0;
  virtual absl::Status Close() = 0;
};

// Reads the mail of an account in bounded pieces.
class Exporter {
 public:
  Exporter(Session& session, std::string account);

  // All of them, or those named. NotFound for a name that is none.
  absl::StatusOr<std::vector<admin::v1::AccountMailbox>> Mailboxes(
      const std::vector<std::string>& names);
  absl::Status Run(const admin::v1::AccountMailbox& mailbox, ExportTarget& target);
  // Says on standard output what was done.
  void Summary();

 private:
  absl::Status Fetch(std::int64_t mailbox, const admin::v1::ExportedMessage& message,
                     SpooledMessage& out);

  Session& session_;
  const std::string account_;
  Progress progress_;
  std::uint64_t messages_ = 0;
  std::uint64_t mailboxes_ = 0;
};

}  // namespace posthorn::ctl

#endif  // POSTHORN_APPS_POSTHORNCTL_MAIL_EXPORTER_H_
