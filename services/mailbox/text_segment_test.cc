#include "services/mailbox/text_segment.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

namespace posthorn::mailbox {
namespace {

using Ids = std::vector<std::int64_t>;
using Entries = std::map<std::pair<WordMark, std::string>, std::set<std::int64_t>>;

// The messages of a segment that have `part` at `place`, of the blocks that may have it.
std::set<std::int64_t> Lookup(const PackedSegment& segment, const std::string& part,
                              std::optional<WordMark> place, std::size_t& blocks_read) {
  const Ids ids = *UnpackIds(segment.ids);
  const std::size_t width = RowOctets(segment.blocks.size());
  std::set<std::int64_t> found;
  for (std::size_t block = 0; block < segment.blocks.size(); ++block) {
    bool may = true;
    for (const std::uint32_t bucket : BucketsOf(part, place, 12)) {
      if (segment.grams.empty()) break;
      const auto octet = static_cast<unsigned char>(segment.grams[bucket * width + block / 8]);
      may = may && (octet >> (block % 8) & 1) != 0;
    }
    if (!may) continue;
    ++blocks_read;
    const BlockWords words = *BlockWords::Parse(segment.blocks[block].words);
    const Positions positions =
        *PostingsOf(segment.blocks[block].postings, words.Find(part, place));
    for (const std::uint32_t position : positions) found.insert(ids.at(position));
  }
  return found;
}

std::set<std::int64_t> Scan(const Entries& entries, const std::string& part,
                            std::optional<WordMark> place) {
  std::set<std::int64_t> found;
  for (const auto& [entry, ids] : entries) {
    if (place.has_value() && entry.first != *place) continue;
    if (entry.second.find(part) != std::string::npos) found.insert(ids.begin(), ids.end());
  }
  return found;
}

class TextSegmentTest : public ::testing::Test {
 protected:
  std::string Word(std::size_t letters) {
    std::string word;
    for (std::size_t i = 0; i < letters; ++i) word += static_cast<char>('A' + random() % 26);
    return word;
  }
  PackedSegment Build(std::int64_t first, int messages, Entries& entries) {
    SegmentBuilder builder;
    for (std::int64_t id = first; id < first + messages * 3; id += 3) {
      builder.StartMessage(id);
      if (id % 7 == 0) builder.LookAlways();
      for (int i = 0; i < 250; ++i) {
        const auto mark = static_cast<WordMark>(random() % 3);
        const std::string word = i % 4 == 0 ? Word(2) : Word(3 + random() % 10);
        builder.AddWord(word, mark);
        entries[{mark, word}].insert(id);
      }
    }
    return builder.Pack();
  }
  void ExpectSame(const PackedSegment& segment, const Entries& entries) {
    std::size_t read = 0;
    std::size_t lookups = 0;
    for (int i = 0; i < 50; ++i) {
      std::string part = Word(1 + random() % 6);
      if (i % 2 == 0) {  // of a word that is there
        const std::string& word = std::next(entries.begin(), random() % entries.size())->first.second;
        const std::size_t at = random() % word.size();
        part = word.substr(at, 1 + random() % (word.size() - at));
      }
      for (const std::optional<WordMark> place :
           {std::optional<WordMark>(), std::optional(WordMark::kBody),
            std::optional(WordMark::kSubject), std::optional(WordMark::kTo)}) {
        std::size_t blocks = 0;
        EXPECT_EQ(Lookup(segment, part, place, blocks), Scan(entries, part, place)) << part;
        if (part.size() < 6) continue;
        read += blocks;
        ++lookups;
      }
    }
    // What the grams are for.
    EXPECT_LT(read, lookups * segment.blocks.size() / 4);
  }

  std::mt19937 random{7};
};

TEST_F(TextSegmentTest, FindsEachPartOfAWordInFewBlocks) {
  Entries entries;
  const PackedSegment segment = Build(1, 90, entries);
  EXPECT_GT(segment.blocks.size(), 10u);
  EXPECT_FALSE(segment.grams.empty());
  ExpectSame(segment, entries);
}

TEST_F(TextSegmentTest, OnlyBlocksOfAPlaceAreReadForIt) {
  Entries entries;
  const PackedSegment segment = Build(1, 90, entries);
  ASSERT_FALSE(segment.grams.empty());
  for (const WordMark place : {WordMark::kBody, WordMark::kHeader, WordMark::kSubject, WordMark::kTo}) {
    std::size_t with_place = 0;
    for (const PackedBlock& block : segment.blocks) {
      const BlockWords words = *BlockWords::Parse(block.words);
      bool has = false;
      for (std::size_t i = 0; i < words.size(); ++i) {
        const char first = words.entry(i).front();  // no letter is below a space
        has = has || (first < ' ' ? first : '\0') == static_cast<char>(place);
      }
      with_place += has;
    }
    std::size_t read = 0;
    Lookup(segment, "A", place, read);
    EXPECT_EQ(read, with_place) << static_cast<int>(place);
  }
}

TEST_F(TextSegmentTest, MergedSegmentsSayTheSameWithoutWhatIsGone) {
  Entries entries;
  std::vector<PackedSegment> segments;
  for (int i = 0; i < 4; ++i) segments.push_back(Build(1 + i * 100, 20, entries));
  absl::flat_hash_set<std::int64_t> keep;
  Ids left;
  Ids always;
  for (const PackedSegment& segment : segments) {
    const Ids ids = *UnpackIds(segment.ids);
    for (const std::int64_t id : ids) {
      if (id % 5 == 0) continue;
      keep.insert(id);
      left.push_back(id);
      if (id % 7 == 0) always.push_back(id);
    }
  }
  for (auto it = entries.begin(); it != entries.end();) {
    std::erase_if(it->second, [&](std::int64_t id) { return !keep.contains(id); });
    it = it->second.empty() ? entries.erase(it) : std::next(it);
  }
  const absl::StatusOr<PackedSegment> merged = Merge(segments, keep);
  ASSERT_TRUE(merged.ok()) << merged.status();
  EXPECT_EQ(*UnpackIds(merged->ids), left);
  EXPECT_EQ(*UnpackIds(merged->always), always);
  ExpectSame(*merged, entries);
  const absl::StatusOr<PackedSegment> nothing = Merge(segments, {});
  ASSERT_TRUE(nothing.ok()) << nothing.status();
  EXPECT_TRUE(UnpackIds(nothing->ids)->empty());
  EXPECT_TRUE(nothing->blocks.empty());
}

TEST_F(TextSegmentTest, DamageIsToldAndNotFollowed) {
  Entries entries;
  PackedSegment segment = Build(1, 2, entries);
  EXPECT_EQ(BlockWords::Parse("no frame").status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(BlockWords::Parse(segment.blocks[0].postings).status().code(),
            absl::StatusCode::kDataLoss);
  EXPECT_EQ(UnpackIds("no frame").status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(PostingsOf(segment.ids, {1000000}).status().code(), absl::StatusCode::kDataLoss);
  std::swap(segment.blocks[0].postings, segment.ids);
  EXPECT_FALSE(Merge({segment}, {1, 4}).ok());
}

}  // namespace
}  // namespace posthorn::mailbox
