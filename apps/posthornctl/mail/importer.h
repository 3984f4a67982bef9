#ifndef POSTHORN_APPS_POSTHORNCTL_MAIL_IMPORTER_H_
#define POSTHORN_APPS_POSTHORNCTL_MAIL_IMPORTER_H_

// Includes gRPC: only for the actions.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "apps/posthornctl/mail/progress.h"
#include "apps/posthornctl/session.h"

namespace posthorn::ctl {

// What identifies a message in its source, as the 16 octets the API takes. The parts cannot be
// confused with each other.
std::string ImportKey(const std::vector<std::string>& parts);

struct ImportItem {
  std::string key;
  std::string mailbox;
  std::uint32_t flags = 0;
  std::vector<std::string> keywords;
  std::int64_t received_micros = 0;
};

// A message on its way to the API, in pieces: held while it is small, streamed where it is not.
class ImportBody {
 public:
  ImportBody(Session& session, std::string account);
  ~ImportBody();
  absl::Status Append(std::string_view piece);
  absl::Status Finish();
  std::uint64_t size() const { return size_; }
  // After Finish: the message, or the hash of what was streamed.
  std::string& data() { return data_; }
  const std::string& sha256() const { return sha256_; }

 private:
  struct Upload;
  absl::Status Send(std::string_view piece);

  Session& session_;
  const std::string account_;
  std::string data_;
  std::string sha256_;
  std::uint64_t size_ = 0;
  std::unique_ptr<Upload> upload_;
};

// Brings messages into an account, in batches. What the account has imported before is left out.
class Importer {
 public:
  static constexpr std::size_t kBatch = 500;

  Importer(Session& session, std::string account);

  absl::Status EnsureMailbox(const std::string& name, bool subscribe);
  // At most 1,000 keys.
  absl::StatusOr<std::vector<bool>> Known(const std::vector<std::string>& keys);
  // Counts one that is known already.
  void Skip(std::uint64_t octets);
  // `body` is finished.
  absl::Status Add(ImportItem item, ImportBody& body);
  // Has keys remembered with the next Flush.
  void Remember(std::string key) { *request_.add_keys() = std::move(key); }
  absl::Status Flush();

  Session& session() { return session_; }
  const std::string& account() const { return account_; }
  Progress& progress() { return progress_; }
  // What was done, for people or programs.
  std::string Summary() const;

 private:
  Session& session_;
  const std::string account_;
  Progress progress_;
  admin::v1::ImportMessagesRequest request_;
  std::size_t request_octets_ = 0;
  std::int64_t stored_ = 0;
  std::int64_t known_ = 0;
  std::int64_t mailboxes_ = 0;
};

}  // namespace posthorn::ctl

#endif  // POSTHORN_APPS_POSTHORNCTL_MAIL_IMPORTER_H_
