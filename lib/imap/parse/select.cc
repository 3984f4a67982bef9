// select       = "SELECT" SP mailbox [SP "(" select-param *(SP select-param) ")"]
// examine      = "EXAMINE" and the same
// select-param = "CONDSTORE" / "QRESYNC" SP "(" uidvalidity SP mod-sequence-value
//                [SP known-uids] [SP seq-match-data] ")"   (RFC 7162)
// seq-match-data = "(" known-sequence-set SP known-uid-set ")"
#include <optional>
#include <utility>

#include "lib/imap/parse/parse.h"

namespace posthorn::imap {
namespace {

absl::Status ParseMatchData(Cursor& in) {
  if (!in.Consume('(')) return SyntaxError("Invalid match data");
  absl::StatusOr<SequenceSet> numbers = ParseSequenceSet(in);
  if (!numbers.ok()) return numbers.status();
  if (absl::Status s = ExpectSpace(in); !s.ok()) return s;
  absl::StatusOr<SequenceSet> uids = ParseSequenceSet(in);
  if (!uids.ok()) return uids.status();
  return in.Consume(')') ? absl::OkStatus() : SyntaxError("Missing ')'");
}

absl::Status ParseResync(Cursor& in, SelectCommand& command) {
  if (!in.ConsumeSpace() || !in.Consume('(')) return SyntaxError("Expected QRESYNC parameters");
  SelectCommand::Resync resync;
  const std::optional<std::uint32_t> uid_validity = in.Number();
  if (!uid_validity || *uid_validity == 0) return SyntaxError("Invalid UIDVALIDITY");
  resync.uid_validity = *uid_validity;
  if (absl::Status s = ExpectSpace(in); !s.ok()) return s;
  absl::StatusOr<std::int64_t> modseq = ParsePositiveModSequence(in);
  if (!modseq.ok()) return modseq.status();
  resync.modseq = *modseq;
  bool more = in.ConsumeSpace();
  if (more && in.Peek() != '(') {
    absl::StatusOr<SequenceSet> known = ParseSequenceSet(in);
    if (!known.ok()) return known.status();
    // RFC 7162 section 7: known-uids has neither "*" nor "$".
    for (const SequenceRange& range : known->ranges) {
      if (range.first == kStar || range.last == kStar) return SyntaxError("Invalid known UIDs");
    }
    if (known->saved) return SyntaxError("Invalid known UIDs");
    resync.known_uids = *std::move(known);
    more = in.ConsumeSpace();
  }
  if (more) {
    if (absl::Status s = ParseMatchData(in); !s.ok()) return s;
    resync.match_data = true;
  }
  if (!in.Consume(')')) return SyntaxError("Missing ')'");
  command.resync = std::move(resync);
  return absl::OkStatus();
}

absl::Status ParseParameters(Cursor& in, SelectCommand& command) {
  if (!in.Consume('(')) return SyntaxError("Expected parameters");
  do {
    if (in.ConsumeWord("CONDSTORE")) {
      command.condstore = true;
    } else if (in.ConsumeWord("QRESYNC") && !command.resync) {
      if (absl::Status s = ParseResync(in, command); !s.ok()) return s;
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
