#include "lib/imap/sequence_set.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace posthorn::imap {

std::vector<SequenceRange> SequenceSet::Resolve(std::uint32_t largest) const {
  std::vector<SequenceRange> result;
  result.reserve(ranges.size());
  for (SequenceRange range : ranges) {
    if (range.first == kStar) range.first = largest;
    if (range.last == kStar) range.last = largest;
    if (range.first == 0 || range.last == 0) continue;
    if (range.first > range.last) std::swap(range.first, range.last);
    result.push_back(range);
  }
  std::sort(result.begin(), result.end(),
            [](const SequenceRange& a, const SequenceRange& b) { return a.first < b.first; });
  std::size_t kept = 0;
  for (std::size_t i = 1; i < result.size(); ++i) {
    SequenceRange& last = result[kept];
    if (last.last == UINT32_MAX || result[i].first <= last.last + 1) {
      last.last = std::max(last.last, result[i].last);
    } else {
      result[++kept] = result[i];
    }
  }
  if (!result.empty()) result.resize(kept + 1);
  return result;
}

bool Contains(const std::vector<SequenceRange>& ranges, std::uint32_t number) {
  auto it = std::upper_bound(
      ranges.begin(), ranges.end(), number,
      [](std::uint32_t value, const SequenceRange& range) { return value < range.first; });
  return it != ranges.begin() && number <= std::prev(it)->last;
}

std::vector<SequenceRange> ToRanges(const std::vector<std::uint32_t>& numbers) {
  std::vector<SequenceRange> ranges;
  for (std::uint32_t number : numbers) {
    if (!ranges.empty() && ranges.back().last != UINT32_MAX && ranges.back().last + 1 == number) {
      ranges.back().last = number;
    } else {
      ranges.push_back(SequenceRange{number, number});
    }
  }
  return ranges;
}

std::string FormatSequenceSet(const std::vector<std::uint32_t>& numbers) {
  std::string text;
  for (const SequenceRange& range : ToRanges(numbers)) {
    absl::StrAppend(&text, text.empty() ? "" : ",", range.first);
    if (range.last != range.first) absl::StrAppend(&text, ":", range.last);
  }
  return text;
}

}  // namespace posthorn::imap
