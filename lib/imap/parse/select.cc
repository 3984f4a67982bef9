// select       = "SELECT" SP mailbox [SP "(" select-param *(SP select-param) ")"]
// examine      = "EXAMINE" and the same
// select-param = "CONDSTORE"   (RFC 7162)
#include <utility>

#include "lib/imap/parse/parse.h"

namespace posthorn::imap {
namespace {

absl::Status ParseParameters(Cursor& in, SelectCommand& command) {
  if (!in.Consume('(')) return SyntaxError("Expected parameters");
  do {
    if (in.ConsumeWord("CONDSTORE")) {
      command.condstore = true;
    } else {
      return SyntaxError("Unknown parameter");
    }
  } while (in.ConsumeSpace());
  if (!in.Consume(')')) return SyntaxError("Missing ')'");
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<CommandBody> ParseSelect(Cursor& in, bool read_only) {
  if (absl::Status s = ExpectSpace(in); !s.ok()) return s;
  absl::StatusOr<std::string> mailbox = ParseMailbox(in);
  if (!mailbox.ok()) return mailbox.status();
  SelectCommand command;
  command.mailbox = *std::move(mailbox);
  command.read_only = read_only;
  if (in.ConsumeSpace() && !in.AtEnd()) {
    if (absl::Status s = ParseParameters(in, command); !s.ok()) return s;
  }
  return CommandBody(std::move(command));
}

}  // namespace posthorn::imap
