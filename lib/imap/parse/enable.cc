// enable = "ENABLE" 1*(SP capability)   (RFC 5161 section 4)
#include <utility>

#include "absl/strings/ascii.h"
#include "lib/imap/parse/parse.h"

namespace posthorn::imap {

absl::StatusOr<CommandBody> ParseEnable(Cursor& in) {
  if (absl::Status s = ExpectSpace(in); !s.ok()) return s;
  EnableCommand command;
  do {
    std::string name(in.Atom());
    if (name.empty()) return SyntaxError("Expected a capability");
    absl::AsciiStrToUpper(&name);
    command.capabilities.push_back(std::move(name));
  } while (in.ConsumeSpace() && !in.AtEnd());
  return CommandBody(std::move(command));
}

}  // namespace posthorn::imap
