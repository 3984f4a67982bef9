// sort      = "SORT" [SP "RETURN" SP search-return-opts] SP "(" sort-key *(SP sort-key) ")" SP
//             charset 1*(SP search-key)   (RFC 5256, RFC 5267)
// sort-key  = ["REVERSE" SP] ("ARRIVAL" / "CC" / "DATE" / "FROM" / "SIZE" / "SUBJECT" / "TO" /
//             "DISPLAYFROM" / "DISPLAYTO")   (RFC 5957)
#include <utility>

#include "lib/imap/parse/parse.h"

namespace posthorn::imap {
namespace {

using Kind = SortKey::Kind;

// Each has its use once.
constexpr std::size_t kMaxSortKeys = 20;

absl::StatusOr<SortKey> ParseSortKey(Cursor& in) {
  constexpr std::pair<std::string_view, Kind> kWords[] = {{"ARRIVAL", Kind::kArrival},
                                                          {"CC", Kind::kCc},
                                                          {"DATE", Kind::kDate},
                                                          {"FROM", Kind::kFrom},
                                                          {"SIZE", Kind::kSize},
                                                          {"SUBJECT", Kind::kSubject},
                                                          {"TO", Kind::kTo},
                                                          {"DISPLAYFROM", Kind::kDisplayFrom},
                                                          {"DISPLAYTO", Kind::kDisplayTo}};
  const bool reverse = in.ConsumeWord("REVERSE");
  if (reverse) {
    if (absl::Status s = ExpectSpace(in); !s.ok()) return s;
  }
  for (const auto& [word, kind] : kWords) {
    if (in.ConsumeWord(word)) return SortKey(kind, reverse);
  }
  return SyntaxError("Unknown sort key");
}

}  // namespace

absl::StatusOr<CommandBody> ParseSort(Cursor& in, bool uid) {
  SortCommand command;
  command.uid = uid;
  if (absl::Status s = ExpectSpace(in); !s.ok()) return s;
  if (in.ConsumeWord("RETURN")) {
    if (absl::Status s = ExpectSpace(in); !s.ok()) return s;
    absl::StatusOr<SearchReturn> returns = ParseSearchReturn(in);
    if (!returns.ok()) return returns.status();
    command.returns = *returns;
    if (absl::Status s = ExpectSpace(in); !s.ok()) return s;
  }
  if (!in.Consume('(')) return SyntaxError("Expected sort keys");
  do {
    absl::StatusOr<SortKey> key = ParseSortKey(in);
    if (!key.ok()) return key.status();
    command.order.push_back(*key);
    if (command.order.size() > kMaxSortKeys) return SyntaxError("Too many sort keys");
  } while (in.ConsumeSpace());
  if (!in.Consume(')')) return SyntaxError("Missing ')'");
  if (absl::Status s = ExpectSpace(in); !s.ok()) return s;
  absl::StatusOr<std::string> charset = ParseCharset(in);
  if (!charset.ok()) return charset.status();
  if (absl::Status s = ExpectSpace(in); !s.ok()) return s;
  absl::StatusOr<SearchKey> key = ParseSearchProgram(in, *std::move(charset));
  if (!key.ok()) return key.status();
  command.key = *std::move(key);
  return CommandBody(std::move(command));
}

}  // namespace posthorn::imap
