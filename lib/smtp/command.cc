// RFC 5321 section 4.1.1:
//   ehlo = "EHLO" SP ( Domain / address-literal )      helo = "HELO" SP Domain
//   mail = "MAIL FROM:" Reverse-path [SP Mail-parameters]
//   rcpt = "RCPT TO:" Forward-path [SP Rcpt-parameters]
//   data = "DATA"  rset = "RSET"  quit = "QUIT"  noop = "NOOP" [ SP String ]
//   vrfy = "VRFY" SP String   expn = "EXPN" SP String   help = "HELP" [ SP String ]
// RFC 3207: "STARTTLS"       RFC 4954: "AUTH" SP mechanism [SP initial-response]
// RFC 3030: "BDAT" SP 1*DIGIT [ SP "LAST" ]
#include "lib/smtp/command.h"

#include <algorithm>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "lib/base/failure.h"
#include "lib/smtp/parameters.h"
#include "lib/smtp/xclient.h"

namespace posthorn::smtp {
namespace {

constexpr std::size_t kMaxName = 255;
constexpr std::size_t kMaxMechanism = 20;  // RFC 4422 section 3.1

struct Arguments {
  std::string_view text;  // without leading and trailing spaces
  PathSyntax syntax;
  ExtensionSet offered;
  std::string_view default_domain;
};

using Parser = absl::StatusOr<Command> (*)(const Arguments&);

struct Verb {
  std::string_view name;
  Parser parse;
};

absl::Status Usage(std::string_view text) { return MakeFailure(Failure::kSyntax, text); }

void SkipSpaces(std::string_view& text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
}

bool ConsumePrefixIgnoreCase(std::string_view& text, std::string_view prefix) {
  if (!absl::StartsWithIgnoreCase(absl::string_view(text.data(), text.size()),
                                  absl::string_view(prefix.data(), prefix.size()))) {
    return false;
  }
  text.remove_prefix(prefix.size());
  return true;
}

// "FROM:" or "TO:", and what people put around the colon.
bool ConsumeKeyword(std::string_view& text, std::string_view keyword, PathSyntax syntax) {
  if (!ConsumePrefixIgnoreCase(text, keyword)) return false;
  if (syntax == PathSyntax::kLenient) SkipSpaces(text);
  if (text.empty() || text.front() != ':') return false;
  text.remove_prefix(1);
  if (syntax == PathSyntax::kLenient) SkipSpaces(text);
  return true;
}

template <typename HelloCommand>
absl::StatusOr<Command> ParseHello(const Arguments& arguments) {
  const std::string_view name = arguments.text;
  if (name.empty()) return MakeFailure(Failure::kBadParameter, "Domain name expected");
  const bool printable = std::all_of(name.begin(), name.end(),
                                     [](char c) { return c > 32 && c < 127; });
  if (!printable || name.size() > kMaxName ||
      (arguments.syntax == PathSyntax::kStrict && !IsDomainOrLiteral(name))) {
    return MakeFailure(Failure::kBadParameter, "Invalid domain name");
  }
  return Command(HelloCommand(std::string(name)));
}

absl::StatusOr<Command> ParseMail(const Arguments& arguments) {
  std::string_view text = arguments.text;
  if (!ConsumeKeyword(text, "FROM", arguments.syntax)) return Usage("Syntax: MAIL FROM:<address>");
  absl::StatusOr<Mailbox> from =
      ConsumeReversePath(text, arguments.syntax, arguments.default_domain);
  if (!from.ok()) return from.status();
  const absl::StatusOr<std::vector<Parameter>> parameters = ParseParameters(text);
  if (!parameters.ok()) return parameters.status();
  MailCommand mail(*std::move(from));
  if (const absl::Status s = ApplyMailParameters(*parameters, arguments.offered, mail); !s.ok()) {
    return s;
  }
  if (mail.from.IsInternational() && !mail.smtputf8) return MakeFailure(Failure::kNonAsciiAddress);
  return Command(std::move(mail));
}

absl::StatusOr<Command> ParseRcpt(const Arguments& arguments) {
  std::string_view text = arguments.text;
  if (!ConsumeKeyword(text, "TO", arguments.syntax)) return Usage("Syntax: RCPT TO:<address>");
  absl::StatusOr<Mailbox> to =
      ConsumeForwardPath(text, arguments.syntax, arguments.default_domain);
  if (!to.ok()) return to.status();
  const absl::StatusOr<std::vector<Parameter>> parameters = ParseParameters(text);
  if (!parameters.ok()) return parameters.status();
  RcptCommand rcpt(*std::move(to));
  if (const absl::Status s = ApplyRcptParameters(*parameters, arguments.offered, rcpt); !s.ok()) {
    return s;
  }
  return Command(std::move(rcpt));
}

template <typename PlainCommand>
absl::StatusOr<Command> ParseNoArguments(const Arguments& arguments) {
  if (!arguments.text.empty()) {
    return MakeFailure(Failure::kBadParameter, "No parameters allowed");
  }
  return Command(PlainCommand());
}

template <typename AnyCommand>
absl::StatusOr<Command> ParseAnyArguments(const Arguments&) {
  return Command(AnyCommand());
}

absl::StatusOr<Command> ParseVrfy(const Arguments& arguments) {
  if (arguments.text.empty()) return Usage("Syntax: VRFY address");
  return Command(VrfyCommand(std::string(arguments.text)));
}

absl::StatusOr<Command> ParseExpn(const Arguments& arguments) {
  if (arguments.text.empty()) return Usage("Syntax: EXPN address");
  return Command(ExpnCommand(std::string(arguments.text)));
}

absl::StatusOr<Command> ParseAuth(const Arguments& arguments) {
  std::string_view text = arguments.text;
  const std::size_t space = text.find(' ');
  const std::string_view mechanism = text.substr(0, space);
  const bool valid = std::all_of(mechanism.begin(), mechanism.end(), [](char c) {
    return absl::ascii_isalnum(c) || c == '-' || c == '_';
  });
  if (mechanism.empty() || mechanism.size() > kMaxMechanism || !valid) {
    return Usage("Syntax: AUTH mechanism [initial-response]");
  }
  std::optional<std::string> initial_response;
  if (space != std::string_view::npos) {
    text.remove_prefix(space);
    SkipSpaces(text);
    if (text.find(' ') != std::string_view::npos) {
      return Usage("Syntax: AUTH mechanism [initial-response]");
    }
    initial_response.emplace(text);
  }
  return Command(AuthCommand(
      absl::AsciiStrToUpper(absl::string_view(mechanism.data(), mechanism.size())),
      std::move(initial_response)));
}

absl::StatusOr<Command> ParseHelp(const Arguments& arguments) {
  return Command(HelpCommand(absl::AsciiStrToUpper(
      absl::string_view(arguments.text.data(), arguments.text.size()))));
}

absl::StatusOr<Command> ParseBdat(const Arguments& arguments) {
  const std::string_view text = arguments.text;
  const std::string_view digits = text.substr(0, text.find(' '));
  std::string_view rest = text.substr(digits.size());
  SkipSpaces(rest);
  const bool last = absl::EqualsIgnoreCase(absl::string_view(rest.data(), rest.size()), "LAST");
  std::uint64_t octets = 0;
  if (digits.empty() || digits.size() > 20 ||
      !std::all_of(digits.begin(), digits.end(), absl::ascii_isdigit) ||
      !absl::SimpleAtoi(absl::string_view(digits.data(), digits.size()), &octets) ||
      (!rest.empty() && !last)) {
    return Usage("Syntax: BDAT octets [LAST]");
  }
  return Command(BdatCommand(octets, last));
}

absl::StatusOr<Command> ParseXqueue(const Arguments& arguments) {
  return Command(XqueueCommand(std::string(arguments.text)));
}

absl::StatusOr<Command> ParseXclientCommand(const Arguments& arguments) {
  absl::StatusOr<XclientCommand> xclient = ParseXclient(arguments.text);
  if (!xclient.ok()) return xclient.status();
  return Command(*std::move(xclient));
}

constexpr Verb kVerbs[] = {
    {"MAIL", ParseMail},
    {"RCPT", ParseRcpt},
    {"DATA", ParseNoArguments<DataCommand>},
    {"BDAT", ParseBdat},
    {"EHLO", ParseHello<EhloCommand>},
    {"HELO", ParseHello<HeloCommand>},
    {"LHLO", ParseHello<LhloCommand>},
    {"RSET", ParseNoArguments<RsetCommand>},
    {"QUIT", ParseNoArguments<QuitCommand>},
    {"NOOP", ParseAnyArguments<NoopCommand>},
    {"STARTTLS", ParseNoArguments<StartTlsCommand>},
    {"AUTH", ParseAuth},
    {"HELP", ParseHelp},
    {"VRFY", ParseVrfy},
    {"EXPN", ParseExpn},
    {"VERB", ParseAnyArguments<VerbCommand>},
    {"XCLIENT", ParseXclientCommand},
    {"XQUEUE", ParseXqueue},
    {"ETRN", ParseAnyArguments<UnimplementedCommand>},
    {"TURN", ParseAnyArguments<UnimplementedCommand>},
    {"SEND", ParseAnyArguments<UnimplementedCommand>},
    {"SOML", ParseAnyArguments<UnimplementedCommand>},
    {"SAML", ParseAnyArguments<UnimplementedCommand>},
};

}  // namespace

absl::StatusOr<Command> ParseCommand(std::string_view line, PathSyntax syntax,
                                     ExtensionSet offered, std::string_view default_domain) {
  const bool control = std::any_of(line.begin(), line.end(),
                                   [](char c) { return (c >= 0 && c < 32 && c != '\t') || c == 127; });
  if (control) return Usage("Control character in command");
  while (!line.empty() && (line.back() == ' ' || line.back() == '\t')) line.remove_suffix(1);
  if (syntax == PathSyntax::kLenient) SkipSpaces(line);
  const std::string_view name = line.substr(0, line.find(' '));
  for (const Verb& verb : kVerbs) {
    if (absl::EqualsIgnoreCase(absl::string_view(name.data(), name.size()),
                               absl::string_view(verb.name.data(), verb.name.size()))) {
      std::string_view rest = line.substr(name.size());
      SkipSpaces(rest);
      return verb.parse(Arguments{rest, syntax, offered, default_domain});
    }
  }
  return Command(UnknownCommand());
}

}  // namespace posthorn::smtp
