// fetch     = "FETCH" SP sequence-set SP ("ALL" / "FULL" / "FAST" / fetch-att /
//             "(" fetch-att *(SP fetch-att) ")") [SP fetch-modifiers]
// fetch-modifiers = "(" fetch-modifier *(SP fetch-modifier) ")"   (RFC 4466)
// fetch-modifier  = "PARTIAL" SP partial-range / "CHANGEDSINCE" SP mod-sequence-value /
//                   "VANISHED"   (RFC 9394, RFC 7162)
// fetch-att = "ENVELOPE" / "FLAGS" / "INTERNALDATE" / "RFC822" [".HEADER" / ".SIZE" / ".TEXT"] /
//             "BODY" ["STRUCTURE"] / "UID" / "MODSEQ" / "BODY" [".PEEK"] section [partial] /
//             "SAVEDATE" / "EMAILID" / "THREADID" / "PREVIEW" [SP "(" "LAZY" ")"] /
//             "BINARY" [".PEEK"] section-binary [partial] / "BINARY.SIZE" section-binary
//             (RFC 8514, RFC 8474, RFC 8970, RFC 3516)
// section-binary = "[" [nz-number *("." nz-number)] "]"
// partial   = "<" number64 "." nz-number64 ">"
// section   = "[" [section-msgtext / (nz-number *("." nz-number) ["." (section-msgtext / "MIME")])]
//             "]"
// section-msgtext = "HEADER" / "HEADER.FIELDS" [".NOT"] SP "(" astring *(SP astring) ")" / "TEXT"
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "lib/imap/parse/parse.h"

namespace posthorn::imap {
namespace {

using Kind = FetchItem::Kind;

constexpr std::size_t kMaxItems = 500;
constexpr std::size_t kMaxPartDepth = 200;

FetchItem Item(Kind kind) {
  FetchItem item;
  item.kind = kind;
  return item;
}

absl::Status ParseFields(Cursor& in, Section& section) {
  if (!in.ConsumeSpace() || !in.Consume('(')) return SyntaxError("Expected header names");
  do {
    absl::StatusOr<std::string> name = in.AString();
    if (!name.ok()) return name.status();
    section.fields.push_back(*std::move(name));
  } while (in.ConsumeSpace() && in.Peek() != ')');
  if (!in.Consume(')')) return SyntaxError("Missing ')'");
  return absl::OkStatus();
}

// HEADER, HEADER.FIELDS, HEADER.FIELDS.NOT, TEXT or MIME at the cursor.
absl::Status ParseSectionText(Cursor& in, Section& section) {
  if (in.ConsumeWord("HEADER.FIELDS.NOT")) {
    section.text = Section::Text::kHeaderFieldsNot;
    return ParseFields(in, section);
  }
  if (in.ConsumeWord("HEADER.FIELDS")) {
    section.text = Section::Text::kHeaderFields;
    return ParseFields(in, section);
  }
  if (in.ConsumeWord("HEADER")) {
    section.text = Section::Text::kHeader;
  } else if (in.ConsumeWord("TEXT")) {
    section.text = Section::Text::kText;
  } else if (!section.part.empty() && in.ConsumeWord("MIME")) {
    section.text = Section::Text::kMime;
  } else {
    return SyntaxError("Invalid section");
  }
  return absl::OkStatus();
}

absl::Status ParseSection(Cursor& in, Section& section) {
  if (in.Consume(']')) return absl::OkStatus();
  bool expect_text = true;
  while (absl::ascii_isdigit(static_cast<unsigned char>(in.Peek()))) {
    const std::optional<std::uint32_t> number = in.Number();
    if (!number || *number == 0 || section.part.size() == kMaxPartDepth) {
      return SyntaxError("Invalid section");
    }
    section.part.push_back(*number);
    expect_text = in.Consume('.');
    if (!expect_text) break;
  }
  if (expect_text) {
    if (absl::Status s = ParseSectionText(in, section); !s.ok()) return s;
  }
  if (!in.Consume(']')) return SyntaxError("Missing ']'");
  return absl::OkStatus();
}

absl::Status ParsePartial(Cursor& in, FetchItem& item) {
  if (!in.Consume('<')) return absl::OkStatus();
  const std::optional<std::uint64_t> offset = in.Number64();
  if (!offset || !in.Consume('.')) return SyntaxError("Invalid partial range");
  const std::optional<std::uint64_t> count = in.Number64();
  if (!count || *count == 0 || !in.Consume('>')) return SyntaxError("Invalid partial range");
  item.partial = FetchItem::Partial{*offset, *count};
  return absl::OkStatus();
}

// [SP "(" "LAZY" ")"] after PREVIEW.
absl::StatusOr<FetchItem> ParsePreview(Cursor& in) {
  FetchItem item = Item(Kind::kPreview);
  Cursor ahead = in;
  if (!ahead.ConsumeSpace() || !ahead.Consume('(')) return item;
  if (!ahead.ConsumeWord("LAZY")) {
    // RFC 8970 section 3.1 knows no other modifier; what follows may be FETCH's own.
    return item;
  }
  if (!ahead.Consume(')')) return SyntaxError("Unknown preview modifier");
  in = ahead;
  item.lazy = true;
  return item;
}

// section-binary [partial] after the item's name.
absl::StatusOr<FetchItem> ParseBinary(Cursor& in, Kind kind) {
  FetchItem item = Item(kind);
  if (!in.Consume('[')) return SyntaxError("Expected a section");
  if (absl::Status s = ParseSection(in, item.section); !s.ok()) return s;
  if (item.section.text != Section::Text::kAll) return SyntaxError("Invalid section");
  if (kind == Kind::kBinary) {
    if (absl::Status s = ParsePartial(in, item); !s.ok()) return s;
  }
  return item;
}

absl::StatusOr<FetchItem> ParseItem(Cursor& in) {
  constexpr std::pair<std::string_view, Kind> kWords[] = {{"UID", Kind::kUid},
                                                          {"MODSEQ", Kind::kModSeq},
                                                          {"SAVEDATE", Kind::kSaveDate},
                                                          {"EMAILID", Kind::kEmailId},
                                                          {"THREADID", Kind::kThreadId},
                                                          {"FLAGS", Kind::kFlags},
                                                          {"ENVELOPE", Kind::kEnvelope},
                                                          {"INTERNALDATE", Kind::kInternalDate},
                                                          {"RFC822.SIZE", Kind::kRfc822Size},
                                                          {"RFC822.HEADER", Kind::kRfc822Header},
                                                          {"RFC822.TEXT", Kind::kRfc822Text},
                                                          {"RFC822", Kind::kRfc822},
                                                          {"BODYSTRUCTURE", Kind::kBodyStructure}};
  for (const auto& [word, kind] : kWords) {
    if (in.ConsumeWord(word)) return Item(kind);
  }
  if (in.ConsumeWord("PREVIEW")) return ParsePreview(in);
  if (in.ConsumeWord("BINARY.SIZE")) return ParseBinary(in, Kind::kBinarySize);
  if (in.ConsumeWord("BINARY.PEEK")) {
    absl::StatusOr<FetchItem> item = ParseBinary(in, Kind::kBinary);
    if (item.ok()) item->peek = true;
    return item;
  }
  if (in.ConsumeWord("BINARY")) return ParseBinary(in, Kind::kBinary);
  FetchItem item = Item(Kind::kBody);
  if (in.ConsumeWord("BODY.PEEK")) {
    item.peek = true;
    if (in.Peek() != '[') return SyntaxError("Expected a section");
  } else if (!in.ConsumeWord("BODY")) {
    return SyntaxError("Unknown fetch item");
  }
  if (in.Consume('[')) {
    item.kind = Kind::kBodySection;
    if (absl::Status s = ParseSection(in, item.section); !s.ok()) return s;
    if (absl::Status s = ParsePartial(in, item); !s.ok()) return s;
  }
  return item;
}

bool ParseMacro(Cursor& in, std::vector<FetchItem>& items) {
  const bool full = in.ConsumeWord("FULL");
  const bool all = full || in.ConsumeWord("ALL");
  if (!all && !in.ConsumeWord("FAST")) return false;
  items.push_back(Item(Kind::kFlags));
  items.push_back(Item(Kind::kInternalDate));
  items.push_back(Item(Kind::kRfc822Size));
  if (all) items.push_back(Item(Kind::kEnvelope));
  if (full) items.push_back(Item(Kind::kBody));
  return true;
}

absl::Status ParseItems(Cursor& in, std::vector<FetchItem>& items) {
  if (ParseMacro(in, items)) return absl::OkStatus();
  const bool several = in.Consume('(');
  do {
    absl::StatusOr<FetchItem> item = ParseItem(in);
    if (!item.ok()) return item.status();
    items.push_back(*std::move(item));
    if (items.size() > kMaxItems) return SyntaxError("Too many fetch items");
  } while (several && in.ConsumeSpace() && in.Peek() != ')');
  if (several && !in.Consume(')')) return SyntaxError("Missing ')'");
  return absl::OkStatus();
}

absl::Status ParseModifiers(Cursor& in, FetchCommand& command) {
  if (!in.Consume('(')) return SyntaxError("Expected fetch modifiers");
  do {
    if (in.ConsumeWord("PARTIAL") && !command.partial) {
      if (absl::Status s = ExpectSpace(in); !s.ok()) return s;
      absl::StatusOr<PartialRange> partial = ParsePartialRange(in);
      if (!partial.ok()) return partial.status();
      command.partial = *partial;
    } else if (in.ConsumeWord("CHANGEDSINCE") && !command.changed_since) {
      if (absl::Status s = ExpectSpace(in); !s.ok()) return s;
      absl::StatusOr<std::int64_t> modseq = ParseModSequence(in);
      if (!modseq.ok()) return modseq.status();
      command.changed_since = *modseq;
    } else if (in.ConsumeWord("VANISHED")) {
      command.vanished = true;
    } else {
      return SyntaxError("Unknown fetch modifier");
    }
  } while (in.ConsumeSpace());
  if (!in.Consume(')')) return SyntaxError("Missing ')'");
  // RFC 7162 section 3.2.6.
  if (command.vanished && (!command.uid || !command.changed_since)) {
    return SyntaxError("VANISHED needs UID FETCH and CHANGEDSINCE");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<CommandBody> ParseFetch(Cursor& in, bool uid) {
  FetchCommand command;
  command.uid = uid;
  if (absl::Status s = ExpectSpace(in); !s.ok()) return s;
  absl::StatusOr<SequenceSet> set = ParseSequenceSet(in);
  if (!set.ok()) return set.status();
  command.set = *std::move(set);
  if (absl::Status s = ExpectSpace(in); !s.ok()) return s;
  if (absl::Status s = ParseItems(in, command.items); !s.ok()) return s;
  if (in.ConsumeSpace() && !in.AtEnd()) {
    if (absl::Status s = ParseModifiers(in, command); !s.ok()) return s;
  }
  return CommandBody(std::move(command));
}

}  // namespace posthorn::imap
