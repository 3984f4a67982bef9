// Grammar (RFC 5322 section 3.4 with the obsolete forms of section 4.4):
//   address-list = address *("," address)
//   address      = phrase ":" [mailbox *("," mailbox)] ";" / mailbox
//   mailbox      = [phrase] "<" [route ":"] local ["@" domain] ">" / local ["@" domain]
//   route        = "@" domain *("," "@" domain)
// After an address that is followed by neither a comma nor the end, the rest is ignored.

#include <utility>

#include "lib/mime/ascii.h"
#include "lib/mime/envelope.h"
#include "lib/mime/lexer.h"

namespace posthorn::mime {
namespace {

constexpr char kMissingMailbox[] = "MISSING_MAILBOX";
constexpr char kMissingDomain[] = "MISSING_DOMAIN";
constexpr char kSyntaxError[] = "SYNTAX_ERROR";
constexpr char kInvalidRoute[] = "INVALID_ROUTE";

// Runs of white space become one space, none at the ends.
std::string Collapse(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    if (!IsBlank(c)) {
      out.push_back(c);
    } else if (!out.empty() && out.back() != ' ') {
      out.push_back(' ');
    }
  }
  if (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

class AddressParser {
 public:
  AddressParser(std::string_view value, std::size_t limit) : lexer_(value), limit_(limit) {}

  AddressList Parse() {
    if (!lexer_.SkipBlanks()) {
      doubtful_ = true;
      return {};
    }
    while (!lexer_.at_end() && !full()) {
      if (!ParseGroup()) ParseMailbox();
      if (!lexer_.Consume(',')) break;
      if (!lexer_.SkipBlanks()) {
        AddMailbox(Address());
        break;
      }
    }
    return std::move(list_);
  }

  // After Parse: was everything read, as the grammar of RFC 5322 section 3.4 has it?
  bool exact() const { return !doubtful_ && lexer_.at_end(); }

 private:
  bool full() const { return list_.size() >= limit_; }

  void AddMailbox(Address address) {
    const auto is_text = [](const std::optional<std::string>& part) {
      return part.has_value() && !part->empty();
    };
    if (!is_text(address.mailbox) || !is_text(address.host) || address.route) doubtful_ = true;
    if (!address.mailbox) address.mailbox = kMissingMailbox;
    if (!address.host) address.host = kMissingDomain;
    list_.push_back(std::move(address));
  }

  // False, with nothing consumed: this is no group.
  bool ParseGroup() {
    const std::size_t start = lexer_.position();
    std::string name;
    if ((lexer_.Peek() != ':' && !lexer_.TakePhrase(&name)) || !lexer_.Consume(':')) {
      lexer_.Rewind(start);
      return false;
    }
    Address group;
    group.mailbox = Collapse(name);
    list_.push_back(std::move(group));
    if (lexer_.SkipBlanks()) {
      while (!lexer_.at_end() && !full() && (lexer_.Peek() != ';' || after_comma_)) {
        after_comma_ = false;
        ParseMailbox();
        if (!lexer_.Consume(',')) break;
        after_comma_ = true;
        if (!lexer_.SkipBlanks()) break;
      }
      after_comma_ = false;
      if (!lexer_.Consume(';') || !lexer_.SkipBlanks()) doubtful_ = true;
    } else {
      doubtful_ = true;
    }
    list_.push_back(Address());
    return true;
  }

  void ParseMailbox() {
    Address address;
    const std::size_t start = lexer_.position();
    std::string phrase;
    const bool has_phrase = lexer_.TakePhrase(&phrase);
    if (!has_phrase) lexer_.Rewind(start);
    if (lexer_.Peek() == '<') {
      if (!phrase.empty()) address.name = Collapse(phrase);
      if (!ParseAngle(&address)) {
        address.host = kSyntaxError;
        doubtful_ = true;
      }
    } else {
      lexer_.Rewind(start);
      ParseAddrSpec(start, has_phrase ? &phrase : nullptr, &address);
    }
    AddMailbox(std::move(address));
  }

  // "<" ... ">".
  bool ParseAngle(Address* address) {
    lexer_.Advance();
    if (!lexer_.SkipBlanks()) return false;
    if (lexer_.Peek() == '@') {
      std::string route;
      if (ParseRoute(&route) && lexer_.Consume(':')) {
        address->route = std::move(route);
      } else {
        address->route = kInvalidRoute;
        if (lexer_.at_end()) return false;
      }
      if (!lexer_.SkipBlanks()) return false;
    }
    if (lexer_.Peek() != '>') {
      if (!ParseLocal(address)) return false;
      if (lexer_.Consume('@') && !ParseDomain(address)) return false;
    }
    if (!lexer_.Consume('>')) return false;
    return lexer_.SkipBlanks();
  }

  bool ParseRoute(std::string* route) {
    while (lexer_.Consume('@')) {
      if (!route->empty()) route->push_back(',');
      route->push_back('@');
      if (!lexer_.TakeDomain(route)) return false;
      if (lexer_.Peek() != ',') return true;
      while (lexer_.Consume(',')) {
        if (!lexer_.SkipBlanks()) return false;
      }
    }
    return false;
  }

  bool ParseLocal(Address* address) {
    std::string local;
    const bool ok = lexer_.Peek() == '"' ? lexer_.TakeQuotedString(&local)
                                         : lexer_.TakeLocalAtoms(&local);
    if (ok) address->mailbox = std::move(local);
    return ok;
  }

  bool ParseDomain(Address* address) {
    std::string domain;
    if (!lexer_.TakeDomain(&domain)) return false;
    address->host = std::move(domain);
    return true;
  }

  // Without angle brackets; `phrase` (may be nullptr) is what reads as one from `start`.
  void ParseAddrSpec(std::size_t start, const std::string* phrase, Address* address) {
    lexer_.ClearComment();
    const bool quoted = lexer_.Peek() == '"';
    const bool has_local = ParseLocal(address);
    const bool has_at = lexer_.Consume('@');
    if (has_at) ParseDomain(address);
    // "user@host (Full Name)", the older way to say a name.
    std::string comment = Collapse(lexer_.last_comment());
    if (!comment.empty()) {
      address->name = std::move(comment);
      return;
    }
    if (!has_local || has_at) return;
    // Words without an address are a name.
    const char next = lexer_.Peek();
    const bool more_words = !lexer_.at_end() && (next == '"' || Lexer::IsAtext(next));
    if (more_words && phrase != nullptr) {
      lexer_.Rewind(start);
      std::string again;
      lexer_.TakePhrase(&again);
      address->mailbox.reset();
      address->name = Collapse(*phrase);
    } else if (quoted) {
      address->name = Collapse(*address->mailbox);
      address->mailbox.reset();
    }
  }

  Lexer lexer_;
  const std::size_t limit_;
  bool after_comma_ = false;
  bool doubtful_ = false;
  AddressList list_;
};

}  // namespace

AddressList ParseAddressList(std::string_view value, std::size_t limit) {
  return AddressParser(value, limit).Parse();
}

std::optional<AddressList> ParseMailboxList(std::string_view value, std::size_t limit) {
  AddressParser parser(value, 3 * limit + 1);  // a group has two entries of its own
  AddressList list = parser.Parse();
  std::erase_if(list, [](const Address& a) { return a.IsGroupStart() || a.IsGroupEnd(); });
  if (!parser.exact() || list.size() > limit) return std::nullopt;
  return list;
}

}  // namespace posthorn::mime
