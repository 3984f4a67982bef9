// append         = "APPEND" SP mailbox 1*append-message   (RFC 3502)
// replace        = ["UID" SP] "REPLACE" SP seq-number SP mailbox append-message   (RFC 8508)
// append-message = [SP flag-list] [SP date-time] SP (literal / literal8 /
//                  "UTF8" SP "(" literal8 ")")   (RFC 3516, RFC 6855)
#include <optional>
#include <utility>

#include "lib/imap/date_time.h"
#include "lib/imap/parse/parse.h"

namespace posthorn::imap {
namespace {

// The command's name; nullopt: it is none of these. Of REPLACE with its message number.
absl::StatusOr<std::optional<AppendCommand>> ParseVerb(Cursor& in) {
  AppendCommand command;
  if (in.ConsumeWord("APPEND")) return std::optional<AppendCommand>(std::move(command));
  Cursor ahead = in;
  AppendCommand::Replaced replaced;
  replaced.uid = ahead.ConsumeWord("UID") && ahead.ConsumeSpace();
  if (!ahead.ConsumeWord("REPLACE")) return std::optional<AppendCommand>();
  in = ahead;
  if (absl::Status s = ExpectSpace(in); !s.ok()) return s;
  if (in.Consume('*')) {
    replaced.number = kStar;
  } else {
    const std::optional<std::uint32_t> number = in.Number();
    if (!number || *number == 0) return SyntaxError("Expected a message number");
    replaced.number = *number;
  }
  command.replaced = replaced;
  return std::optional<AppendCommand>(std::move(command));
}

}  // namespace

bool IsAppend(std::string_view text) {
  Cursor in(text);
  const absl::StatusOr<std::optional<AppendCommand>> verb = ParseVerb(in);
  return !verb.ok() || verb->has_value();
}

bool AppendWantsMailbox(std::string_view text) {
  Cursor in(text);
  const absl::StatusOr<std::optional<AppendCommand>> verb = ParseVerb(in);
  return verb.ok() && verb->has_value() && in.ConsumeSpace() && in.AtEnd();
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
  if (in.ConsumeWord("UTF8")) {
    if (!in.ConsumeSpace() || !in.Consume('(')) return SyntaxError("Expected a literal");
    if (!in.utf8()) return SyntaxError("UTF8=ACCEPT is not enabled");
    command.utf8 = true;
  }
  if (!in.AtEnd()) return SyntaxError("Expected a literal with the message");
  return command;
}

absl::StatusOr<AppendCommand> ParseAppend(Cursor& in) {
  absl::StatusOr<std::optional<AppendCommand>> verb = ParseVerb(in);
  if (!verb.ok()) return verb.status();
  if (!verb->has_value()) return SyntaxError("Expected APPEND");
  if (absl::Status s = ExpectSpace(in); !s.ok()) return s;
  absl::StatusOr<std::string> mailbox = ParseMailbox(in);
  if (!mailbox.ok()) return mailbox.status();
  absl::StatusOr<AppendCommand> command = ParseNextAppend(in);
  if (!command.ok()) return command;
  command->mailbox = *std::move(mailbox);
  command->replaced = (*verb)->replaced;
  return command;
}

}  // namespace posthorn::imap
