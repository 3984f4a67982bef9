// Grammar (RFC 2045 section 5.1): type "/" subtype *(";" token "=" (token / quoted-string)), with
// comments and white space between tokens. Empty names and values are accepted, and what follows a
// value is skipped up to the next ";".

#include "lib/mime/content_fields.h"

#include <algorithm>
#include <utility>

#include "lib/mime/ascii.h"
#include "lib/mime/lexer.h"

namespace posthorn::mime {
namespace {

constexpr std::size_t kMaxParams = 200;
constexpr std::size_t kMaxLanguages = 100;

// To the next ";" or the end.
void SkipRest(Lexer& lexer) {
  while (!lexer.at_end() && lexer.Peek() != ';') lexer.Advance();
}

// One "*N" or "*N*" of RFC 2231 section 3.
struct Section {
  std::string name;  // without the number
  int number = 0;
  std::string value;
  std::string written;
};

std::optional<Section> AsSection(const Parameter& param) {
  std::string_view name = param.name;
  const bool encoded = !name.empty() && name.back() == '*';
  if (encoded) name.remove_suffix(1);
  const std::size_t star = name.rfind('*');
  if (star == std::string_view::npos || star == 0 || star + 1 == name.size() ||
      name.size() - star > 4) {
    return std::nullopt;
  }
  Section section;
  for (const char c : name.substr(star + 1)) {
    if (c < '0' || c > '9') return std::nullopt;
    section.number = section.number * 10 + (c - '0');
  }
  section.name = std::string(name.substr(0, star));
  // The first section says whether the value starts with a charset.
  if (encoded && section.number == 0) section.name.push_back('*');
  section.value = param.value;
  section.written = param.name;
  return section;
}

std::string_view BaseName(const Section& section) {
  std::string_view name = section.name;
  if (name.back() == '*') name.remove_suffix(1);
  return name;
}

// Joins name*0, name*1, ... where none is missing; others stay as written.
void JoinSections(std::vector<Parameter>* params) {
  std::vector<Parameter> whole;
  std::vector<Section> sections;
  for (Parameter& param : *params) {
    if (std::optional<Section> section = AsSection(param)) {
      sections.push_back(*std::move(section));
    } else {
      whole.push_back(std::move(param));
    }
  }
  for (std::size_t i = 0; i < sections.size(); ++i) {
    if (sections[i].number != 0 || sections[i].written.empty()) continue;
    std::string value = sections[i].value;
    for (int next = 1;; ++next) {
      const auto found = std::find_if(sections.begin(), sections.end(), [&](const Section& other) {
        return !other.written.empty() && other.number == next &&
               EqualsIgnoreCase(BaseName(other), BaseName(sections[i]));
      });
      if (found == sections.end()) break;
      value += found->value;
      found->written.clear();  // used
    }
    whole.push_back({sections[i].name, std::move(value)});
    sections[i].written.clear();
  }
  for (const Section& section : sections) {
    if (!section.written.empty()) whole.push_back({section.written, section.value});
  }
  *params = std::move(whole);
}

// The lexer stands at a ";" or the end.
void ParseParams(Lexer& lexer, std::vector<Parameter>* params) {
  bool sections = false;
  while (params->size() < kMaxParams && lexer.Consume(';')) {
    Parameter param;
    if (!lexer.SkipBlanks()) break;
    lexer.TakeToken(&param.name);
    if (!lexer.SkipBlanks()) break;
    if (lexer.at_end() || lexer.Peek() == ';') break;
    if (!lexer.Consume('=')) {
      SkipRest(lexer);
      continue;
    }
    if (!lexer.SkipBlanks()) break;
    if (lexer.Peek() == '"') {
      const std::size_t start = lexer.position();
      if (!lexer.TakeQuotedString(&param.value)) {
        lexer.Rewind(start);
        break;
      }
    } else {
      if (lexer.Consume('=')) param.value.push_back('=');
      lexer.TakeToken(&param.value);
    }
    sections = sections || param.name.find('*') != std::string::npos;
    params->push_back(std::move(param));
    SkipRest(lexer);
  }
  if (sections) JoinSections(params);
}

}  // namespace

void ParseContentType(std::string_view value, std::string* type, std::string* subtype,
                      std::vector<Parameter>* params) {
  Lexer lexer(value);
  bool ok = lexer.SkipBlanks();
  lexer.TakeToken(type);
  ok = ok && !type->empty() && lexer.SkipBlanks();
  if (ok && lexer.Consume('/')) {
    ok = lexer.SkipBlanks();
    lexer.TakeToken(subtype);
    ok = ok && !subtype->empty() && lexer.SkipBlanks();
  }
  if (!ok || (!lexer.at_end() && lexer.Peek() != ';')) {
    type->clear();
    subtype->clear();
    return;
  }
  ParseParams(lexer, params);
}

void ParseContentDisposition(std::string_view value, std::string* disposition,
                             std::vector<Parameter>* params) {
  Lexer lexer(value);
  if (!lexer.SkipBlanks()) return;
  lexer.TakeToken(disposition);
  SkipRest(lexer);
  ParseParams(lexer, params);
}

std::optional<std::string> ParseTransferEncoding(std::string_view value) {
  Lexer lexer(value);
  std::string encoding;
  if (!lexer.SkipBlanks()) return std::nullopt;
  lexer.TakeToken(&encoding);
  if (encoding.empty() || !lexer.SkipBlanks() || !lexer.at_end()) return std::nullopt;
  return encoding;
}

std::vector<std::string> ParseContentLanguage(std::string_view value) {
  std::vector<std::string> languages;
  Lexer lexer(value);
  while (languages.size() < kMaxLanguages && lexer.SkipBlanks()) {
    std::string language;
    lexer.TakeToken(&language);
    if (language.empty()) break;
    languages.push_back(std::move(language));
    if (!lexer.SkipBlanks() || !lexer.Consume(',')) break;
  }
  return languages;
}

}  // namespace posthorn::mime
