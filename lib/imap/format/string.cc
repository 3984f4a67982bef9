#include <algorithm>
#include <charconv>

#include "absl/strings/match.h"
#include "lib/imap/cursor.h"
#include "lib/imap/format/format.h"
#include "lib/imap/utf7.h"

namespace posthorn::imap {
namespace {

// Longer quoted strings are legal, but some clients have short buffers for a line.
constexpr std::size_t kMaxQuoted = 1000;

}  // namespace

void AppendNumber(std::uint64_t number, std::string& out) {
  char buffer[20];
  const std::to_chars_result result = std::to_chars(buffer, buffer + sizeof buffer, number);
  out.append(buffer, static_cast<std::size_t>(result.ptr - buffer));
}

void AppendLiteralMark(std::uint64_t size, std::string& out) {
  out += '{';
  AppendNumber(size, out);
  out += "}\r\n";
}

void AppendString(std::string_view text, std::string& out) {
  bool escape = false;
  bool literal = text.size() > kMaxQuoted;
  for (const char c : text) {
    if (c == '"' || c == '\\') escape = true;
    if (static_cast<signed char>(c) <= 0 || c == '\r' || c == '\n') literal = true;
  }
  if (literal) {
    AppendLiteralMark(text.size(), out);
    out += text;
    return;
  }
  out += '"';
  if (!escape) {
    out += text;
  } else {
    for (const char c : text) {
      if (c == '"' || c == '\\') out += '\\';
      out += c;
    }
  }
  out += '"';
}

void AppendAString(std::string_view text, std::string& out) {
  bool atom =
      !text.empty() && !absl::EqualsIgnoreCase(absl::string_view(text.data(), text.size()), "NIL");
  for (const char c : text) atom = atom && (IsAtomChar(c) || c == ']');
  if (atom) {
    out += text;
  } else {
    AppendString(text, out);
  }
}

void AppendNString(const std::optional<std::string>& text, std::string& out) {
  if (text) {
    AppendString(*text, out);
  } else {
    out += "NIL";
  }
}

void AppendMailbox(std::string_view name, bool utf8, std::string& out) {
  const bool ascii =
      std::all_of(name.begin(), name.end(), [](char c) { return static_cast<signed char>(c) > 0; });
  if (!utf8 || ascii) {
    AppendAString(utf8 ? std::string(name) : EncodeModifiedUtf7(name), out);
    return;
  }
  // RFC 6855 section 3: UTF-8 stands in quoted strings. Names have no control characters.
  out += '"';
  for (const char c : name) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  out += '"';
}

}  // namespace posthorn::imap
