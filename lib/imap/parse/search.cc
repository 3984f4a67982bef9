// search     = "SEARCH" [SP "RETURN" SP search-return-opts] [SP "CHARSET" SP astring]
//              1*(SP search-key)
// search-return-opts = "(" [search-return-opt *(SP search-return-opt)] ")"
// search-return-opt  = "MIN" / "MAX" / "ALL" / "COUNT" / "SAVE" /
//                      "PARTIAL" SP partial-range   (RFC 4731, RFC 5182, RFC 9394)
// search-key = the words of RFC 3501 section 6.4.4 / ("OLDER" / "YOUNGER") SP nz-number (RFC 5032)
//              / ("SAVEDBEFORE" / "SAVEDON" / "SAVEDSINCE") SP date / "SAVEDATESUPPORTED" (RFC
//              8514) / ("EMAILID" / "THREADID") SP objectid (RFC 8474) / ("UIDAFTER" / "UIDBEFORE") SP
//              uniqueid (RFC 9738) / "MODSEQ" [SP entry-name SP
//              entry-type-req] SP mod-sequence-valzer (RFC 7162) / sequence-set / "(" search-key
//              *(SP search-key)
//              ")" / "NOT" SP search-key / "OR" SP search-key SP search-key
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "lib/base/failure.h"
#include "lib/imap/date_time.h"
#include "lib/imap/parse/parse.h"
#include "lib/imap/utf7.h"
#include "lib/mime/charset.h"

namespace posthorn::imap {
namespace {

using Kind = SearchKey::Kind;

constexpr int kMaxDepth = 50;
constexpr int kMaxKeys = 1000;

enum class Argument { kNone, kText, kHeaderText, kDate, kNumber, kPositive, kObjectId };

struct Word {
  std::string_view name;
  Kind kind;
  Argument argument = Argument::kNone;
  std::uint32_t flag = 0;
  bool negated = false;
};

constexpr Word kWords[] = {
    {"ALL", Kind::kAll},
    {"ANSWERED", Kind::kFlag, Argument::kNone, kAnswered},
    {"DELETED", Kind::kFlag, Argument::kNone, kDeleted},
    {"DRAFT", Kind::kFlag, Argument::kNone, kDraft},
    {"FLAGGED", Kind::kFlag, Argument::kNone, kFlagged},
    {"SEEN", Kind::kFlag, Argument::kNone, kSeen},
    {"RECENT", Kind::kFlag, Argument::kNone, kRecent},
    {"UNANSWERED", Kind::kFlag, Argument::kNone, kAnswered, true},
    {"UNDELETED", Kind::kFlag, Argument::kNone, kDeleted, true},
    {"UNDRAFT", Kind::kFlag, Argument::kNone, kDraft, true},
    {"UNFLAGGED", Kind::kFlag, Argument::kNone, kFlagged, true},
    {"UNSEEN", Kind::kFlag, Argument::kNone, kSeen, true},
    {"OLD", Kind::kFlag, Argument::kNone, kRecent, true},
    {"NEW", Kind::kNew},
    {"BCC", Kind::kHeader, Argument::kHeaderText},
    {"CC", Kind::kHeader, Argument::kHeaderText},
    {"FROM", Kind::kHeader, Argument::kHeaderText},
    {"SUBJECT", Kind::kHeader, Argument::kHeaderText},
    {"TO", Kind::kHeader, Argument::kHeaderText},
    {"BODY", Kind::kBody, Argument::kText},
    {"TEXT", Kind::kText, Argument::kText},
    {"BEFORE", Kind::kBefore, Argument::kDate},
    {"ON", Kind::kOn, Argument::kDate},
    {"SINCE", Kind::kSince, Argument::kDate},
    {"SENTBEFORE", Kind::kSentBefore, Argument::kDate},
    {"SENTON", Kind::kSentOn, Argument::kDate},
    {"SENTSINCE", Kind::kSentSince, Argument::kDate},
    {"SAVEDBEFORE", Kind::kSavedBefore, Argument::kDate},
    {"SAVEDON", Kind::kSavedOn, Argument::kDate},
    {"SAVEDSINCE", Kind::kSavedSince, Argument::kDate},
    {"SAVEDATESUPPORTED", Kind::kAll},
    {"EMAILID", Kind::kEmailId, Argument::kObjectId},
    {"THREADID", Kind::kThreadId, Argument::kObjectId},
    {"LARGER", Kind::kLarger, Argument::kNumber},
    {"SMALLER", Kind::kSmaller, Argument::kNumber},
    {"OLDER", Kind::kOlder, Argument::kPositive},
    {"YOUNGER", Kind::kYounger, Argument::kPositive},
    {"UIDAFTER", Kind::kUidAfter, Argument::kPositive},
    {"UIDBEFORE", Kind::kUidBefore, Argument::kPositive},
};

class Parser {
 public:
  // Texts are in `charset`; empty: UTF-8.
  Parser(Cursor& in, std::string charset) : in_(in), charset_(std::move(charset)) {}

  absl::StatusOr<SearchKey> Key(int depth) {
    if (depth > kMaxDepth) return SyntaxError("Search is nested too deeply");
    if (++keys_ > kMaxKeys) return SyntaxError("Too many search keys");
    const char next = in_.Peek();
    if (next == '*' || next == '$' || absl::ascii_isdigit(static_cast<unsigned char>(next))) {
      return Set(Kind::kSequence);
    }
    if (in_.Consume('(')) {
      absl::StatusOr<SearchKey> list = List(depth + 1);
      if (list.ok() && !in_.Consume(')')) return SyntaxError("Missing ')'");
      return list;
    }
    if (in_.ConsumeWord("NOT")) {
      if (absl::Status s = ExpectSpace(in_); !s.ok()) return s;
      absl::StatusOr<SearchKey> key = Key(depth + 1);
      if (!key.ok()) return key.status();
      return Not(*std::move(key));
    }
    if (in_.ConsumeWord("OR")) return Or(depth + 1);
    if (in_.ConsumeWord("UID")) {
      if (absl::Status s = ExpectSpace(in_); !s.ok()) return s;
      return Set(Kind::kUid);
    }
    if (in_.ConsumeWord("KEYWORD")) return Keyword();
    if (in_.ConsumeWord("UNKEYWORD")) {
      absl::StatusOr<SearchKey> key = Keyword();
      if (!key.ok()) return key.status();
      return Not(*std::move(key));
    }
    if (in_.ConsumeWord("HEADER")) return Header();
    if (in_.ConsumeWord("MODSEQ")) return ModSeq();
    for (const Word& word : kWords) {
      if (in_.ConsumeWord(word.name)) return FromWord(word);
    }
    return SyntaxError("Unknown search key");
  }

  // search-key *(SP search-key), as one kAnd.
  absl::StatusOr<SearchKey> List(int depth) {
    SearchKey all(Kind::kAnd);
    do {
      absl::StatusOr<SearchKey> key = Key(depth);
      if (!key.ok()) return key.status();
      all.children.push_back(*std::move(key));
    } while (in_.ConsumeSpace() && !in_.AtEnd() && in_.Peek() != ')');
    return all;
  }

 private:
  static SearchKey Not(SearchKey key) {
    SearchKey result(Kind::kNot);
    result.children.push_back(std::move(key));
    return result;
  }

  absl::StatusOr<SearchKey> Or(int depth) {
    SearchKey result(Kind::kOr);
    for (int i = 0; i < 2; ++i) {
      if (absl::Status s = ExpectSpace(in_); !s.ok()) return s;
      absl::StatusOr<SearchKey> key = Key(depth);
      if (!key.ok()) return key.status();
      result.children.push_back(*std::move(key));
    }
    return result;
  }

  absl::StatusOr<SearchKey> Set(Kind kind) {
    absl::StatusOr<SequenceSet> set = ParseSequenceSet(in_);
    if (!set.ok()) return set.status();
    SearchKey key(kind);
    key.set = *std::move(set);
    return key;
  }

  absl::StatusOr<SearchKey> Keyword() {
    if (absl::Status s = ExpectSpace(in_); !s.ok()) return s;
    SearchKey key(Kind::kKeyword);
    key.text = std::string(in_.AtomWith("]"));
    if (key.text.empty()) return SyntaxError("Expected a keyword");
    return key;
  }

  absl::StatusOr<std::string> Text() {
    if (absl::Status s = ExpectSpace(in_); !s.ok()) return s;
    absl::StatusOr<std::string> text = in_.AString();
    if (!text.ok()) return text;
    if (!charset_.empty()) {
      std::optional<std::string> converted = mime::ToUtf8(charset_, *text);
      if (!converted) return MakeFailure(Failure::kBadCharset);
      return *std::move(converted);
    }
    // 8-bit text without CHARSET happens; UTF-8 is what it is.
    if (!IsValidUtf8(*text)) return SyntaxError("Search text is not valid in its charset");
    return text;
  }

  absl::StatusOr<SearchKey> Header() {
    SearchKey key(Kind::kHeader);
    if (absl::Status s = ExpectSpace(in_); !s.ok()) return s;
    absl::StatusOr<std::string> name = in_.AString();
    if (!name.ok()) return name.status();
    key.name = *std::move(name);
    absl::StatusOr<std::string> text = Text();
    if (!text.ok()) return text.status();
    key.text = *std::move(text);
    return key;
  }

  // MODSEQ counts for a whole message here, whatever entry is named.
  absl::StatusOr<SearchKey> ModSeq() {
    if (absl::Status s = ExpectSpace(in_); !s.ok()) return s;
    if (in_.Peek() == '"') {
      absl::StatusOr<std::string> entry = in_.String();
      if (!entry.ok()) return entry.status();
      if (!absl::StartsWithIgnoreCase(*entry, "/flags/")) return SyntaxError("Unknown entry");
      if (absl::Status s = ExpectSpace(in_); !s.ok()) return s;
      if (!in_.ConsumeWord("all") && !in_.ConsumeWord("priv") && !in_.ConsumeWord("shared")) {
        return SyntaxError("Unknown entry type");
      }
      if (absl::Status s = ExpectSpace(in_); !s.ok()) return s;
    }
    absl::StatusOr<std::int64_t> modseq = ParseModSequence(in_);
    if (!modseq.ok()) return modseq.status();
    SearchKey key(Kind::kModSeq);
    key.modseq = *modseq;
    return key;
  }

  absl::StatusOr<SearchKey> FromWord(const Word& word) {
    SearchKey key(word.kind);
    key.number = word.flag;
    if (word.argument == Argument::kHeaderText) key.name = std::string(word.name);
    if (word.argument == Argument::kText || word.argument == Argument::kHeaderText) {
      absl::StatusOr<std::string> text = Text();
      if (!text.ok()) return text.status();
      key.text = *std::move(text);
    } else if (word.argument == Argument::kDate) {
      if (absl::Status s = ExpectSpace(in_); !s.ok()) return s;
      absl::StatusOr<std::string> text = in_.AString();
      if (!text.ok()) return text.status();
      const std::optional<std::int32_t> days = ParseDate(*text);
      if (!days) return SyntaxError("Invalid date");
      key.days = *days;
    } else if (word.argument == Argument::kNumber || word.argument == Argument::kPositive) {
      if (absl::Status s = ExpectSpace(in_); !s.ok()) return s;
      const std::optional<std::uint32_t> number = in_.Number();
      if (!number || (*number == 0 && word.argument == Argument::kPositive)) {
        return SyntaxError("Expected a number");
      }
      key.number = *number;
    } else if (word.argument == Argument::kObjectId) {
      if (absl::Status s = ExpectSpace(in_); !s.ok()) return s;
      key.text = std::string(in_.Atom());
      if (key.text.empty()) return SyntaxError("Expected an object id");
    }
    return word.negated ? Not(std::move(key)) : std::move(key);
  }

  Cursor& in_;
  const std::string charset_;
  int keys_ = 0;
};

}  // namespace

absl::StatusOr<SearchKey> ParseSearchProgram(Cursor& in, std::string charset) {
  const absl::string_view name(charset);
  if (absl::EqualsIgnoreCase(name, "UTF-8") || absl::EqualsIgnoreCase(name, "US-ASCII")) {
    charset.clear();
  } else if (!charset.empty() && !mime::IsKnownCharset(charset)) {
    return MakeFailure(Failure::kBadCharset);
  }
  Parser parser(in, std::move(charset));
  return parser.List(0);
}

absl::StatusOr<std::string> ParseCharset(Cursor& in) {
  absl::StatusOr<std::string> name = in.AString();
  if (name.ok() && name->empty()) return MakeFailure(Failure::kBadCharset);
  return name;
}

absl::StatusOr<SearchReturn> ParseSearchReturn(Cursor& in) {
  if (!in.Consume('(')) return SyntaxError("Expected result options");
  SearchReturn returns;
  bool any = false;
  while (!in.Consume(')')) {
    any = true;
    if (in.ConsumeWord("MIN")) {
      returns.min = true;
    } else if (in.ConsumeWord("MAX")) {
      returns.max = true;
    } else if (in.ConsumeWord("ALL")) {
      returns.all = true;
    } else if (in.ConsumeWord("COUNT")) {
      returns.count = true;
    } else if (in.ConsumeWord("SAVE")) {
      returns.save = true;
    } else if (in.ConsumeWord("PARTIAL") && !returns.partial) {
      if (absl::Status s = ExpectSpace(in); !s.ok()) return s;
      absl::StatusOr<PartialRange> partial = ParsePartialRange(in);
      if (!partial.ok()) return partial.status();
      returns.partial = *partial;
    } else {
      return SyntaxError("Unknown result option");
    }
    if (!in.ConsumeSpace() && in.Peek() != ')') return SyntaxError("Invalid result options");
  }
  if (!any) returns.all = true;
  // RFC 9394 section 3.1.
  if (returns.all && returns.partial) return SyntaxError("ALL and PARTIAL exclude each other");
  return returns;
}

absl::StatusOr<CommandBody> ParseSearch(Cursor& in, bool uid) {
  if (absl::Status s = ExpectSpace(in); !s.ok()) return s;
  SearchCommand command;
  command.uid = uid;
  if (in.ConsumeWord("RETURN")) {
    if (absl::Status s = ExpectSpace(in); !s.ok()) return s;
    absl::StatusOr<SearchReturn> returns = ParseSearchReturn(in);
    if (!returns.ok()) return returns.status();
    command.returns = *returns;
    if (absl::Status s = ExpectSpace(in); !s.ok()) return s;
  }
  std::string charset;
  if (in.ConsumeWord("CHARSET")) {
    if (absl::Status s = ExpectSpace(in); !s.ok()) return s;
    absl::StatusOr<std::string> name = ParseCharset(in);
    if (!name.ok()) return name.status();
    charset = *std::move(name);
    command.charset = true;
    if (absl::Status s = ExpectSpace(in); !s.ok()) return s;
  }
  absl::StatusOr<SearchKey> key = ParseSearchProgram(in, std::move(charset));
  if (!key.ok()) return key.status();
  command.key = *std::move(key);
  return CommandBody(std::move(command));
}

}  // namespace posthorn::imap
