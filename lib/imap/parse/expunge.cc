// expunge = "EXPUNGE"      uid-expunge = "UID" SP "EXPUNGE" SP sequence-set      (RFC 4315)
#include <utility>

#include "lib/imap/parse/parse.h"

namespace posthorn::imap {

absl::StatusOr<CommandBody> ParseExpunge(Cursor& in, bool uid) {
  ExpungeCommand command;
  if (uid) {
    if (absl::Status s = ExpectSpace(in); !s.ok()) return s;
    absl::StatusOr<SequenceSet> set = ParseSequenceSet(in);
    if (!set.ok()) return set.status();
    command.uids = *std::move(set);
  }
  return CommandBody(std::move(command));
}

}  // namespace posthorn::imap
