#include "services/mailbox/text_segment.h"

#include <string.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "lib/mime/ascii.h"
#include "lib/postgres/body_store.h"
#include "services/mailbox/text_numbers.h"

// ids: ascending numbers. words: as text. postings: for each word its positions, ascending numbers.
// Each is one zstd frame.
// An entry is a word with its mark in front, so that the words of a header field are side by side.

namespace posthorn::mailbox {
namespace {

// Far more than any segment has; a damaged one must not take all memory.
constexpr std::size_t kMaxUnpacked = 1024u * 1024 * 1024;
// A block is full when its words and postings have so many octets; packed, it fits into a page.
constexpr std::size_t kBlockOctets = 16 * 1024;
// So few blocks are read as fast as it is found out which.
constexpr std::size_t kFewBlocks = 4;
constexpr std::size_t kGram = 4;

absl::Status Damaged() { return absl::DataLossError("damaged text index"); }

// The first rows are those of marks, which grams leave alone: most blocks have so many grams that a
// row they share says little.
constexpr std::uint32_t kMarkRows = 16;

std::uint32_t BucketOf(WordMark mark) { return static_cast<std::uint32_t>(mark); }
static_assert(static_cast<std::uint32_t>(WordMark::kReferences) < kMarkRows);

std::uint32_t Bucket(const char* gram) {
  std::uint32_t value = 0;
  memcpy(&value, gram, kGram);
  static_assert(kGram == sizeof(value));
  const std::uint32_t row = (value * 2654435761u) >> 17;
  return row < kMarkRows ? row + kMarkRows : row;
}
static_assert(std::numeric_limits<std::uint32_t>::max() >> 17 == kBuckets - 1);

// What is below the space is no part of a word.
WordMark MarkIn(std::string_view entry) {
  const bool marked = static_cast<unsigned char>(entry.front()) < 0x20;
  return marked ? static_cast<WordMark>(entry.front()) : WordMark::kBody;
}

// Makes the blocks of entries, which come in their order.
class BlockWriter {
 public:
  void Add(std::string_view entry, const Positions& positions) {
    text_.append(entry).append("\n");
    PutAscending(postings_, positions);
    const WordMark mark = MarkIn(entry);
    if (mark != WordMark::kBody) entry.remove_prefix(1);
    Set(BucketOf(mark));
    for (std::size_t i = 0; i + kGram <= entry.size(); ++i) Set(Bucket(entry.data() + i));
    if (text_.size() + postings_.size() >= kBlockOctets) Flush();
  }

  PackedSegment Finish(const std::vector<std::int64_t>& ids,
                       const std::vector<std::int64_t>& always) {
    if (text_.size() > 1) Flush();
    PackedSegment segment;
    segment.ids = PackIds(ids);
    segment.always = PackIds(always);
    segment.blocks = std::move(blocks_);
    if (segment.blocks.size() <= kFewBlocks) return segment;
    const std::size_t width = RowOctets(segment.blocks.size());
    segment.grams.assign(kBuckets * width, '\0');
    for (std::size_t block = 0; block < rows_.size(); ++block) {
      const auto bit = static_cast<unsigned char>(1u << (block % 8));
      for (const std::uint16_t row : rows_[block]) {
        char& octet = segment.grams[row * width + block / 8];
        octet = static_cast<char>(static_cast<unsigned char>(octet) | bit);
      }
    }
    return segment;
  }

 private:
  void Set(std::uint32_t bucket) {
    if (set_[bucket]) return;
    set_[bucket] = true;
    current_.push_back(static_cast<std::uint16_t>(bucket));
  }
  void Flush() {
    blocks_.push_back(PackedBlock{postgres::Compress(text_), postgres::Compress(postings_)});
    text_ = "\n";
    postings_.clear();
    for (const std::uint16_t row : current_) set_[row] = false;
    current_.shrink_to_fit();
    rows_.push_back(std::exchange(current_, {}));
  }

  std::string text_ = "\n";
  std::string postings_;
  std::vector<PackedBlock> blocks_;
  std::vector<bool> set_ = std::vector<bool>(kBuckets);
  std::vector<std::uint16_t> current_;             // what is set
  std::vector<std::vector<std::uint16_t>> rows_;  // by block
};

}  // namespace

WordMark MarkOf(std::string_view field_name) {
  static constexpr std::pair<std::string_view, WordMark> kMarks[] = {
      {"Subject", WordMark::kSubject},
      {"From", WordMark::kFrom},
      {"To", WordMark::kTo},
      {"Cc", WordMark::kCc},
      {"Bcc", WordMark::kBcc},
      {"Message-ID", WordMark::kMessageId},
      {"In-Reply-To", WordMark::kInReplyTo},
      {"References", WordMark::kReferences},
  };
  for (const auto& [name, mark] : kMarks) {
    if (mime::EqualsIgnoreCase(name, field_name)) return mark;
  }
  return WordMark::kHeader;
}

std::size_t PackedSegment::octets() const {
  std::size_t sum = ids.size() + always.size() + grams.size();
  for (const PackedBlock& block : blocks) sum += block.words.size() + block.postings.size();
  return sum;
}

std::string PackIds(const std::vector<std::int64_t>& ids) {
  if (ids.empty()) return {};
  std::string data;
  PutAscending(data, ids);
  return postgres::Compress(data);
}

absl::StatusOr<std::vector<std::int64_t>> UnpackIds(std::string_view packed) {
  std::vector<std::int64_t> ids;
  if (packed.empty()) return ids;
  const absl::StatusOr<std::string> data = postgres::Decompress(packed, kMaxUnpacked);
  if (!data.ok()) return data.status();
  Numbers numbers(*data);
  if (!numbers.NextAscending(ids)) return Damaged();
  return ids;
}

void SegmentBuilder::StartMessage(std::int64_t email_id) {
  ids_.push_back(email_id);
  octets_ += sizeof(email_id);
}

void SegmentBuilder::AddWord(std::string_view word, WordMark mark) {
  const auto position = static_cast<std::uint32_t>(ids_.size() - 1);
  entry_.clear();
  if (mark != WordMark::kBody) entry_ += static_cast<char>(mark);
  entry_ += word;
  const auto [it, is_new] = words_.try_emplace(entry_);
  if (is_new) octets_ += word.size() + 64;
  if (!it->second.empty() && it->second.back() == position) return;
  it->second.push_back(position);
  octets_ += sizeof(position);
}

void SegmentBuilder::LookAlways() {
  if (always_.empty() || always_.back() != ids_.back()) always_.push_back(ids_.back());
}

PackedSegment SegmentBuilder::Pack() const {
  std::vector<std::pair<std::string_view, const Positions*>> words;
  words.reserve(words_.size());
  for (const auto& [word, positions] : words_) words.emplace_back(word, &positions);
  std::sort(words.begin(), words.end());
  BlockWriter writer;
  for (const auto& [word, positions] : words) writer.Add(word, *positions);
  return writer.Finish(ids_, always_);
}

std::vector<std::uint32_t> BucketsOf(std::string_view part, std::optional<WordMark> place,
                                     std::size_t max_rows) {
  std::vector<std::uint32_t> buckets;
  if (place.has_value()) buckets.push_back(BucketOf(*place));
  const std::size_t grams = part.size() < kGram ? 0 : part.size() - kGram + 1;
  const std::size_t rows = std::min(grams, max_rows - std::min(max_rows, buckets.size()));
  // From the beginning to the end, whichever there is room for.
  for (std::size_t i = 0; i < rows; ++i) {
    const std::size_t at = rows == 1 ? 0 : i * (grams - 1) / (rows - 1);
    buckets.push_back(Bucket(part.data() + at));
  }
  return buckets;
}

absl::StatusOr<BlockWords> BlockWords::Parse(std::string_view packed) {
  absl::StatusOr<std::string> text = postgres::Decompress(packed, kMaxUnpacked);
  if (!text.ok()) return text.status();
  BlockWords block;
  block.text_ = *std::move(text);
  if (block.text_.empty() || block.text_.front() != '\n' || block.text_.back() != '\n') {
    return Damaged();
  }
  for (std::size_t at = 0; at + 1 < block.text_.size();) {
    block.starts_.push_back(static_cast<std::uint32_t>(at + 1));
    at = block.text_.find('\n', at + 1);
    if (at == block.starts_.back()) return Damaged();
  }
  return block;
}

std::string_view BlockWords::entry(std::size_t number) const {
  const std::size_t start = starts_[number];
  const std::size_t end = number + 1 < starts_.size() ? starts_[number + 1] - 1 : text_.size() - 1;
  return std::string_view(text_).substr(start, end - start);
}

std::vector<std::uint32_t> BlockWords::Find(std::string_view part,
                                            std::optional<WordMark> place) const {
  std::vector<std::uint32_t> found;
  for (std::size_t at = 0; at < text_.size();) {
    const void* hit = memmem(text_.data() + at, text_.size() - at, part.data(), part.size());
    if (hit == nullptr) break;
    const auto offset = static_cast<std::size_t>(static_cast<const char*>(hit) - text_.data());
    const auto next = std::upper_bound(starts_.begin(), starts_.end(), offset);
    const auto number = static_cast<std::uint32_t>(next - starts_.begin()) - 1;
    if (!place.has_value() || MarkIn(entry(number)) == *place) found.push_back(number);
    at = next == starts_.end() ? text_.size() : *next;
  }
  return found;
}

absl::StatusOr<Positions> PostingsOf(std::string_view packed,
                                     const std::vector<std::uint32_t>& words) {
  const absl::StatusOr<std::string> data = postgres::Decompress(packed, kMaxUnpacked);
  if (!data.ok()) return data.status();
  Numbers numbers(*data);
  Positions all;
  std::uint32_t number = 0;
  for (const std::uint32_t word : words) {
    for (; number < word; ++number) {
      if (!numbers.SkipAscending()) return Damaged();
    }
    if (!numbers.NextAscending(all)) return Damaged();
    ++number;
  }
  return all;
}

namespace {

// Goes through the entries of a segment.
class EntryReader {
 public:
  explicit EntryReader(const std::vector<PackedBlock>& blocks) : blocks_(blocks) {}

  // False: there is no further one.
  absl::StatusOr<bool> Next() {
    while (number_ == words_.size()) {
      if (block_ == blocks_.size()) return false;
      absl::StatusOr<BlockWords> words = BlockWords::Parse(blocks_[block_].words);
      if (!words.ok()) return words.status();
      absl::StatusOr<std::string> data =
          postgres::Decompress(blocks_[block_].postings, kMaxUnpacked);
      if (!data.ok()) return data.status();
      words_ = *std::move(words);
      data_ = *std::move(data);
      postings_ = Numbers(data_);
      number_ = 0;
      ++block_;
    }
    entry_ = words_.entry(number_++);
    positions_.clear();
    if (!postings_.NextAscending(positions_)) return Damaged();
    return true;
  }
  // Of the last Next.
  std::string_view entry() const { return entry_; }
  const Positions& positions() const { return positions_; }

 private:
  const std::vector<PackedBlock>& blocks_;
  std::size_t block_ = 0;   // the next one
  std::size_t number_ = 0;  // of the next entry in words_
  BlockWords words_;
  std::string data_;
  Numbers postings_;
  std::string_view entry_;
  Positions positions_;
};

}  // namespace

absl::StatusOr<PackedSegment> Merge(const std::vector<PackedSegment>& segments,
                                    const absl::flat_hash_set<std::int64_t>& keep) {
  constexpr std::uint32_t kGone = 0xffffffff;
  std::vector<std::int64_t> ids;
  std::vector<std::int64_t> always;
  std::vector<std::vector<std::uint32_t>> moved;  // positions, by segment
  for (const PackedSegment& segment : segments) {
    const absl::StatusOr<std::vector<std::int64_t>> its = UnpackIds(segment.ids);
    if (!its.ok()) return its.status();
    std::vector<std::uint32_t>& to = moved.emplace_back(its->size(), kGone);
    for (std::size_t position = 0; position < to.size(); ++position) {
      if (!keep.contains((*its)[position])) continue;
      to[position] = static_cast<std::uint32_t>(ids.size());
      ids.push_back((*its)[position]);
    }
    const absl::StatusOr<std::vector<std::int64_t>> looked = UnpackIds(segment.always);
    if (!looked.ok()) return looked.status();
    for (const std::int64_t id : *looked) {
      if (keep.contains(id)) always.push_back(id);
    }
  }
  std::vector<EntryReader> readers;
  readers.reserve(segments.size());  // they point into themselves
  std::vector<std::size_t> open;  // readers that have an entry, in the order of ids
  for (std::size_t i = 0; i < segments.size(); ++i) {
    const absl::StatusOr<bool> first = readers.emplace_back(segments[i].blocks).Next();
    if (!first.ok()) return first.status();
    if (*first) open.push_back(i);
  }
  BlockWriter writer;
  std::string entry;
  Positions positions;
  while (!open.empty()) {
    const std::size_t smallest = *std::min_element(
        open.begin(), open.end(),
        [&](std::size_t a, std::size_t b) { return readers[a].entry() < readers[b].entry(); });
    entry = readers[smallest].entry();
    positions.clear();
    for (auto it = open.begin(); it != open.end();) {
      EntryReader& reader = readers[*it];
      if (reader.entry() != entry) {
        ++it;
        continue;
      }
      for (const std::uint32_t position : reader.positions()) {
        if (position >= moved[*it].size()) return Damaged();
        if (moved[*it][position] != kGone) positions.push_back(moved[*it][position]);
      }
      const absl::StatusOr<bool> more = reader.Next();
      if (!more.ok()) return more.status();
      it = *more ? it + 1 : open.erase(it);
    }
    if (!positions.empty()) writer.Add(entry, positions);
  }
  return writer.Finish(ids, always);
}

}  // namespace posthorn::mailbox
