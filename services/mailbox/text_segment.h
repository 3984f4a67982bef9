#ifndef POSTHORN_SERVICES_MAILBOX_TEXT_SEGMENT_H_
#define POSTHORN_SERVICES_MAILBOX_TEXT_SEGMENT_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/statusor.h"

// A part of the text index of one account: the words of some messages (lib/mime/search_words.h) and
// in which of them each is. Immutable once built. Pure.
namespace posthorn::mailbox {

// Raised when what is a word changes: segments of another version say nothing.
inline constexpr int kTextVersion = 2;

// As stored, compressed.
struct PackedSegment {
  std::string ids;       // the messages, and those that any search must look at
  std::string words;     // the dictionary
  std::string postings;  // of its words, in their order
};

// Which of a segment's messages: positions, ascending.
using Positions = std::vector<std::uint32_t>;

class SegmentBuilder {
 public:
  // Messages come by ascending id; what follows belongs to the last one.
  void StartMessage(std::int64_t email_id);
  void AddWord(std::string_view word);
  // The last message's text is not known whole: every search must look at it.
  void LookAlways();

  std::size_t messages() const { return ids_.size(); }
  // About how much memory it has.
  std::size_t octets() const { return octets_; }
  PackedSegment Pack() const;

 private:
  std::vector<std::int64_t> ids_;
  Positions always_;
  absl::flat_hash_map<std::string, Positions> words_;
  std::size_t octets_ = 0;
};

// The messages and words of a packed segment; postings are read apart, because most segments that
// are searched don't have the word.
class SegmentWords {
 public:
  // DataLoss for what no segment is.
  static absl::StatusOr<SegmentWords> Parse(std::string_view ids, std::string_view words);

  // The numbers of words that contain `part`, ascending. `part` is not empty and has no line feed.
  std::vector<std::uint32_t> Find(std::string_view part) const;
  const std::vector<std::int64_t>& ids() const { return ids_; }
  const Positions& always() const { return always_; }
  std::size_t words() const { return starts_.size(); }
  std::string_view word(std::size_t number) const;

 private:
  std::vector<std::int64_t> ids_;
  Positions always_;
  std::string text_;  // "\nword\nword\n"
  std::vector<std::uint32_t> starts_;
};

// The union of the postings of some words (ascending numbers). DataLoss.
absl::StatusOr<Positions> PostingsOf(std::string_view packed,
                                     const std::vector<std::uint32_t>& words);
// Of all words. DataLoss.
absl::StatusOr<std::vector<Positions>> AllPostings(std::string_view packed, std::size_t words);

// One segment of several, without the messages that are not in `keep`. In the order of ids.
absl::StatusOr<PackedSegment> Merge(const std::vector<PackedSegment>& segments,
                                    const absl::flat_hash_set<std::int64_t>& keep);

}  // namespace posthorn::mailbox

#endif  // POSTHORN_SERVICES_MAILBOX_TEXT_SEGMENT_H_
