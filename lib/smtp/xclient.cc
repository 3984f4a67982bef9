// Postfix XCLIENT_README:
//   xclient-command = "XCLIENT" 1*( SP attribute-name "=" attribute-value )
//   attribute-name  = "NAME" / "ADDR" / "PORT" / "PROTO" / "HELO" / "LOGIN" / "DESTADDR" /
//                     "DESTPORT"
//   attribute-value = xtext, or "[UNAVAILABLE]", or "[TEMPUNAVAIL]"
// An IPv6 address has the prefix "IPV6:".
#include "lib/smtp/xclient.h"

#include <arpa/inet.h>

#include <algorithm>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "lib/base/failure.h"
#include "lib/smtp/xtext.h"

namespace posthorn::smtp {
namespace {

constexpr std::size_t kMaxValue = 255;

absl::Status Bad(std::string_view text) { return MakeFailure(Failure::kBadParameter, text); }

bool IsPrintable(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > 32 && c < 127; });
}

// Gives the address without its prefix.
bool IsIpAddress(std::string& value) {
  unsigned char address[16];
  if (absl::StartsWithIgnoreCase(value, "IPV6:")) {
    value.erase(0, 5);
    return inet_pton(AF_INET6, value.c_str(), address) == 1;
  }
  return inet_pton(AF_INET, value.c_str(), address) == 1;
}

bool IsPort(const std::string& value) {
  int port = 0;
  return value.size() <= 5 && absl::SimpleAtoi(value, &port) && port >= 1 && port <= 65535;
}

bool IsProtocol(std::string& value) {
  absl::AsciiStrToUpper(&value);
  return value == "SMTP" || value == "ESMTP";
}

bool IsName(const std::string& value) { return !value.empty() && IsPrintable(value); }

using Member = std::optional<std::string> XclientCommand::*;
struct Attribute {
  std::string_view name;
  Member member;
  bool (*check)(std::string& value);
};
constexpr Attribute kAttributes[] = {
    {"NAME", &XclientCommand::name, [](std::string& v) { return IsName(v); }},
    {"ADDR", &XclientCommand::ip, IsIpAddress},
    {"PORT", &XclientCommand::port, [](std::string& v) { return IsPort(v); }},
    {"PROTO", &XclientCommand::protocol, IsProtocol},
    {"HELO", &XclientCommand::helo, [](std::string& v) { return IsName(v); }},
    {"LOGIN", &XclientCommand::login, [](std::string& v) { return IsName(v); }},
    {"DESTADDR", &XclientCommand::destination_ip, IsIpAddress},
    {"DESTPORT", &XclientCommand::destination_port, [](std::string& v) { return IsPort(v); }},
};

bool EqualsIgnoreCase(std::string_view a, std::string_view b) {
  return absl::EqualsIgnoreCase(absl::string_view(a.data(), a.size()),
                                absl::string_view(b.data(), b.size()));
}

absl::Status Apply(std::string_view word, XclientCommand& command) {
  const std::size_t equals = word.find('=');
  if (equals == std::string_view::npos) return Bad("XCLIENT attribute without a value");
  const std::string_view name = word.substr(0, equals);
  const auto* const attribute =
      std::find_if(std::begin(kAttributes), std::end(kAttributes),
                   [name](const Attribute& a) { return EqualsIgnoreCase(a.name, name); });
  if (attribute == std::end(kAttributes)) return Bad("Unknown XCLIENT attribute");
  std::optional<std::string>& member = command.*(attribute->member);
  if (member.has_value()) return Bad("XCLIENT attribute given twice");
  std::optional<std::string> value = DecodeXtext(word.substr(equals + 1));
  if (!value.has_value() || value->size() > kMaxValue) return Bad("Malformed XCLIENT value");
  if (EqualsIgnoreCase(*value, "[UNAVAILABLE]") || EqualsIgnoreCase(*value, "[TEMPUNAVAIL]")) {
    value->clear();
  } else if (!attribute->check(*value)) {
    return Bad("Malformed XCLIENT value");
  }
  member = *std::move(value);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<XclientCommand> ParseXclient(std::string_view text) {
  XclientCommand command;
  bool any = false;
  while (!text.empty()) {
    if (text.front() == ' ') {
      text.remove_prefix(1);
      continue;
    }
    const std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(word.size());
    if (const absl::Status s = Apply(word, command); !s.ok()) return s;
    any = true;
  }
  if (!any) return MakeFailure(Failure::kSyntax, "Syntax: XCLIENT attribute=value ...");
  return command;
}

}  // namespace posthorn::smtp
