#ifndef POSTHORN_LIB_SMTP_COMMAND_H_
#define POSTHORN_LIB_SMTP_COMMAND_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "absl/status/statusor.h"
#include "lib/smtp/address.h"

// The commands a server reads (RFC 5321 section 4.1, RFC 2033, 3207, 4954): one struct a verb.
namespace posthorn::smtp {

struct HeloCommand {
  explicit HeloCommand(std::string name_in) : name(std::move(name_in)) {}
  std::string name;  // printable ASCII without spaces
};
struct EhloCommand {
  explicit EhloCommand(std::string name_in) : name(std::move(name_in)) {}
  std::string name;
};
struct LhloCommand {
  explicit LhloCommand(std::string name_in) : name(std::move(name_in)) {}
  std::string name;
};

enum class BodyType { k7Bit, k8BitMime };

struct MailCommand {
  explicit MailCommand(Mailbox from_in) : from(std::move(from_in)) {}
  Mailbox from;                       // may be the null path
  std::optional<std::uint64_t> size;  // RFC 1870
  BodyType body = BodyType::k7Bit;    // RFC 6152
};
struct RcptCommand {
  explicit RcptCommand(Mailbox to_in) : to(std::move(to_in)) {}
  Mailbox to;
};
struct DataCommand {};
struct RsetCommand {};
struct NoopCommand {};
struct QuitCommand {};
struct HelpCommand {};
struct VrfyCommand {
  explicit VrfyCommand(std::string argument_in) : argument(std::move(argument_in)) {}
  std::string argument;
};
struct ExpnCommand {
  explicit ExpnCommand(std::string argument_in) : argument(std::move(argument_in)) {}
  std::string argument;
};
struct VerbCommand {};
struct StartTlsCommand {};
struct AuthCommand {
  AuthCommand(std::string mechanism_in, std::optional<std::string> initial_response_in)
      : mechanism(std::move(mechanism_in)), initial_response(std::move(initial_response_in)) {}
  std::string mechanism;                        // upper case
  std::optional<std::string> initial_response;  // base64, as sent
};
// Known by name, and not offered: ETRN, TURN, SEND, SOML, SAML.
struct UnimplementedCommand {};
struct UnknownCommand {};

using Command =
    std::variant<HeloCommand, EhloCommand, LhloCommand, MailCommand, RcptCommand, DataCommand,
                 RsetCommand, NoopCommand, QuitCommand, HelpCommand, VrfyCommand, ExpnCommand,
                 VerbCommand, StartTlsCommand, AuthCommand, UnimplementedCommand, UnknownCommand>;

// Reads one line without its CRLF. Errors say what the client should have sent: kSyntax,
// kBadParameter, kParameterNotImplemented (an ESMTP parameter nobody offered), kBadAddress.
// An unknown verb is a command, not an error, so that the session counts and answers it.
absl::StatusOr<Command> ParseCommand(std::string_view line, PathSyntax syntax);

}  // namespace posthorn::smtp

#endif  // POSTHORN_LIB_SMTP_COMMAND_H_
