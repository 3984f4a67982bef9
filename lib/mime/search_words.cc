#include "lib/mime/search_words.h"

#include <unicode/uchar.h>
#include <unicode/utf8.h>

#include <algorithm>
#include <cstdint>

namespace posthorn::mime {
namespace {

// Of a long run: how much of a word the next one has too.
constexpr std::size_t kOverlap = 48;
static_assert(kOverlap - 3 >= kMaxNeedleWord);
constexpr std::size_t kNeedleWords = 8;

bool BelongsToWord(UChar32 c) {
  if (c < 0x80) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z');
  }
  constexpr std::uint32_t kMask = U_GC_L_MASK | U_GC_N_MASK | U_GC_M_MASK;
  return (U_GET_GC_MASK(c) & kMask) != 0;
}

// The first start of a code point at or behind `at`.
std::size_t AlignUp(std::string_view text, std::size_t at) {
  while (at < text.size() && (static_cast<unsigned char>(text[at]) & 0xc0) == 0x80) ++at;
  return at;
}

}  // namespace

void WordSplitter::Emit(bool ends) {
  if (!word_.empty()) take_(word_);
  if (ends) {
    word_.clear();
    return;
  }
  word_.erase(0, AlignUp(word_, word_.size() - kOverlap));
}

void WordSplitter::Feed(std::string_view folded) {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(folded.data());
  const auto size = static_cast<std::int32_t>(folded.size());
  for (std::int32_t at = 0; at < size;) {
    const std::int32_t start = at;
    UChar32 c = 0;
    U8_NEXT_OR_FFFD(bytes, at, size, c);
    if (!BelongsToWord(c)) {
      if (!word_.empty()) Emit(true);
      continue;
    }
    word_.append(folded, static_cast<std::size_t>(start), static_cast<std::size_t>(at - start));
    if (word_.size() + 4 > kMaxWord) Emit(false);
  }
}

void WordSplitter::End() {
  if (!word_.empty()) Emit(true);
}

std::vector<std::string> NeedleWords(std::string_view folded_needle) {
  std::vector<std::string> words;
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(folded_needle.data());
  const auto size = static_cast<std::int32_t>(folded_needle.size());
  std::string word;
  bool full = false;
  for (std::int32_t at = 0; at <= size;) {
    const std::int32_t start = at;
    UChar32 c = 0;
    if (at < size) {
      U8_NEXT_OR_FFFD(bytes, at, size, c);
    } else {
      ++at;
    }
    if (start < size && BelongsToWord(c)) {
      const auto length = static_cast<std::size_t>(at - start);
      full = full || word.size() + length > kMaxNeedleWord;
      if (!full) word.append(folded_needle, static_cast<std::size_t>(start), length);
      continue;
    }
    if (!word.empty()) words.push_back(word);
    word.clear();
    full = false;
  }
  std::sort(words.begin(), words.end(), [](const std::string& a, const std::string& b) {
    return a.size() != b.size() ? a.size() > b.size() : a < b;
  });
  words.erase(std::unique(words.begin(), words.end()), words.end());
  if (words.size() > kNeedleWords) words.resize(kNeedleWords);
  return words;
}

bool IsOneWord(std::string_view folded_needle) {
  const std::vector<std::string> words = NeedleWords(folded_needle);
  return words.size() == 1 && words.front() == folded_needle;
}

}  // namespace posthorn::mime
