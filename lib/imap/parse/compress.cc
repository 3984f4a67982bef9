// compress = "COMPRESS" SP algorithm   (RFC 4978)
#include <utility>

#include "absl/strings/ascii.h"
#include "lib/imap/parse/parse.h"

namespace posthorn::imap {

absl::StatusOr<CommandBody> ParseCompress(Cursor& in) {
  if (absl::Status s = ExpectSpace(in); !s.ok()) return s;
  CompressCommand command;
  command.mechanism = std::string(in.Atom());
  if (command.mechanism.empty()) return SyntaxError("Expected an algorithm");
  absl::AsciiStrToUpper(&command.mechanism);
  return CommandBody(std::move(command));
}

}  // namespace posthorn::imap
