#include "services/mailbox/text_segment.h"

#include <string.h>

#include <algorithm>
#include <map>

#include "lib/postgres/body_store.h"

// ids: count, deltas of the ids, count, deltas of the positions to look at always. words: as text.
// postings: for each word a count and the deltas of its positions. All numbers are varints, 7 bits
// an octet, the lowest first. Each is one zstd frame.

namespace posthorn::mailbox {
namespace {

// Far more than any segment has; a damaged one must not take all memory.
constexpr std::size_t kMaxUnpacked = 1024u * 1024 * 1024;

void PutNumber(std::string& out, std::uint64_t number) {
  while (number >= 0x80) {
    out += static_cast<char>(number | 0x80);
    number >>= 7;
  }
  out += static_cast<char>(number);
}

template <typename Numbers>
void PutAscending(std::string& out, const Numbers& numbers) {
  PutNumber(out, numbers.size());
  std::uint64_t before = 0;
  for (const auto number : numbers) {
    PutNumber(out, static_cast<std::uint64_t>(number) - before);
    before = static_cast<std::uint64_t>(number);
  }
}

class Numbers {
 public:
  explicit Numbers(std::string_view data) : data_(data) {}
  // False at the end, or for what is damaged.
  bool Next(std::uint64_t& number) {
    number = 0;
    for (int shift = 0; shift < 64 && !data_.empty(); shift += 7) {
      const auto octet = static_cast<unsigned char>(data_.front());
      data_.remove_prefix(1);
      number |= static_cast<std::uint64_t>(octet & 0x7f) << shift;
      if (octet < 0x80) return true;
    }
    return false;
  }
  template <typename Number>
  bool NextAscending(std::vector<Number>& numbers) {
    std::uint64_t count = 0;
    if (!Next(count) || count > data_.size()) return false;
    numbers.reserve(numbers.size() + count);
    std::uint64_t value = 0;
    for (; count > 0; --count) {
      std::uint64_t delta = 0;
      if (!Next(delta)) return false;
      value += delta;
      numbers.push_back(static_cast<Number>(value));
    }
    return true;
  }
  bool SkipAscending() {
    std::uint64_t count = 0;
    if (!Next(count)) return false;
    for (std::uint64_t delta = 0; count > 0; --count) {
      if (!Next(delta)) return false;
    }
    return true;
  }
  bool empty() const { return data_.empty(); }

 private:
  std::string_view data_;
};

absl::Status Damaged() { return absl::DataLossError("damaged text index"); }

PackedSegment PackAll(const std::vector<std::int64_t>& ids, const Positions& always,
                      const std::vector<std::pair<std::string_view, const Positions*>>& words) {
  std::string id_data;
  PutAscending(id_data, ids);
  PutAscending(id_data, always);
  std::string text = "\n";
  std::string postings;
  for (const auto& [word, positions] : words) {
    text.append(word).append("\n");
    PutAscending(postings, *positions);
  }
  return PackedSegment{postgres::Compress(id_data), postgres::Compress(text),
                       postgres::Compress(postings)};
}

}  // namespace

void SegmentBuilder::StartMessage(std::int64_t email_id) {
  ids_.push_back(email_id);
  octets_ += sizeof(email_id);
}

void SegmentBuilder::AddWord(std::string_view word) {
  const auto position = static_cast<std::uint32_t>(ids_.size() - 1);
  const auto [it, is_new] = words_.try_emplace(std::string(word));
  if (is_new) octets_ += word.size() + 64;
  if (!it->second.empty() && it->second.back() == position) return;
  it->second.push_back(position);
  octets_ += sizeof(position);
}

void SegmentBuilder::LookAlways() {
  const auto position = static_cast<std::uint32_t>(ids_.size() - 1);
  if (always_.empty() || always_.back() != position) always_.push_back(position);
}

PackedSegment SegmentBuilder::Pack() const {
  std::vector<std::pair<std::string_view, const Positions*>> words;
  words.reserve(words_.size());
  for (const auto& [word, positions] : words_) words.emplace_back(word, &positions);
  std::sort(words.begin(), words.end());
  return PackAll(ids_, always_, words);
}

absl::StatusOr<SegmentWords> SegmentWords::Parse(std::string_view ids, std::string_view words) {
  SegmentWords result;
  const absl::StatusOr<std::string> id_data = postgres::Decompress(ids, kMaxUnpacked);
  if (!id_data.ok()) return id_data.status();
  Numbers numbers(*id_data);
  if (!numbers.NextAscending(result.ids_) || !numbers.NextAscending(result.always_))
    return Damaged();
  for (const std::uint32_t position : result.always_) {
    if (position >= result.ids_.size()) return Damaged();
  }
  absl::StatusOr<std::string> text = postgres::Decompress(words, kMaxUnpacked);
  if (!text.ok()) return text.status();
  result.text_ = *std::move(text);
  if (result.text_.empty() || result.text_.front() != '\n' || result.text_.back() != '\n') {
    return Damaged();
  }
  for (std::size_t at = 0; at + 1 < result.text_.size();) {
    result.starts_.push_back(static_cast<std::uint32_t>(at + 1));
    at = result.text_.find('\n', at + 1);
  }
  return result;
}

std::string_view SegmentWords::word(std::size_t number) const {
  const std::size_t start = starts_[number];
  const std::size_t end = number + 1 < starts_.size() ? starts_[number + 1] - 1 : text_.size() - 1;
  return std::string_view(text_).substr(start, end - start);
}

std::vector<std::uint32_t> SegmentWords::Find(std::string_view part) const {
  std::vector<std::uint32_t> found;
  for (std::size_t at = 0; at < text_.size();) {
    const void* hit = memmem(text_.data() + at, text_.size() - at, part.data(), part.size());
    if (hit == nullptr) break;
    const auto offset = static_cast<std::size_t>(static_cast<const char*>(hit) - text_.data());
    const auto next = std::upper_bound(starts_.begin(), starts_.end(), offset);
    found.push_back(static_cast<std::uint32_t>(next - starts_.begin()) - 1);
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
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return all;
}

absl::StatusOr<std::vector<Positions>> AllPostings(std::string_view packed, std::size_t words) {
  const absl::StatusOr<std::string> data = postgres::Decompress(packed, kMaxUnpacked);
  if (!data.ok()) return data.status();
  Numbers numbers(*data);
  std::vector<Positions> all(words);
  for (Positions& positions : all) {
    if (!numbers.NextAscending(positions)) return Damaged();
  }
  return all;
}

absl::StatusOr<PackedSegment> Merge(const std::vector<PackedSegment>& segments,
                                    const absl::flat_hash_set<std::int64_t>& keep) {
  constexpr std::uint32_t kGone = 0xffffffff;
  std::vector<std::int64_t> ids;
  Positions always;
  std::vector<SegmentWords> dictionaries;
  std::map<std::string_view, Positions> merged;
  for (const PackedSegment& segment : segments) {
    absl::StatusOr<SegmentWords> words = SegmentWords::Parse(segment.ids, segment.words);
    if (!words.ok()) return words.status();
    dictionaries.push_back(*std::move(words));
  }
  for (std::size_t i = 0; i < segments.size(); ++i) {
    const SegmentWords& words = dictionaries[i];
    std::vector<std::uint32_t> moved(words.ids().size(), kGone);
    for (std::size_t position = 0; position < moved.size(); ++position) {
      if (!keep.contains(words.ids()[position])) continue;
      moved[position] = static_cast<std::uint32_t>(ids.size());
      ids.push_back(words.ids()[position]);
    }
    for (const std::uint32_t position : words.always()) {
      if (moved[position] != kGone) always.push_back(moved[position]);
    }
    const absl::StatusOr<std::vector<Positions>> postings =
        AllPostings(segments[i].postings, words.words());
    if (!postings.ok()) return postings.status();
    for (std::size_t word = 0; word < words.words(); ++word) {
      Positions* target = nullptr;
      for (const std::uint32_t position : (*postings)[word]) {
        if (position >= moved.size()) return Damaged();
        if (moved[position] == kGone) continue;
        if (target == nullptr) target = &merged[words.word(word)];
        target->push_back(moved[position]);
      }
    }
  }
  std::vector<std::pair<std::string_view, const Positions*>> list;
  for (const auto& [word, positions] : merged) list.emplace_back(word, &positions);
  return PackAll(ids, always, list);
}

}  // namespace posthorn::mailbox
