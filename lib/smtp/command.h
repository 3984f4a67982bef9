#ifndef POSTHORN_LIB_SMTP_COMMAND_H_
#define POSTHORN_LIB_SMTP_COMMAND_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lib/smtp/address.h"
#include "lib/smtp/extensions.h"

// The commands a server reads (RFC 5321 section 4.1, RFC 2033, 3030, 3207, 4954): one struct for
// each verb.
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

enum class BodyType { k7Bit, k8BitMime, kBinaryMime };

// RET (RFC 3461 section 4.3).
enum class DsnReturn { kUnspecified, kFull, kHeaders };

// NOTIFY (RFC 3461 section 4.1); all false: not given. `never` stands alone.
struct DsnNotify {
  bool IsGiven() const { return never || success || failure || delay; }
  bool never = false;
  bool success = false;
  bool failure = false;
  bool delay = false;
};

// BY (RFC 2852 section 4). Within `seconds` from now; not positive: it is late already, which only
// makes sense where the sender is just to be told.
struct DeliverByRequest {
  std::int64_t seconds = 0;
  bool notify = false;  // "N": tell the sender and go on; else "R": return the message
  bool trace = false;   // "T"
};

struct MailCommand {
  explicit MailCommand(Mailbox from_in) : from(std::move(from_in)) {}
  Mailbox from;                            // may be the null path
  std::optional<std::uint64_t> size;       // SIZE (RFC 1870)
  BodyType body = BodyType::k7Bit;         // BODY (RFC 6152, RFC 3030)
  bool smtputf8 = false;                   // SMTPUTF8 (RFC 6531)
  std::string envelope_id;                 // ENVID, decoded: printable ASCII (RFC 3461)
  DsnReturn ret = DsnReturn::kUnspecified;
  bool require_tls = false;                // REQUIRETLS (RFC 8689)
  std::optional<std::int64_t> hold_for;    // HOLDFOR in seconds (RFC 4865)
  std::optional<absl::Time> hold_until;    // HOLDUNTIL; never both
  std::optional<int> priority;             // MT-PRIORITY, -9 to 9 (RFC 6710)
  std::optional<DeliverByRequest> deliver_by;
  // AUTH (RFC 4954 section 5): who the message is from, says a client that is a server; empty:
  // "<>".
  std::optional<std::string> auth;
  std::string verp_delimiters;  // XVERP; empty: not given
};
struct RcptCommand {
  explicit RcptCommand(Mailbox to_in) : to(std::move(to_in)) {}
  // The address or a parameter was sent as UTF-8: only after MAIL with SMTPUTF8.
  bool NeedsSmtpUtf8() const { return to.IsInternational() || utf8_parameter; }
  Mailbox to;
  bool utf8_parameter = false;
  DsnNotify notify;
  // ORCPT, type and decoded address: "rfc822;bob@example.net" (RFC 3461 section 4.2).
  std::string original_recipient;
};
struct DataCommand {};
struct RsetCommand {};
struct NoopCommand {};
struct QuitCommand {};
struct HelpCommand {
  explicit HelpCommand(std::string topic_in) : topic(std::move(topic_in)) {}
  std::string topic;  // upper case; may be empty
};
struct VrfyCommand {
  explicit VrfyCommand(std::string argument_in) : argument(std::move(argument_in)) {}
  std::string argument;
};
struct ExpnCommand {
  explicit ExpnCommand(std::string argument_in) : argument(std::move(argument_in)) {}
  std::string argument;
};
struct VerbCommand {};
// What waits in the queue of a local user (docs/protocols/smtp.md).
struct XqueueCommand {
  explicit XqueueCommand(std::string after_in) : after(std::move(after_in)) {}
  std::string after;  // the last message id that was shown; may be empty
};
struct StartTlsCommand {};
struct AuthCommand {
  AuthCommand(std::string mechanism_in, std::optional<std::string> initial_response_in)
      : mechanism(std::move(mechanism_in)), initial_response(std::move(initial_response_in)) {}
  std::string mechanism;                        // upper case
  std::optional<std::string> initial_response;  // base64, as sent
};
// RFC 3030 section 2. The octets follow the command's CRLF at once.
struct BdatCommand {
  BdatCommand(std::uint64_t octets_in, bool last_in) : octets(octets_in), last(last_in) {}
  std::uint64_t octets;
  bool last;
};
// What a trusted client says of the client behind it (Postfix XCLIENT_README). None: not said;
// empty: the client knows that it is unknown.
struct XclientCommand {
  XclientCommand() = default;
  std::optional<std::string> name;
  std::optional<std::string> ip;                // IPv4 or IPv6, without prefix
  std::optional<std::string> port;              // 1 to 65535
  std::optional<std::string> protocol;          // "SMTP" or "ESMTP"
  std::optional<std::string> helo;
  std::optional<std::string> login;
  std::optional<std::string> destination_ip;
  std::optional<std::string> destination_port;
};
// Known by name, and not offered: ETRN, TURN, SEND, SOML, SAML.
struct UnimplementedCommand {};
struct UnknownCommand {};

using Command =
    std::variant<HeloCommand, EhloCommand, LhloCommand, MailCommand, RcptCommand, DataCommand,
                 RsetCommand, NoopCommand, QuitCommand, HelpCommand, VrfyCommand, ExpnCommand,
                 VerbCommand, StartTlsCommand, AuthCommand, BdatCommand, XclientCommand,
                 XqueueCommand, UnimplementedCommand, UnknownCommand>;

// Reads one line without its CRLF. Errors say what the client should have sent: kSyntax,
// kBadParameter, kParameterNotImplemented (an ESMTP parameter of an extension that is not
// `offered`), kBadAddress, kNonAsciiAddress (without SMTPUTF8). An unknown verb is a command, not
// an error, so that the session counts and answers it. `default_domain`: of addresses in MAIL and
// RCPT that have none; empty: they need one.
absl::StatusOr<Command> ParseCommand(std::string_view line, PathSyntax syntax,
                                     ExtensionSet offered, std::string_view default_domain = {});

}  // namespace posthorn::smtp

#endif  // POSTHORN_LIB_SMTP_COMMAND_H_
