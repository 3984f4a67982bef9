#include "apps/posthornctl/mail/imap_wire.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "apps/posthornctl/mail/maildir.h"
#include "lib/imap/utf7.h"

namespace posthorn::ctl {
namespace {

absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

// Takes values off a response, one after another.
class Values {
 public:
  Values(std::string_view text, const std::vector<std::string>& literals)
      : text_(text), literals_(literals) {}

  bool Empty() {
    SkipSpaces();
    return text_.empty();
  }
  bool TakeChar(char c) {
    SkipSpaces();
    if (text_.empty() || text_.front() != c) return false;
    text_.remove_prefix(1);
    return true;
  }
  // Up to a space or parenthesis; brackets go with it ("BODY[]").
  std::string Atom() {
    SkipSpaces();
    const std::size_t size = std::min(text_.find_first_of(" ()"), text_.size());
    std::string atom(text_.substr(0, size));
    text_.remove_prefix(size);
    return atom;
  }
  // A string in any form; `is_nil` and `is_body` say what it was otherwise.
  std::string String(bool& is_nil, bool& is_body) {
    SkipSpaces();
    is_nil = is_body = false;
    if (text_.empty()) return "";
    if (TakeChar(ImapResponse::kBody)) {
      is_body = true;
      return "";
    }
    if (TakeChar(ImapResponse::kLiteral)) {
      return next_ < literals_.size() ? literals_[next_++] : "";
    }
    if (text_.front() != '"') {
      std::string atom = Atom();
      is_nil = absl::EqualsIgnoreCase(atom, "NIL");
      return atom;
    }
    text_.remove_prefix(1);
    std::string value;
    while (!text_.empty() && text_.front() != '"') {
      if (text_.front() == '\\' && text_.size() > 1) text_.remove_prefix(1);
      value += text_.front();
      text_.remove_prefix(1);
    }
    if (!text_.empty()) text_.remove_prefix(1);
    return value;
  }
  // Any value, with what is in its parentheses.
  void Skip() {
    bool nil = false;
    bool body = false;
    if (!TakeChar('(')) {
      (void)String(nil, body);
      return;
    }
    for (int depth = 1; depth > 0 && !Empty();) {
      if (TakeChar('(')) {
        ++depth;
      } else if (TakeChar(')')) {
        --depth;
      } else {
        (void)String(nil, body);
      }
    }
  }

 private:
  void SkipSpaces() {
    while (!text_.empty() && text_.front() == ' ') text_.remove_prefix(1);
  }
  std::string_view text_;
  const std::vector<std::string>& literals_;
  std::size_t next_ = 0;
};

void AddFlag(const std::string& flag, ImapFetch& fetch) {
  constexpr std::pair<const char*, std::uint32_t> kFlags[] = {{"\\Seen", kSeen},
                                                              {"\\Answered", kAnswered},
                                                              {"\\Flagged", kFlagged},
                                                              {"\\Deleted", kDeleted},
                                                              {"\\Draft", kDraft}};
  for (const auto& [name, bit] : kFlags) {
    if (absl::EqualsIgnoreCase(flag, name)) fetch.flags |= bit;
  }
  if (!flag.empty() && flag.front() != '\\') fetch.keywords.push_back(flag);
}

}  // namespace

std::optional<std::uint64_t> TakeLiteral(std::string& line) {
  if (line.empty() || line.back() != '}') return std::nullopt;
  const std::size_t open = line.rfind('{');
  if (open == std::string::npos) return std::nullopt;
  absl::string_view digits(line.data() + open + 1, line.size() - open - 2);
  (void)absl::ConsumeSuffix(&digits, "+");
  std::uint64_t size = 0;
  if (digits.empty() || !absl::SimpleAtoi(digits, &size)) return std::nullopt;
  line.resize(open);
  return size;
}

bool ExpectsBody(std::string_view text) { return absl::EndsWithIgnoreCase(View(text), "BODY[] "); }

std::optional<ImapList> ParseList(const ImapResponse& response, std::string_view verb) {
  Values values(response.text, response.literals);
  if (!values.TakeChar('*') || !absl::EqualsIgnoreCase(values.Atom(), View(verb))) {
    return std::nullopt;
  }
  ImapList list;
  if (!values.TakeChar('(')) return std::nullopt;
  while (!values.Empty() && !values.TakeChar(')')) {
    const std::string attribute = values.Atom();
    if (attribute.empty()) return std::nullopt;
    if (absl::EqualsIgnoreCase(attribute, "\\Noselect") ||
        absl::EqualsIgnoreCase(attribute, "\\NonExistent")) {
      list.selectable = false;
    }
  }
  bool nil = false;
  bool body = false;
  const std::string delimiter = values.String(nil, body);
  list.delimiter = nil || delimiter.empty() ? '\0' : delimiter.front();
  list.name = values.String(nil, body);
  return list;
}

std::string MailboxOf(const ImapList& list) {
  std::vector<std::string> parts;
  if (list.delimiter == '\0') {
    parts.push_back(list.name);
  } else {
    parts = absl::StrSplit(list.name, list.delimiter, absl::SkipEmpty());
  }
  for (std::string& part : parts) {
    std::optional<std::string> decoded = imap::DecodeModifiedUtf7(part);
    if (decoded.has_value()) part = *std::move(decoded);
    std::replace(part.begin(), part.end(), '/', '_');
  }
  if (!parts.empty() && absl::EqualsIgnoreCase(parts[0], "INBOX")) parts[0] = "INBOX";
  return absl::StrJoin(parts, "/");
}

std::optional<ImapFetch> ParseFetch(const ImapResponse& response) {
  Values values(response.text, response.literals);
  if (!values.TakeChar('*')) return std::nullopt;
  std::uint32_t sequence = 0;
  if (!absl::SimpleAtoi(values.Atom(), &sequence)) return std::nullopt;
  if (!absl::EqualsIgnoreCase(values.Atom(), "FETCH") || !values.TakeChar('(')) return std::nullopt;
  ImapFetch fetch;
  bool nil = false;
  bool is_body = false;
  while (!values.Empty() && !values.TakeChar(')')) {
    const std::string item = values.Atom();
    if (item.empty()) return std::nullopt;
    if (absl::EqualsIgnoreCase(item, "UID")) {
      if (!absl::SimpleAtoi(values.Atom(), &fetch.uid)) return std::nullopt;
    } else if (absl::EqualsIgnoreCase(item, "FLAGS")) {
      if (!values.TakeChar('(')) return std::nullopt;
      while (!values.Empty() && !values.TakeChar(')')) {
        const std::string flag = values.Atom();
        if (flag.empty()) return std::nullopt;
        AddFlag(flag, fetch);
      }
    } else if (absl::EqualsIgnoreCase(item, "INTERNALDATE")) {
      const std::string text = values.String(nil, is_body);
      absl::Time time;
      std::string error;
      if (absl::ParseTime("%d-%b-%E4Y %H:%M:%S %z", absl::StripAsciiWhitespace(text), &time,
                          &error)) {
        fetch.received_micros = absl::ToUnixMicros(time);
      }
    } else if (absl::EqualsIgnoreCase(item, "BODY[]")) {
      std::string body = values.String(nil, is_body);
      fetch.has_body = !nil;
      if (!nil && !is_body) fetch.body = std::move(body);
    } else {
      values.Skip();
    }
  }
  return fetch;
}

std::optional<std::vector<std::uint32_t>> ParseSearch(std::string_view text) {
  absl::string_view rest = View(text);
  if (!absl::StartsWithIgnoreCase(rest, "* SEARCH")) return std::nullopt;
  rest.remove_prefix(std::string_view("* SEARCH").size());
  std::vector<std::uint32_t> numbers;
  for (const absl::string_view word : absl::StrSplit(rest, ' ', absl::SkipEmpty())) {
    std::uint32_t number = 0;
    if (!absl::SimpleAtoi(word, &number)) break;  // "(MODSEQ 5)"
    numbers.push_back(number);
  }
  return numbers;
}

std::optional<std::uint32_t> ParseUidValidity(std::string_view text) {
  constexpr std::string_view kCode = "* OK [UIDVALIDITY ";
  if (!absl::StartsWithIgnoreCase(View(text), View(kCode))) return std::nullopt;
  text.remove_prefix(kCode.size());
  std::uint32_t value = 0;
  if (!absl::SimpleAtoi(View(text.substr(0, text.find(']'))), &value)) return std::nullopt;
  return value;
}

std::string Quoted(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + "\"";
}

std::string SetOf(const std::vector<std::uint32_t>& numbers) {
  std::string set;
  for (std::size_t i = 0; i < numbers.size();) {
    std::size_t last = i;
    while (last + 1 < numbers.size() && numbers[last + 1] == numbers[last] + 1) ++last;
    absl::StrAppend(&set, set.empty() ? "" : ",", numbers[i]);
    if (last > i) absl::StrAppend(&set, ":", numbers[last]);
    i = last + 1;
  }
  return set;
}

}  // namespace posthorn::ctl
