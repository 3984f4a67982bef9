#ifndef POSTHORN_SERVICES_MAILBOX_TEXT_FEED_H_
#define POSTHORN_SERVICES_MAILBOX_TEXT_FEED_H_

#include <atomic>
#include <mutex>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "lib/base/task.h"
#include "lib/postgres/database.h"
#include "services/mailbox/change_hints.h"
#include "services/mailbox/text_index.h"

namespace posthorn::mailbox {

// Keeps the text index of all accounts up in the background. It learns of changes as the hints to
// gateways go through it, at once but only of this process; and it goes through all accounts, a
// page at a time, for what it missed. Thread-safe.
class TextFeed final : public ChangeHints {
 public:
  // Passes hints on to `next`.
  TextFeed(ChangeHints& next, postgres::Database& database, TextIndex& index)
      : next_(next), database_(database), index_(index) {}

  void Changed(Account account, ModSeq modseq) override;
  void DirectoryChanged() override { next_.DirectoryChanged(); }

  // The accounts that changed, the next page of all accounts, and those with words to be dropped.
  Task<absl::Status> RunOnce();
  // Rounds until Stop, on the current executor, which this keeps busy while there is much to do.
  // The object outlives the task.
  Task<void> Run();
  void Stop() { stopping_ = true; }

 private:
  // More than these are left to the pages.
  static constexpr std::size_t kMaxChanged = 100000;

  Task<absl::Status> CatchUp(Account account);

  ChangeHints& next_;
  postgres::Database& database_;
  TextIndex& index_;
  std::atomic<bool> stopping_{false};
  std::mutex mutex_;
  absl::flat_hash_set<std::pair<std::int64_t, std::int64_t>> changed_;  // guarded by mutex_
  Account page_;  // the last account of the last page
};

}  // namespace posthorn::mailbox

#endif  // POSTHORN_SERVICES_MAILBOX_TEXT_FEED_H_
