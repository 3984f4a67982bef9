// authenticate = "AUTHENTICATE" SP auth-type [SP (base64 / "=")]      (RFC 3501, RFC 4959)
#include "absl/strings/ascii.h"
#include "lib/imap/parse/parse.h"

namespace posthorn::imap {

absl::StatusOr<CommandBody> ParseAuthenticate(Cursor& in) {
  if (absl::Status s = ExpectSpace(in); !s.ok()) return s;
  AuthenticateCommand command;
  command.mechanism = std::string(in.Atom());
  if (command.mechanism.empty()) return SyntaxError("Expected a mechanism");
  absl::AsciiStrToUpper(&command.mechanism);
  if (in.ConsumeSpace()) {
    const std::string_view response = in.Atom();
    if (response.empty()) return SyntaxError("Expected an initial response");
    command.response = std::string(response);
  }
  return CommandBody(std::move(command));
}

}  // namespace posthorn::imap
