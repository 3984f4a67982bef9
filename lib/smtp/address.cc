// RFC 5321 section 4.1.2:
//   Reverse-path   = Path / "<>"
//   Forward-path   = Path
//   Path           = "<" [ A-d-l ":" ] Mailbox ">"
//   A-d-l          = At-domain *( "," At-domain )
//   At-domain      = "@" Domain
//   Mailbox        = Local-part "@" ( Domain / address-literal )
//   Local-part     = Dot-string / Quoted-string
//   Dot-string     = Atom *( "." Atom )
//   Quoted-string  = DQUOTE *QcontentSMTP DQUOTE
//   QcontentSMTP   = qtextSMTP / quoted-pairSMTP
//   quoted-pairSMTP = %d92 %d32-126 ; qtextSMTP = %d32-33 / %d35-91 / %d93-126
//   Domain         = sub-domain *( "." sub-domain )
//   address-literal = "[" ( IPv4 / "IPv6:" IPv6 / tag ":" 1*dcontent ) "]"
// RFC 6531 section 3.3: atext, qtextSMTP and sub-domain (U-label) =/ UTF8-non-ascii
// Lenient, from RFC 5322 sections 3.2.2 and 4.4:
//   Mailbox        = *CFWS word *( "." word ) *CFWS "@" *CFWS Domain *CFWS
//   word           = Atom / Quoted-string
//   CFWS           = SP / comment ; comment = "(" *( ctext / quoted-pair / comment ) ")"
// Without angle brackets spaces end the address, so that only comments may stand between.
#include "lib/smtp/address.h"

#include <arpa/inet.h>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "lib/base/failure.h"
#include "lib/smtp/international.h"

namespace posthorn::smtp {
namespace {

// RFC 5321 section 4.5.3.1 asks to accept at least 64 and 255; longer local parts are in use
// (VERP), so only the whole has a bound in lenient syntax.
constexpr std::size_t kMaxLocalPart = 64;
constexpr std::size_t kMaxDomain = 255;
constexpr std::size_t kMaxLabel = 63;
constexpr std::size_t kMaxMailbox = 512;
constexpr int kMaxCommentDepth = 8;

absl::Status Bad(std::string_view text) { return MakeFailure(Failure::kBadAddress, text); }

// Octets above 127 are UTF-8; the mailbox as a whole is checked for that.
bool IsNonAscii(char c) { return static_cast<unsigned char>(c) >= 0x80; }

bool IsAtext(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) || IsNonAscii(c) ||
         std::string_view("!#$%&'*+-/=?^_`{|}~").find(c) != std::string_view::npos;
}

bool IsDotString(std::string_view text) {
  bool after_dot = true;
  for (const char c : text) {
    if (c == '.') {
      if (after_dot) return false;
      after_dot = true;
    } else if (IsAtext(c)) {
      after_dot = false;
    } else {
      return false;
    }
  }
  return !after_dot;
}

bool IsAsciiDomainName(std::string_view text) {
  if (text.empty() || text.size() > kMaxDomain) return false;
  std::size_t label = 0;
  char last = '.';
  for (const char c : text) {
    if (c == '.') {
      if (label == 0 || last == '-') return false;
      label = 0;
    } else {
      if (!absl::ascii_isalnum(c) && c != '-' && c != '_') return false;
      if (c == '-' && label == 0) return false;
      if (++label > kMaxLabel) return false;
    }
    last = c;
  }
  return label > 0 && last != '-';
}

// U-labels have the limits of the A-labels they stand for (RFC 5890 section 2.3.2.1).
bool IsDomainName(std::string_view text) {
  if (IsAscii(text)) return IsAsciiDomainName(text);
  const absl::StatusOr<std::string> ascii = DomainToAscii(text);
  return ascii.ok() && IsAsciiDomainName(*ascii);
}

bool IsLiteral(std::string_view text) {
  if (text.size() < 3 || text.front() != '[' || text.back() != ']') return false;
  const std::string inner(text.substr(1, text.size() - 2));
  unsigned char address[16];
  if (absl::StartsWithIgnoreCase(inner, "IPv6:")) {
    return inet_pton(AF_INET6, inner.c_str() + 5, address) == 1;
  }
  return inet_pton(AF_INET, inner.c_str(), address) == 1;
}

absl::StatusOr<std::string> ConsumeQuoted(std::string_view& input) {
  std::string content;
  std::size_t i = 1;
  for (; i < input.size() && input[i] != '"'; ++i) {
    if (input[i] == '\\') {
      if (++i == input.size()) return Bad("Unterminated quoted local part");
    }
    const unsigned char c = static_cast<unsigned char>(input[i]);
    if (c < 32 || c == 127) return Bad("Character not allowed in a quoted local part");
    content += input[i];
  }
  if (i >= input.size()) return Bad("Unterminated quoted local part");
  if (content.empty()) return Bad("Empty local part");
  input.remove_prefix(i + 1);
  return content;
}

// Removes a comment, with those inside it, from the front of `input`, which begins with "(".
absl::Status SkipComment(std::string_view& input) {
  int depth = 0;
  for (std::size_t i = 0; i < input.size(); ++i) {
    if (input[i] == '\\') {
      ++i;
    } else if (input[i] == '(') {
      if (++depth > kMaxCommentDepth) return Bad("Comments nested too deeply");
    } else if (input[i] == ')' && --depth == 0) {
      input.remove_prefix(i + 1);
      return absl::OkStatus();
    }
  }
  return Bad("Unterminated comment");
}

// Where the parts of an address may stand apart.
struct Gaps {
  bool comments;
  bool spaces;
};

absl::Status SkipGap(std::string_view& input, Gaps gaps) {
  while (!input.empty()) {
    if (gaps.spaces && (input.front() == ' ' || input.front() == '\t')) {
      input.remove_prefix(1);
    } else if (gaps.comments && input.front() == '(') {
      if (const absl::Status s = SkipComment(input); !s.ok()) return s;
    } else {
      break;
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> ConsumeLocalPart(std::string_view& input, PathSyntax syntax) {
  const bool strict = syntax == PathSyntax::kStrict;
  std::string local_part;
  bool any_quoted = false;
  for (;;) {
    if (!input.empty() && input.front() == '"') {
      // One quoted string, or (lenient) one of several words.
      if (!local_part.empty() && (strict || local_part.back() != '.')) {
        return Bad("Malformed local part");
      }
      absl::StatusOr<std::string> quoted = ConsumeQuoted(input);
      if (!quoted.ok()) return quoted.status();
      local_part += *quoted;
      any_quoted = true;
      if (strict || input.empty() || input.front() != '.') return local_part;
    }
    std::size_t end = 0;
    while (end < input.size() && (IsAtext(input[end]) || input[end] == '.')) ++end;
    const std::string_view text = input.substr(0, end);
    if (text.empty() && !any_quoted) return Bad("Missing or malformed local part");
    // Misplaced dots are in use at some providers; written out they are quoted, which is the same.
    if (strict && !IsDotString(text)) return Bad("Malformed local part");
    local_part += text;
    input.remove_prefix(end);
    if (strict || input.empty() || input.front() != '"') return local_part;
  }
}

absl::StatusOr<std::string> ConsumeDomain(std::string_view& input) {
  std::size_t end = 0;
  if (!input.empty() && input.front() == '[') {
    end = input.find(']');
    if (end == std::string_view::npos) return Bad("Unterminated address literal");
    ++end;
  } else {
    while (end < input.size() &&
           (absl::ascii_isalnum(static_cast<unsigned char>(input[end])) || input[end] == '-' ||
            input[end] == '_' || input[end] == '.' || IsNonAscii(input[end]))) {
      ++end;
    }
  }
  const std::string_view text = input.substr(0, end);
  if (!IsDomainOrLiteral(text)) return Bad("Malformed domain");
  input.remove_prefix(end);
  return std::string(text);
}

// "@a,@b:" before the mailbox: checked for syntax, otherwise ignored.
absl::Status SkipSourceRoute(std::string_view& input) {
  if (input.empty() || input.front() != '@') return absl::OkStatus();
  for (;;) {
    if (input.empty() || input.front() != '@') return Bad("Malformed source route");
    input.remove_prefix(1);
    const absl::StatusOr<std::string> domain = ConsumeDomain(input);
    if (!domain.ok()) return domain.status();
    if (input.empty()) return Bad("Malformed source route");
    const char separator = input.front();
    input.remove_prefix(1);
    if (separator == ':') return absl::OkStatus();
    if (separator != ',') return Bad("Malformed source route");
  }
}

absl::StatusOr<Mailbox> ConsumeMailbox(std::string_view& input, PathSyntax syntax, Gaps gaps,
                                       bool bare_postmaster, std::string_view default_domain) {
  const std::size_t before = input.size();
  if (const absl::Status s = SkipGap(input, gaps); !s.ok()) return s;
  absl::StatusOr<std::string> local_part = ConsumeLocalPart(input, syntax);
  if (!local_part.ok()) return local_part.status();
  if (syntax == PathSyntax::kStrict && local_part->size() > kMaxLocalPart) {
    return Bad("Local part too long");
  }
  if (const absl::Status s = SkipGap(input, gaps); !s.ok()) return s;
  if (input.empty() || input.front() != '@') {
    if (!default_domain.empty() && IsUtf8(*local_part)) {
      return Mailbox(*std::move(local_part), std::string(default_domain));
    }
    if (bare_postmaster && absl::EqualsIgnoreCase(*local_part, "postmaster")) {
      return Mailbox(*std::move(local_part), "");
    }
    return Bad(input.empty() || input.front() == '>' || input.front() == ' '
                   ? "Address needs a domain"
                   : "Malformed address");
  }
  input.remove_prefix(1);
  if (const absl::Status s = SkipGap(input, gaps); !s.ok()) return s;
  absl::StatusOr<std::string> domain = ConsumeDomain(input);
  if (!domain.ok()) return domain.status();
  if (const absl::Status s = SkipGap(input, gaps); !s.ok()) return s;
  if (before - input.size() > kMaxMailbox) return Bad("Address too long");
  if (!IsUtf8(*local_part)) return Bad("Address is not UTF-8");
  return Mailbox(*std::move(local_part), *std::move(domain));
}

absl::StatusOr<Mailbox> ConsumePath(std::string_view& input, PathSyntax syntax, bool reverse,
                                    std::string_view default_domain) {
  const bool brackets = !input.empty() && input.front() == '<';
  if (!brackets && syntax == PathSyntax::kStrict) return Bad("Address needs angle brackets");
  if (brackets) input.remove_prefix(1);
  if (brackets && !input.empty() && input.front() == '>') {
    if (!reverse) return Bad("Empty recipient address");
    input.remove_prefix(1);
    return Mailbox();
  }
  if (const absl::Status s = SkipSourceRoute(input); !s.ok()) return s;
  const bool lenient = syntax == PathSyntax::kLenient;
  absl::StatusOr<Mailbox> mailbox =
      ConsumeMailbox(input, syntax, Gaps{lenient, lenient && brackets}, !reverse,
                     default_domain);
  if (!mailbox.ok()) return mailbox;
  if (brackets) {
    if (input.empty() || input.front() != '>') return Bad("Malformed address");
    input.remove_prefix(1);
  }
  if (!input.empty() && input.front() != ' ') return Bad("Malformed address");
  return mailbox;
}

}  // namespace

std::string Mailbox::ToString() const {
  if (IsNull()) return "";
  std::string out;
  if (IsDotString(local_part)) {
    out = local_part;
  } else {
    out = "\"";
    for (const char c : local_part) {
      if (c == '"' || c == '\\') out += '\\';
      out += c;
    }
    out += '"';
  }
  if (!domain.empty()) {
    out += '@';
    out += domain;
  }
  return out;
}

bool Mailbox::IsInternational() const { return !IsAscii(local_part) || !IsAscii(domain); }

absl::StatusOr<Mailbox> ConsumeReversePath(std::string_view& input, PathSyntax syntax,
                                           std::string_view default_domain) {
  return ConsumePath(input, syntax, true, default_domain);
}

absl::StatusOr<Mailbox> ConsumeForwardPath(std::string_view& input, PathSyntax syntax,
                                           std::string_view default_domain) {
  return ConsumePath(input, syntax, false, default_domain);
}

absl::StatusOr<Mailbox> ParseMailbox(std::string_view text) {
  absl::StatusOr<Mailbox> mailbox =
      ConsumeMailbox(text, PathSyntax::kLenient, Gaps{false, false}, false, {});
  if (mailbox.ok() && !text.empty()) return Bad("Malformed address");
  return mailbox;
}

bool IsDomainOrLiteral(std::string_view text) { return IsDomainName(text) || IsLiteral(text); }

}  // namespace posthorn::smtp
