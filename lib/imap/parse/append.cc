// append         = "APPEND" SP mailbox 1*append-message   (RFC 3502)
// append-message = [SP flag-list] [SP date-time] SP literal
#include <utility>

#include "lib/imap/date_time.h"
#include "lib/imap/parse/parse.h"

namespace posthorn::imap {

bool AppendWantsMailbox(std::string_view text) {
  Cursor in(text);
  return in.ConsumeWord("APPEND") && in.ConsumeSpace() && in.AtEnd();
}

absl::StatusOr<AppendCommand> ParseNextAppend(Cursor& in) {
  AppendCommand command;
  if (absl::Status s = ExpectSpace(in); !s.ok()) return s;
  if (in.Peek() == '(') {
    absl::StatusOr<FlagList> flags = ParseFlagList(in);
    if (!flags.ok()) return flags.status();
    command.flags = *std::move(flags);
    if (absl::Status s = ExpectSpace(in); !s.ok()) return s;
  }
  if (in.Peek() == '"') {
    absl::StatusOr<std::string> date = in.String();
    if (!date.ok()) return date.status();
    command.received_at = ParseDateTime(*date);
    if (!command.received_at) return SyntaxError("Invalid date and time");
    if (absl::Status s = ExpectSpace(in); !s.ok()) return s;
  }
  if (!in.AtEnd()) return SyntaxError("Expected a literal with the message");
  return command;
}

absl::StatusOr<AppendCommand> ParseAppend(Cursor& in) {
  if (absl::Status s = ExpectSpace(in); !s.ok()) return s;
  absl::StatusOr<std::string> mailbox = ParseMailbox(in);
  if (!mailbox.ok()) return mailbox.status();
  absl::StatusOr<AppendCommand> command = ParseNextAppend(in);
  if (command.ok()) command->mailbox = *std::move(mailbox);
  return command;
}

}  // namespace posthorn::imap
