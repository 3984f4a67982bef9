#ifndef POSTHORN_SERVICES_MAILBOX_TEXT_SEGMENT_H_
#define POSTHORN_SERVICES_MAILBOX_TEXT_SEGMENT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/statusor.h"

// A part of the text index of one account: the words of some messages (lib/mime/search_words.h) and
// in which of them each is. Immutable once built. Pure.
namespace posthorn::mailbox {

// Raised when what is a word, or a mark, changes: segments of another version say nothing.
inline constexpr int kTextVersion = 3;

// Where in a message a word stands: in the value of a field of its own header, elsewhere in that header
// (other fields, names of fields), or, kBody, in what the header is in front of. Stored.
enum class WordMark : char {
  kBody = 0,
  kHeader = 1,
  kSubject = 2,
  kFrom = 3,
  kTo = 4,
  kCc = 5,
  kBcc = 6,
  kMessageId = 7,
  kInReplyTo = 8,
  kReferences = 9,
};
// Of the words in the value of a header field; kHeader: that of several fields.
WordMark MarkOf(std::string_view field_name);

// The words of a segment come in blocks, in their order. As stored, compressed.
struct PackedBlock {
  std::string words;
  std::string postings;  // of the words, in their order
};
struct PackedSegment {
  std::string ids;     // the messages, PackIds
  std::string always;  // those that any search must look at, PackIds
  std::string grams;   // which blocks may have a word with a gram (BucketsOf); empty: any may
  std::vector<PackedBlock> blocks;

  std::size_t octets() const;
};

// Numbers, ascending; none: no octets.
std::string PackIds(const std::vector<std::int64_t>& ids);
absl::StatusOr<std::vector<std::int64_t>> UnpackIds(std::string_view packed);

// Which of a segment's messages: positions, ascending.
using Positions = std::vector<std::uint32_t>;

class SegmentBuilder {
 public:
  // Messages come by ascending id; what follows belongs to the last one.
  void StartMessage(std::int64_t email_id);
  void AddWord(std::string_view word, WordMark mark);
  // The last message's text is not known whole: every search must look at it.
  void LookAlways();

  std::size_t messages() const { return ids_.size(); }
  // About how much memory it has.
  std::size_t octets() const { return octets_; }
  PackedSegment Pack() const;

 private:
  std::vector<std::int64_t> ids_;
  std::vector<std::int64_t> always_;
  absl::flat_hash_map<std::string, Positions> words_;
  std::string entry_;
  std::size_t octets_ = 0;
};

// PackedSegment::grams is a table of kBuckets rows of one bit a block: the first rows are of marks, the
// // others of hashes of grams. A block may have a word that contains `part` at such a place (nullopt: any)
// if it has a bit in each of these rows; at most `max_rows` are given. None: any block may.
inline constexpr std::uint32_t kBuckets = 1u << 15;
std::vector<std::uint32_t> BucketsOf(std::string_view part, std::optional<WordMark> place,
                                     std::size_t max_rows);
// Octets of a row.
constexpr std::size_t RowOctets(std::size_t blocks) { return (blocks + 7) / 8; }

// The words of one block.
class BlockWords {
 public:
  // DataLoss for what no block is.
  static absl::StatusOr<BlockWords> Parse(std::string_view packed);

  // The numbers of words that contain `part`, ascending. `part` is a word or a part of one.
  std::vector<std::uint32_t> Find(std::string_view part, std::optional<WordMark> place) const;
  std::size_t size() const { return starts_.size(); }
  // With its mark in front, if it is not kBody.
  std::string_view entry(std::size_t number) const;

 private:
  std::string text_;  // "\nentry\nentry\n"
  std::vector<std::uint32_t> starts_;
};

// The union of the postings of some words (ascending numbers), with repetitions. DataLoss.
absl::StatusOr<Positions> PostingsOf(std::string_view packed,
                                     const std::vector<std::uint32_t>& words);

// One segment of several, without the messages that are not in `keep`. In the order of ids; their
// grams are not looked at. Has but one block of each unpacked at a time.
absl::StatusOr<PackedSegment> Merge(const std::vector<PackedSegment>& segments,
                                    const absl::flat_hash_set<std::int64_t>& keep);

}  // namespace posthorn::mailbox

#endif  // POSTHORN_SERVICES_MAILBOX_TEXT_SEGMENT_H_
