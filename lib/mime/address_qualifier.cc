// RFC 5322 section 3.4, read only as far as needed to find a local part that stands alone:
//   address-list = address *("," address)      address = mailbox / group
//   mailbox = [phrase] "<" addr-spec ">" / addr-spec        group = phrase ":" [mailbox-list] ";"
#include "lib/mime/address_qualifier.h"

#include <algorithm>
#include <iterator>
#include <optional>

#include "lib/mime/ascii.h"
#include "lib/mime/lexer.h"

namespace posthorn::mime {
namespace {

constexpr std::string_view kFields[] = {
    "from",        "sender",        "reply-to",        "to",        "cc",        "bcc",
    "resent-from", "resent-sender", "resent-reply-to", "resent-to", "resent-cc", "resent-bcc"};

bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

// Part of a local part that needs no quotes; octets above 127 are UTF-8.
bool IsWord(char c) {
  return Lexer::IsAtext(c) || c == '.' || static_cast<unsigned char>(c) >= 128;
}

class Qualifier {
 public:
  Qualifier(std::string_view value, std::string_view domain) : value_(value), domain_(domain) {}

  // nullopt: the value has an end that is missing.
  std::optional<std::string> Run() {
    while (position_ < value_.size()) {
      if (!Step()) return std::nullopt;
    }
    EndAddress();
    return std::move(out_);
  }

 private:
  bool Step() {
    const char c = value_[position_];
    if (c == '(') return TakeComment();
    if (c == '<') return TakeAngle();
    if (c == '"' || IsWord(c)) return TakeWord();
    if (c == '[') {
      odd_ = true;
      return TakeUntil(']');
    }
    if (c == ',' || c == ';') EndAddress();
    if (c == ':') Reset();  // what stood before is a group's name
    if (c == '@') has_domain_ = true;
    if (!IsSpace(c) && c != ',' && c != ';' && c != ':' && c != '@') odd_ = true;
    Take();
    return true;
  }

  void Take() { out_ += value_[position_++]; }

  // Up to and with `end`, which a backslash hides.
  bool TakeUntil(char end) {
    Take();
    while (position_ < value_.size()) {
      const char c = value_[position_];
      if (c == '\\' && position_ + 1 < value_.size()) Take();
      Take();
      if (c == end) return true;
    }
    return false;
  }

  bool TakeComment() {
    int depth = 0;
    while (position_ < value_.size()) {
      const char c = value_[position_];
      if (c == '\\' && position_ + 1 < value_.size()) Take();
      if (c == '(') ++depth;
      if (c == ')') --depth;
      Take();
      if (depth == 0) return true;
    }
    return false;
  }

  // Atoms, dots and quoted strings without anything between them.
  bool TakeWord() {
    while (position_ < value_.size()) {
      if (value_[position_] == '"') {
        if (!TakeUntil('"')) return false;
      } else if (IsWord(value_[position_])) {
        Take();
      } else {
        break;
      }
    }
    ++words_;
    word_end_ = out_.size();
    return true;
  }

  bool TakeAngle() {
    angle_ = true;
    Take();
    int words = 0;
    bool other = false;
    std::size_t end = out_.size();
    while (position_ < value_.size()) {
      const char c = value_[position_];
      if (c == '>') {
        if (words == 1 && !other) out_.insert(end, "@" + std::string(domain_));
        Take();
        return true;
      }
      if (c == '"' || IsWord(c)) {
        if (!TakeWord()) return false;
        ++words;
        end = out_.size();
      } else if (c == '(') {
        if (!TakeComment()) return false;
      } else {
        other = other || !IsSpace(c);
        Take();
      }
    }
    return false;
  }

  void EndAddress() {
    if (words_ == 1 && !angle_ && !has_domain_ && !odd_) {
      out_.insert(word_end_, "@" + std::string(domain_));
    }
    Reset();
  }

  void Reset() {
    words_ = 0;
    angle_ = has_domain_ = odd_ = false;
  }

  const std::string_view value_;
  const std::string_view domain_;
  std::size_t position_ = 0;
  std::string out_;
  // Of the address so far.
  int words_ = 0;
  std::size_t word_end_ = 0;
  bool angle_ = false;
  bool has_domain_ = false;
  bool odd_ = false;
};

}  // namespace

std::string QualifyAddresses(std::string_view value, std::string_view domain) {
  std::optional<std::string> qualified = Qualifier(value, domain).Run();
  return qualified.has_value() ? *std::move(qualified) : std::string(value);
}

void AddressQualifier::EndField() {
  if (!keeping_) return;
  keeping_ = false;
  const std::size_t colon = field_.find(':');
  const std::size_t value = colon == std::string::npos ? field_.size() : colon + 1;
  out_->append(field_, 0, value);
  out_->append(QualifyAddresses(std::string_view(field_).substr(value), domain_));
  field_.clear();
}

void AddressQualifier::OnField(std::string_view name) {
  EndField();
  keeping_ = std::any_of(std::begin(kFields), std::end(kFields),
                         [&](std::string_view field) { return EqualsIgnoreCase(name, field); });
}

void AddressQualifier::OnOctets(std::string_view bytes) {
  if (keeping_ && field_.size() + bytes.size() <= kMaxFieldOctets) {
    field_.append(bytes);
    return;
  }
  if (keeping_) {
    out_->append(field_);
    field_.clear();
    keeping_ = false;
  }
  out_->append(bytes);
}

void AddressQualifier::Feed(std::string_view bytes, std::string& out) {
  out_ = &out;
  if (!passed_) {
    bytes.remove_prefix(walker_.Feed(bytes));
    if (walker_.done()) {
      passed_ = true;
      EndField();
      out.append(walker_.held_back());
    }
  }
  if (passed_) out.append(bytes);
  out_ = nullptr;
}

void AddressQualifier::Finish(std::string& out) {
  out_ = &out;
  if (!passed_) {
    walker_.Finish();
    EndField();
    passed_ = true;
  }
  out_ = nullptr;
}

}  // namespace posthorn::mime
