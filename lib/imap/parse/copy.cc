// copy = "COPY" SP sequence-set SP mailbox      move = "MOVE" SP sequence-set SP mailbox (RFC 6851)
#include <utility>

#include "lib/imap/parse/parse.h"

namespace posthorn::imap {

absl::StatusOr<CommandBody> ParseCopy(Cursor& in, bool uid, bool move) {
  CopyCommand command;
  command.uid = uid;
  command.move = move;
  if (absl::Status s = ExpectSpace(in); !s.ok()) return s;
  absl::StatusOr<SequenceSet> set = ParseSequenceSet(in);
  if (!set.ok()) return set.status();
  command.set = *std::move(set);
  if (absl::Status s = ExpectSpace(in); !s.ok()) return s;
  absl::StatusOr<std::string> mailbox = ParseMailbox(in);
  if (!mailbox.ok()) return mailbox.status();
  command.mailbox = *std::move(mailbox);
  return CommandBody(std::move(command));
}

}  // namespace posthorn::imap
