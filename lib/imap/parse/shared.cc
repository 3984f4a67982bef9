// sequence-set = (seq-number / seq-range) *("," sequence-set) / "$"   (RFC 5182)
// flag-list    = "(" [flag *(SP flag)] ")"
// mailbox      = "INBOX" / astring
// partial-range = nz-number ":" nz-number / "-" nz-number ":" "-" nz-number   (RFC 9394)
#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "lib/imap/mailbox_name.h"
#include "lib/imap/parse/parse.h"

namespace posthorn::imap {
namespace {

// Bounds what one command can ask for; a line of 64 KiB allows some 20,000.
constexpr std::size_t kMaxKeywords = 200;
constexpr std::size_t kMaxKeywordOctets = 100;

std::optional<std::uint32_t> SequenceNumber(Cursor& in) {
  if (in.Consume('*')) return kStar;
  const std::optional<std::uint32_t> number = in.Number();
  if (!number || *number == 0) return std::nullopt;
  return number;
}

bool SameWord(std::string_view a, std::string_view b) {
  return absl::EqualsIgnoreCase(absl::string_view(a.data(), a.size()),
                                absl::string_view(b.data(), b.size()));
}

}  // namespace

absl::Status ExpectSpace(Cursor& in) {
  if (!in.ConsumeSpace()) return SyntaxError("Missing arguments");
  return absl::OkStatus();
}

absl::StatusOr<std::string> ParseMailbox(Cursor& in) {
  absl::StatusOr<std::string> sent = in.AString();
  if (!sent.ok()) return sent.status();
  return DecodeMailbox(*sent, in.utf8());
}

absl::StatusOr<SequenceSet> ParseSequenceSet(Cursor& in) {
  SequenceSet set;
  if (in.Consume('$')) {
    set.saved = true;
    return set;
  }
  do {
    const std::optional<std::uint32_t> first = SequenceNumber(in);
    if (!first) return SyntaxError("Invalid sequence set");
    SequenceRange range{*first, *first};
    if (in.Consume(':')) {
      const std::optional<std::uint32_t> last = SequenceNumber(in);
      if (!last) return SyntaxError("Invalid sequence set");
      range.last = *last;
    }
    set.ranges.push_back(range);
  } while (in.Consume(','));
  return set;
}

absl::StatusOr<std::int64_t> ParseModSequence(Cursor& in) {
  const std::optional<std::uint64_t> number = in.Number64();
  if (!number || *number > INT64_MAX) return SyntaxError("Invalid mod-sequence");
  return static_cast<std::int64_t>(*number);
}

absl::StatusOr<std::int64_t> ParsePositiveModSequence(Cursor& in) {
  absl::StatusOr<std::int64_t> number = ParseModSequence(in);
  if (number.ok() && *number == 0) return SyntaxError("Invalid mod-sequence");
  return number;
}

absl::StatusOr<PartialRange> ParsePartialRange(Cursor& in) {
  PartialRange range;
  range.from_end = in.Consume('-');
  const std::optional<std::uint32_t> first = in.Number();
  if (!first || *first == 0 || !in.Consume(':') || in.Consume('-') != range.from_end) {
    return SyntaxError("Invalid partial range");
  }
  const std::optional<std::uint32_t> last = in.Number();
  if (!last || *last == 0) return SyntaxError("Invalid partial range");
  range.first = std::min(*first, *last);
  range.last = std::max(*first, *last);
  return range;
}

absl::Status ParseFlag(Cursor& in, FlagList& flags) {
  if (in.Consume('\\')) {
    constexpr std::pair<std::string_view, std::uint32_t> kSystem[] = {{"Seen", kSeen},
                                                                      {"Answered", kAnswered},
                                                                      {"Flagged", kFlagged},
                                                                      {"Deleted", kDeleted},
                                                                      {"Draft", kDraft}};
    const std::string_view name = in.Atom();
    for (const auto& [flag, bit] : kSystem) {
      if (SameWord(name, flag)) {
        flags.system |= bit;
        return absl::OkStatus();
      }
    }
    return SyntaxError("Invalid system flag");
  }
  // "]" is no atom character, but keywords with it exist.
  const std::string_view keyword = in.AtomWith("]");
  if (keyword.empty()) return SyntaxError("Invalid flag");
  if (keyword.size() > kMaxKeywordOctets) return SyntaxError("Keyword is too long");
  const bool known = std::any_of(flags.keywords.begin(), flags.keywords.end(),
                                 [&](const std::string& k) { return SameWord(k, keyword); });
  if (!known) flags.keywords.emplace_back(keyword);
  if (flags.keywords.size() > kMaxKeywords) return SyntaxError("Too many keywords");
  return absl::OkStatus();
}

absl::StatusOr<FlagList> ParseFlagList(Cursor& in) {
  if (!in.Consume('(')) return SyntaxError("Expected a flag list");
  FlagList flags;
  in.ConsumeSpace();
  while (!in.Consume(')')) {
    if (absl::Status s = ParseFlag(in, flags); !s.ok()) return s;
    if (!in.ConsumeSpace() && in.Peek() != ')') return SyntaxError("Invalid flag list");
  }
  return flags;
}

}  // namespace posthorn::imap
