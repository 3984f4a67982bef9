#ifndef POSTHORN_SERVICES_MAILBOX_TEXT_INDEX_H_
#define POSTHORN_SERVICES_MAILBOX_TEXT_INDEX_H_

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
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
  int max_emails = 64000;     // of one segment
  std::int64_t max_octets = 64 * 1024 * 1024;  // of segments that are merged, packed
};

// What to look for. `folded` comes from mime::FoldForSearch.
struct TextLookup {
  TextLookup(std::string folded_in, std::optional<WordMark> place_in)
      : folded(std::move(folded_in)), place(place_in) {}
  std::string folded;
  std::optional<WordMark> place;  // nullopt: anywhere
};

// What the index says about one lookup: the indexed messages (email ids, ascending) that may contain
// the needle there, and those of them that do, for sure.
struct TextMatches {
  std::vector<std::int64_t> may;
  std::vector<std::int64_t> sure;
};

// By lookup; nullopt: any message may contain it. Messages above `upto` are not indexed: any of them
// may, too.
struct TextCandidates {
  std::int64_t upto = 0;
  std::vector<std::optional<TextMatches>> lookups;
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

  // Reads only the blocks of the index that may have the words (text_lookup.cc).
  Task<absl::StatusOr<TextCandidates>> Find(Account account, std::vector<TextLookup> lookups);

 private:
  Task<absl::StatusOr<std::int64_t>> Upto(Account account);
  Task<absl::Status> AddText(Account account, const postgres::Result& rows, int row,
                             SegmentBuilder& builder);
  // One segment instead of these, which follow each other. False: they are not there any more.
  Task<absl::StatusOr<bool>> Replace(Account account, std::vector<std::int64_t> segment_ids);

  postgres::BodyStore& bodies_;
  const TextIndexOptions options_;
};

}  // namespace posthorn::mailbox

#endif  // POSTHORN_SERVICES_MAILBOX_TEXT_INDEX_H_
