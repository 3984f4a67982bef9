#include "services/mailbox/types.h"

#include <algorithm>

namespace posthorn::mailbox {

std::vector<UidRange> Normalised(std::vector<UidRange> ranges) {
  std::erase_if(ranges, [](const UidRange& r) { return r.first > r.last || r.last == 0; });
  std::sort(ranges.begin(), ranges.end(),
            [](const UidRange& a, const UidRange& b) { return a.first < b.first; });
  std::vector<UidRange> result;
  for (const UidRange& range : ranges) {
    if (!result.empty() && range.first <= std::uint64_t{result.back().last} + 1) {
      result.back().last = std::max(result.back().last, range.last);
    } else {
      result.push_back(range);
    }
  }
  return result;
}

}  // namespace posthorn::mailbox
