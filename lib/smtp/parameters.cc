// RFC 5321 section 4.1.2, RFC 6531 section 3.3:
//   esmtp-param   = esmtp-keyword ["=" esmtp-value]
//   esmtp-keyword = (ALPHA / DIGIT) *(ALPHA / DIGIT / "-")
//   esmtp-value   = 1*(%d33-60 / %d62-126 / UTF8-non-ascii)
// MAIL:
//   RFC 1870   "SIZE="  1*20DIGIT
//   RFC 6152, 3030  "BODY=" ( "7BIT" / "8BITMIME" / "BINARYMIME" )
//   RFC 6531   "SMTPUTF8"
//   RFC 3461   "RET=" ( "FULL" / "HDRS" )   "ENVID=" xtext, at most 100 octets
//   RFC 8689   "REQUIRETLS"
//   RFC 4865   "HOLDFOR=" %x31-39 *8DIGIT   "HOLDUNTIL=" date-time (RFC 3339 section 5.6)
//   RFC 6710   "MT-PRIORITY=" ( ["-"] %x31-39 / "0" )
//   RFC 2852   "BY=" [ "+" / "-" ] 1*9DIGIT ";" ( "R" / "N" ) [ "T" ]
//   Postfix VERP_README  "XVERP" [ "=" 2( "-" / "=" / "+" ) ]
//   RFC 4954   "AUTH=" ( xtext of a mailbox / "<>" )
// RCPT:
//   RFC 3461   "NOTIFY=" ( "NEVER" / 1#( "SUCCESS" / "FAILURE" / "DELAY" ) )
//              "ORCPT=" addr-type ";" xtext, at most 500 octets; RFC 6533 for addr-type "utf-8"
#include "lib/smtp/parameters.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "lib/base/failure.h"
#include "lib/smtp/international.h"
#include "lib/smtp/verp.h"
#include "lib/smtp/xtext.h"

namespace posthorn::smtp {
namespace {

constexpr std::size_t kMaxEnvelopeId = 100;
constexpr std::size_t kMaxOriginalRecipient = 500;
constexpr std::size_t kMaxAuth = 500;

absl::Status Bad(std::string_view text) { return MakeFailure(Failure::kBadParameter, text); }

bool IsDigits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), absl::ascii_isdigit);
}

// One and more printable characters and spaces.
bool IsPrintable(std::string_view text) {
  return !text.empty() && IsUtf8(text) && std::all_of(text.begin(), text.end(), [](char c) {
    return static_cast<unsigned char>(c) >= 32 && c != 127;
  });
}

bool IsKeyword(std::string_view text) {
  return !text.empty() && absl::ascii_isalnum(static_cast<unsigned char>(text.front())) &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-';
         });
}

bool IsValue(std::string_view text) {
  return !text.empty() && IsUtf8(text) && std::all_of(text.begin(), text.end(), [](char c) {
    return static_cast<unsigned char>(c) >= 33 && c != 127 && c != '=';
  });
}

// The one value that may have "=" in it.
bool IsXverpValue(std::string_view keyword, std::string_view value) {
  return absl::EqualsIgnoreCase(absl::string_view(keyword.data(), keyword.size()), "XVERP") &&
         IsVerpDelimiters(value);
}

absl::Status ApplySize(const std::string& value, MailCommand& mail) {
  std::uint64_t size = 0;
  if (value.size() > 20 || !IsDigits(value) || !absl::SimpleAtoi(value, &size)) {
    return Bad("Invalid SIZE");
  }
  mail.size = size;
  return absl::OkStatus();
}

absl::Status ApplySmtpUtf8(const std::string&, MailCommand& mail) {
  mail.smtputf8 = true;
  return absl::OkStatus();
}

absl::Status ApplyRet(const std::string& value, MailCommand& mail) {
  if (absl::EqualsIgnoreCase(value, "FULL")) {
    mail.ret = DsnReturn::kFull;
  } else if (absl::EqualsIgnoreCase(value, "HDRS")) {
    mail.ret = DsnReturn::kHeaders;
  } else {
    return Bad("RET is FULL or HDRS");
  }
  return absl::OkStatus();
}

absl::Status ApplyEnvelopeId(const std::string& value, MailCommand& mail) {
  std::optional<std::string> id = DecodeXtext(value);
  if (value.size() > kMaxEnvelopeId || !id.has_value() || !IsPrintable(*id) || !IsAscii(*id)) {
    return Bad("Invalid ENVID");
  }
  mail.envelope_id = *std::move(id);
  return absl::OkStatus();
}

absl::Status ApplyRequireTls(const std::string&, MailCommand& mail) {
  mail.require_tls = true;
  return absl::OkStatus();
}

absl::Status ApplyHoldFor(const std::string& value, MailCommand& mail) {
  std::int64_t seconds = 0;
  if (value.size() > 9 || !IsDigits(value) || value.front() == '0' ||
      !absl::SimpleAtoi(value, &seconds)) {
    return Bad("Invalid HOLDFOR");
  }
  mail.hold_for = seconds;
  return absl::OkStatus();
}

// absl's reading of RFC 3339 takes more than its grammar: spaces, infinity, any number of digits.
absl::Status ApplyHoldUntil(const std::string& value, MailCommand& mail) {
  const std::string upper = absl::AsciiStrToUpper(value);
  const bool shape = upper.size() >= 20 && upper.size() <= 40 && IsDigits(upper.substr(0, 4)) &&
                     upper[4] == '-' && upper[7] == '-' && upper[10] == 'T' && upper[13] == ':' &&
                     upper[16] == ':';
  absl::Time time;
  std::string error;
  if (!shape || !absl::ParseTime(absl::RFC3339_full, upper, &time, &error)) {
    return Bad("Invalid HOLDUNTIL");
  }
  mail.hold_until = time;
  return absl::OkStatus();
}

absl::Status ApplyPriority(const std::string& value, MailCommand& mail) {
  std::string_view digit = value;
  const bool negative = digit.starts_with('-');
  if (negative) digit.remove_prefix(1);
  if (digit.size() != 1 || !IsDigits(digit) || (negative && digit == "0")) {
    return Bad("MT-PRIORITY is a number from -9 to 9");
  }
  const int priority = digit.front() - '0';
  mail.priority = negative ? -priority : priority;
  return absl::OkStatus();
}

absl::Status ApplyDeliverBy(const std::string& value, MailCommand& mail) {
  const std::size_t semicolon = value.find(';');
  if (semicolon == std::string::npos) return Bad("Invalid BY");
  std::string_view number = std::string_view(value).substr(0, semicolon);
  const std::string mode = absl::AsciiStrToUpper(value.substr(semicolon + 1));
  const bool negative = number.starts_with('-');
  if (negative || number.starts_with('+')) number.remove_prefix(1);
  DeliverByRequest by;
  if (number.size() > 9 || !IsDigits(number) ||
      !absl::SimpleAtoi(absl::string_view(number.data(), number.size()), &by.seconds)) {
    return Bad("Invalid BY");
  }
  if (negative) by.seconds = -by.seconds;
  by.notify = mode == "N" || mode == "NT";
  by.trace = mode == "RT" || mode == "NT";
  if (!by.notify && mode != "R" && mode != "RT") return Bad("Invalid BY");
  // RFC 2852 section 4: what is late already can't be returned in time.
  if (!by.notify && by.seconds <= 0) return Bad("BY with R needs a time to come");
  mail.deliver_by = by;
  return absl::OkStatus();
}

absl::Status ApplyAuth(const std::string& value, MailCommand& mail) {
  if (value == "<>") {
    mail.auth.emplace();
    return absl::OkStatus();
  }
  std::optional<std::string> mailbox = DecodeXtext(value);
  if (value.size() > kMaxAuth || !mailbox.has_value() || !ParseMailbox(*mailbox).ok()) {
    return Bad("Invalid AUTH");
  }
  mail.auth = *std::move(mailbox);
  return absl::OkStatus();
}

absl::Status ApplyBody(const std::string& value, ExtensionSet offered, MailCommand& mail) {
  if (absl::EqualsIgnoreCase(value, "8BITMIME")) {
    mail.body = BodyType::k8BitMime;
  } else if (absl::EqualsIgnoreCase(value, "BINARYMIME") &&
             offered.Has(Extension::kBinaryMime)) {
    mail.body = BodyType::kBinaryMime;
  } else if (!absl::EqualsIgnoreCase(value, "7BIT")) {
    return Bad("Unknown BODY");
  }
  return absl::OkStatus();
}

// Without a value the usual delimiters.
absl::Status ApplyXverp(const Parameter& parameter, MailCommand& mail) {
  mail.verp_delimiters = parameter.has_value ? parameter.value : kDefaultVerpDelimiters;
  return IsVerpDelimiters(mail.verp_delimiters) ? absl::OkStatus() : Bad("Invalid XVERP");
}

struct MailRow {
  std::string_view keyword;
  Extension extension;
  bool has_value;
  absl::Status (*apply)(const std::string& value, MailCommand& mail);
};
// SIZE, BODY and AUTH are taken whatever is offered: clients send them unasked.
constexpr MailRow kMailRows[] = {
    {"SMTPUTF8", Extension::kSmtpUtf8, false, ApplySmtpUtf8},
    {"RET", Extension::kDsn, true, ApplyRet},
    {"ENVID", Extension::kDsn, true, ApplyEnvelopeId},
    {"REQUIRETLS", Extension::kRequireTls, false, ApplyRequireTls},
    {"HOLDFOR", Extension::kFutureRelease, true, ApplyHoldFor},
    {"HOLDUNTIL", Extension::kFutureRelease, true, ApplyHoldUntil},
    {"MT-PRIORITY", Extension::kMtPriority, true, ApplyPriority},
    {"BY", Extension::kDeliverBy, true, ApplyDeliverBy},
};

absl::Status ApplyMailParameter(const Parameter& parameter, ExtensionSet offered,
                                MailCommand& mail) {
  const auto* const row =
      std::find_if(std::begin(kMailRows), std::end(kMailRows),
                   [&](const MailRow& r) { return r.keyword == parameter.keyword; });
  if (row == std::end(kMailRows) || !offered.Has(row->extension)) {
    if (parameter.keyword == "XVERP" && offered.Has(Extension::kXverp)) {
      return ApplyXverp(parameter, mail);
    }
    if (parameter.keyword == "SIZE") return ApplySize(parameter.value, mail);
    if (parameter.keyword == "BODY") return ApplyBody(parameter.value, offered, mail);
    if (parameter.keyword == "AUTH") return ApplyAuth(parameter.value, mail);
    return MakeFailure(Failure::kParameterNotImplemented);
  }
  if (parameter.has_value != row->has_value) {
    return Bad(row->has_value ? "Parameter needs a value" : "Parameter takes no value");
  }
  return row->apply(parameter.value, mail);
}

absl::Status ApplyNotify(const std::string& value, RcptCommand& rcpt) {
  DsnNotify notify;
  const std::string upper = absl::AsciiStrToUpper(value);
  for (const absl::string_view word : absl::StrSplit(upper, ',')) {
    bool* const flag = word == "NEVER"     ? &notify.never
                       : word == "SUCCESS" ? &notify.success
                       : word == "FAILURE" ? &notify.failure
                       : word == "DELAY"   ? &notify.delay
                                           : nullptr;
    if (flag == nullptr) return Bad("Invalid NOTIFY");
    *flag = true;
  }
  if (notify.never && value.size() != std::string_view("NEVER").size()) {
    return Bad("NOTIFY=NEVER stands alone");
  }
  rcpt.notify = notify;
  return absl::OkStatus();
}

absl::Status ApplyOriginalRecipient(const std::string& value, RcptCommand& rcpt) {
  const std::size_t semicolon = value.find(';');
  if (value.size() > kMaxOriginalRecipient || semicolon == std::string::npos) {
    return Bad("Invalid ORCPT");
  }
  const std::string type = value.substr(0, semicolon);
  const bool utf8 = absl::EqualsIgnoreCase(type, "utf-8");
  const std::string_view encoded = std::string_view(value).substr(semicolon + 1);
  const std::optional<std::string> address =
      utf8 ? DecodeUtf8Xtext(encoded) : DecodeXtext(encoded);
  if (!IsKeyword(type) || !address.has_value() || !IsPrintable(*address) ||
      (!utf8 && !IsAscii(*address))) {
    return Bad("Invalid ORCPT");
  }
  rcpt.original_recipient = absl::StrCat(type, ";", *address);
  rcpt.utf8_parameter = !IsAscii(value);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<Parameter>> ParseParameters(std::string_view text) {
  std::vector<Parameter> parameters;
  while (!text.empty()) {
    if (text.front() == ' ') {
      text.remove_prefix(1);
      continue;
    }
    const std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(word.size());
    const std::size_t equals = word.find('=');
    const std::string_view keyword = word.substr(0, equals);
    const bool has_value = equals != std::string_view::npos;
    const std::string_view value = has_value ? word.substr(equals + 1) : std::string_view();
    if (!IsKeyword(keyword) ||
        (has_value && !IsValue(value) && !IsXverpValue(keyword, value))) {
      return Bad("Malformed parameter");
    }
    std::string upper = absl::AsciiStrToUpper(absl::string_view(keyword.data(), keyword.size()));
    for (const Parameter& other : parameters) {
      if (other.keyword == upper) return Bad("Parameter given twice");
    }
    parameters.emplace_back(std::move(upper), has_value, std::string(value));
  }
  return parameters;
}

absl::Status ApplyMailParameters(const std::vector<Parameter>& parameters, ExtensionSet offered,
                                 MailCommand& mail) {
  for (const Parameter& parameter : parameters) {
    const absl::Status status = ApplyMailParameter(parameter, offered, mail);
    if (!status.ok()) return status;
  }
  if (!mail.verp_delimiters.empty() && mail.from.IsNull()) {
    return Bad("XVERP needs a sender that is not null");
  }
  // RFC 4865 section 3: one hold-param.
  if (mail.hold_for.has_value() && mail.hold_until.has_value()) {
    return Bad("HOLDFOR and HOLDUNTIL exclude each other");
  }
  return absl::OkStatus();
}

absl::Status ApplyRcptParameters(const std::vector<Parameter>& parameters, ExtensionSet offered,
                                 RcptCommand& rcpt) {
  for (const Parameter& parameter : parameters) {
    absl::Status status = MakeFailure(Failure::kParameterNotImplemented);
    if (offered.Has(Extension::kDsn)) {
      if (parameter.keyword == "NOTIFY") status = ApplyNotify(parameter.value, rcpt);
      if (parameter.keyword == "ORCPT") status = ApplyOriginalRecipient(parameter.value, rcpt);
    }
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace posthorn::smtp
