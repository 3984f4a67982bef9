#include "lib/mime/preview.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "lib/mime/ascii.h"
#include "lib/mime/charset.h"
#include "lib/mime/transfer_decoder.h"

namespace posthorn::mime {
namespace {

const Part* FindText(const Part& part, std::string_view subtype) {
  if (part.kind == Part::Kind::kLeaf) {
    const bool attached = part.disposition && EqualsIgnoreCase(*part.disposition, "attachment");
    return !attached && part.IsType("text", subtype) ? &part : nullptr;
  }
  if (part.kind == Part::Kind::kMessage) return nullptr;
  for (const Part& child : part.parts) {
    if (const Part* found = FindText(child, subtype)) return found;
  }
  return nullptr;
}

void AppendUtf8(std::uint32_t c, std::string& out) {
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += static_cast<char>(0xc0 | c >> 6);
    out += static_cast<char>(0x80 | (c & 0x3f));
  } else if (c < 0x10000) {
    out += static_cast<char>(0xe0 | c >> 12);
    out += static_cast<char>(0x80 | (c >> 6 & 0x3f));
    out += static_cast<char>(0x80 | (c & 0x3f));
  } else {
    out += static_cast<char>(0xf0 | c >> 18);
    out += static_cast<char>(0x80 | (c >> 12 & 0x3f));
    out += static_cast<char>(0x80 | (c >> 6 & 0x3f));
    out += static_cast<char>(0x80 | (c & 0x3f));
  }
}

// The character that "&name;" stands for, without the marks; 0: none that is known.
std::uint32_t EntityOf(std::string_view name) {
  constexpr std::pair<std::string_view, std::uint32_t> kNamed[] = {
      {"amp", '&'},      {"lt", '<'},       {"gt", '>'},        {"quot", '"'},    {"apos", '\''},
      {"nbsp", ' '},     {"zwnj", ' '},     {"shy", 0xad},      {"copy", 0xa9},   {"reg", 0xae},
      {"ndash", 0x2013}, {"mdash", 0x2014}, {"hellip", 0x2026}, {"bull", 0x2022}, {"lsquo", 0x2018},
      {"rsquo", 0x2019}, {"ldquo", 0x201c}, {"rdquo", 0x201d},  {"euro", 0x20ac}};
  for (const auto& [known, c] : kNamed) {
    if (name == known) return c;
  }
  if (name.size() < 2 || name[0] != '#') return 0;
  const bool hex = name[1] == 'x' || name[1] == 'X';
  std::uint32_t value = 0;
  std::string_view digits = name.substr(hex ? 2 : 1);
  if (digits.empty() || digits.size() > 7) return 0;
  for (const char c : digits) {
    const char lower = AsciiLower(c);
    std::uint32_t digit = 16;
    if (lower >= '0' && lower <= '9') digit = static_cast<std::uint32_t>(lower - '0');
    if (hex && lower >= 'a' && lower <= 'f') digit = static_cast<std::uint32_t>(lower - 'a' + 10);
    if (digit > (hex ? 15u : 9u)) return 0;
    value = value * (hex ? 16 : 10) + digit;
  }
  const bool surrogate = value >= 0xd800 && value < 0xe000;
  return value > 0x10ffff || surrogate ? 0 : value;
}

// The text of HTML that may end anywhere.
class Markup {
 public:
  explicit Markup(std::string_view html) : rest_(html) {}

  std::string Text() {
    while (!rest_.empty()) {
      if (rest_.front() == '<') {
        Tag();
      } else if (rest_.front() == '&') {
        Entity();
      } else {
        const std::size_t end = std::min(rest_.find_first_of("<&"), rest_.size());
        if (hidden_.empty()) text_ += rest_.substr(0, end);
        rest_.remove_prefix(end);
      }
    }
    return std::move(text_);
  }

 private:
  void Tag() {
    if (rest_.substr(0, 4) == "<!--") {
      Skip(rest_.find("-->", 4), 3);
      return;
    }
    // What a script compares with "<" begins no element.
    if (!hidden_.empty() &&
        !EqualsIgnoreCase(rest_.substr(0, hidden_.size() + 2), "</" + hidden_)) {
      rest_.remove_prefix(1);
      return;
    }
    std::size_t end = 1;
    char quote = 0;
    for (; end < rest_.size(); ++end) {
      const char c = rest_[end];
      if (quote != 0) {
        if (c == quote) quote = 0;
      } else if (c == '>') {
        break;
      } else if ((c == '"' || c == '\'') && rest_[end - 1] == '=') {
        quote = c;
      }
    }
    std::string_view inside = rest_.substr(1, end - 1);
    rest_.remove_prefix(std::min(end + 1, rest_.size()));
    const bool closes = !inside.empty() && inside.front() == '/';
    if (closes) inside.remove_prefix(1);
    std::string name(inside.substr(0, std::min(inside.find_first_of(" \t\r\n/"), inside.size())));
    std::transform(name.begin(), name.end(), name.begin(), AsciiLower);
    if (!hidden_.empty()) {
      if (name == hidden_) hidden_.clear();
      return;
    }
    constexpr std::string_view kHidden[] = {"head", "script", "style", "title", "template"};
    if (!closes && std::find(std::begin(kHidden), std::end(kHidden), name) != std::end(kHidden)) {
      hidden_ = std::move(name);
      return;
    }
    constexpr std::string_view kInline[] = {"a", "b",    "i",      "u",     "em",  "span", "font",
                                            "s", "code", "strong", "small", "sub", "sup",  "wbr"};
    if (std::find(std::begin(kInline), std::end(kInline), name) == std::end(kInline)) text_ += ' ';
  }

  void Entity() {
    constexpr std::size_t kLongest = 10;
    const std::size_t end = rest_.substr(0, kLongest).find(';');
    const std::uint32_t c = end == std::string_view::npos ? 0 : EntityOf(rest_.substr(1, end - 1));
    const std::size_t size = c == 0 ? 1 : end + 1;
    if (hidden_.empty()) {
      if (c == 0) {
        text_ += '&';
      } else {
        AppendUtf8(c, text_);
      }
    }
    rest_.remove_prefix(size);
  }

  void Skip(std::size_t at, std::size_t size) {
    rest_.remove_prefix(at == std::string_view::npos ? rest_.size() : at + size);
  }

  std::string_view rest_;
  std::string hidden_;  // the element whose content does not show; empty: none
  std::string text_;
};

std::string WithoutQuotes(std::string_view text) {
  std::string kept;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size() - 1);
    const std::string_view line = text.substr(0, end + 1);
    if (line.front() != '>') kept += line;
    text.remove_prefix(line.size());
  }
  return kept;
}

// The length of the white space or control character that well-formed `text` begins with; 0: none.
std::size_t BlankAt(std::string_view text) {
  const auto octet = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  if (octet(0) <= 0x20 || octet(0) == 0x7f) return 1;
  // U+0080 to U+00A0 and the soft hyphen; U+2000 to U+200F, U+2028 to U+202F, U+2060, U+FEFF.
  if (text.size() >= 2 && octet(0) == 0xc2 && (octet(1) <= 0xa0 || octet(1) == 0xad)) return 2;
  if (text.size() < 3) return 0;
  if (octet(0) == 0xe2 && octet(1) == 0x80 &&
      (octet(2) <= 0x8f || (octet(2) >= 0xa8 && octet(2) <= 0xaf))) {
    return 3;
  }
  if (octet(0) == 0xe2 && octet(1) == 0x81 && octet(2) == 0xa0) return 3;
  if (octet(0) == 0xef && octet(1) == 0xbb && octet(2) == 0xbf) return 3;
  return 0;
}

// `text` is well-formed.
std::string Shorten(std::string_view text) {
  std::string out;
  std::size_t characters = 0;
  bool blank = false;
  while (!text.empty() && characters < kMaxPreviewCharacters) {
    if (const std::size_t size = BlankAt(text); size > 0) {
      blank = !out.empty();
      text.remove_prefix(size);
      continue;
    }
    if (blank) {
      out += ' ';
      blank = false;
      if (++characters == kMaxPreviewCharacters) break;
    }
    std::size_t size = 1;
    while (size < text.size() && (static_cast<unsigned char>(text[size]) & 0xc0) == 0x80) ++size;
    out += text.substr(0, size);
    ++characters;
    text.remove_prefix(size);
  }
  if (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

}  // namespace

const Part* PreviewPart(const Structure& structure) {
  const Part* plain = FindText(structure.root, "plain");
  return plain != nullptr ? plain : FindText(structure.root, "html");
}

std::string PreviewOf(const Part& part, std::string_view bytes) {
  std::string decoded;
  TransferDecoder transfer(part.encoding);
  transfer.Decode(bytes.substr(0, kPreviewOctets), &decoded);
  // A body that was cut may end within a character: what is held back is left out.
  if (bytes.size() < kPreviewOctets) transfer.Finish(&decoded);
  const std::string* charset = part.Param("charset");
  std::string text;
  CharsetDecoder characters(charset == nullptr ? std::string_view("us-ascii") : *charset);
  characters.Decode(decoded, bytes.size() < kPreviewOctets, &text);
  return Shorten(part.IsType("text", "html") ? Markup(text).Text() : WithoutQuotes(text));
}

}  // namespace posthorn::mime
