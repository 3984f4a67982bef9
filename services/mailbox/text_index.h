#ifndef POSTHORN_SERVICES_MAILBOX_TEXT_INDEX_H_
#define POSTHORN_SERVICES_MAILBOX_TEXT_INDEX_H_

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "lib/base/task.h"
#include "lib/postgres/body_store.h"
#include "services/mailbox/text_segment.h"
#include "services/mailbox/types.h"

namespace posthorn::mailbox {

struct TextIndexOptions {
  int segment_emails = 1000;  // a segment of new messages
  int merge_segments = 8;     // so many of about one size become one
  int max_emails = 20000;     // of one segment
};

// What the index says about some needles: the messages (email ids, ascending) that may contain
// each; nullopt: any may. Messages above `upto` are not indexed: any of them may, too.
struct TextCandidates {
  std::int64_t upto = 0;
  std::vector<std::optional<std::vector<std::int64_t>>> needles;
};

// The index of the texts of an account's messages: it narrows down which messages a search has to
// read, and never leaves one out. Built in the background, behind the messages; safe on any number
// of replicas at a time. Thread-safe.
class TextIndex {
 public:
  // A tail of fewer messages than this is not worth indexing: reading it is as fast.
  static constexpr int kTail = 100;

  explicit TextIndex(postgres::BodyStore& bodies, TextIndexOptions options = {});

  // Indexes the next messages of the account, at most options.segment_emails. Answers how many.
  Task<absl::StatusOr<int>> IndexSome(Account account);
  // Makes one segment of several, if there are enough. False: there was nothing to do, or another
  // replica was faster.
  Task<absl::StatusOr<bool>> MergeSome(Account account);
  // Writes a segment that has words of deleted messages again without them. False: as above.
  Task<absl::StatusOr<bool>> RewriteSome(Account account);
  // If the account has kTail messages that are not indexed: indexes and merges until there is
  // nothing left to do, or `stop`, which is looked at after each segment.
  Task<absl::Status> CatchUp(Account account, const std::atomic<bool>& stop);

  // `folded_needles` come from mime::FoldForSearch.
  Task<absl::StatusOr<TextCandidates>> Find(Account account,
                                            const std::vector<std::string>& folded_needles);

 private:
  using Needles = std::vector<std::vector<std::string>>;  // the words of each
  // The messages of one segment that may contain each needle; nullopt: the segment is gone.
  using Matches = std::optional<std::vector<std::vector<std::int64_t>>>;
  Task<absl::StatusOr<Matches>> FindIn(Account account, std::int64_t first, const Needles& needles);
  Task<absl::StatusOr<std::int64_t>> Upto(Account account);
  Task<absl::Status> AddText(Account account, const postgres::Result& rows, int row,
                             SegmentBuilder& builder);
  // One segment instead of those that begin with these messages. False: they are not there any
  // more.
  Task<absl::StatusOr<bool>> Replace(Account account, std::vector<std::int64_t> firsts);

  postgres::BodyStore& bodies_;
  const TextIndexOptions options_;
};

}  // namespace posthorn::mailbox

#endif  // POSTHORN_SERVICES_MAILBOX_TEXT_INDEX_H_
