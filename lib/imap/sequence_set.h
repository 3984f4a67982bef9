#ifndef POSTHORN_LIB_IMAP_SEQUENCE_SET_H_
#define POSTHORN_LIB_IMAP_SEQUENCE_SET_H_

#include <cstdint>
#include <string>
#include <vector>

namespace posthorn::imap {

// The number that stands for "*", the largest in the mailbox.
inline constexpr std::uint32_t kStar = 0;

struct SequenceRange {
  std::uint32_t first = 0;
  std::uint32_t last = 0;
  friend bool operator==(const SequenceRange&, const SequenceRange&) = default;
};

// sequence-set of RFC 3501 section 9, in the order given: of sequence numbers or of UIDs.
struct SequenceSet {
  std::vector<SequenceRange> ranges;
  bool saved = false;  // "$" (RFC 5182): what the last SEARCH saved; then there are no ranges

  // Ascending, merged ranges without "*", which becomes `largest`; "4:2" means 2:4, and so does
  // "*:2" with 4 as the largest. `largest` 0 (an empty mailbox): "*" stands for nothing.
  std::vector<SequenceRange> Resolve(std::uint32_t largest) const;
  friend bool operator==(const SequenceSet&, const SequenceSet&) = default;
};

// Whether ascending, merged `ranges` contain `number`.
bool Contains(const std::vector<SequenceRange>& ranges, std::uint32_t number);

// "1:3,7" of ascending numbers; empty for none.
std::string FormatSequenceSet(const std::vector<std::uint32_t>& numbers);
// The same in the order given, joining runs that ascend by one: for COPYUID, where the order of
// two sets corresponds.
std::vector<SequenceRange> ToRanges(const std::vector<std::uint32_t>& numbers);

}  // namespace posthorn::imap

#endif  // POSTHORN_LIB_IMAP_SEQUENCE_SET_H_
