// store           = "STORE" SP sequence-set [SP "(" "UNCHANGEDSINCE" SP mod-sequence-valzer ")"]
//                   SP store-att-flags   (RFC 7162)
// store-att-flags = (["+" / "-"] "FLAGS" [".SILENT"]) SP (flag-list / (flag *(SP flag)))
#include <utility>

#include "lib/imap/parse/parse.h"

namespace posthorn::imap {

absl::StatusOr<CommandBody> ParseStore(Cursor& in, bool uid) {
  StoreCommand command;
  command.uid = uid;
  if (absl::Status s = ExpectSpace(in); !s.ok()) return s;
  absl::StatusOr<SequenceSet> set = ParseSequenceSet(in);
  if (!set.ok()) return set.status();
  command.set = *std::move(set);
  if (absl::Status s = ExpectSpace(in); !s.ok()) return s;
  if (in.Consume('(')) {
    if (!in.ConsumeWord("UNCHANGEDSINCE") || !in.ConsumeSpace()) {
      return SyntaxError("Unknown store modifier");
    }
    absl::StatusOr<std::int64_t> modseq = ParseModSequence(in);
    if (!modseq.ok()) return modseq.status();
    command.unchanged_since = *modseq;
    if (!in.Consume(')')) return SyntaxError("Missing ')'");
    if (absl::Status s = ExpectSpace(in); !s.ok()) return s;
  }
  if (in.Consume('+')) {
    command.mode = StoreCommand::Mode::kAdd;
  } else if (in.Consume('-')) {
    command.mode = StoreCommand::Mode::kRemove;
  }
  if (in.ConsumeWord("FLAGS.SILENT")) {
    command.silent = true;
  } else if (!in.ConsumeWord("FLAGS")) {
    return SyntaxError("Expected FLAGS");
  }
  if (absl::Status s = ExpectSpace(in); !s.ok()) return s;
  if (in.Peek() == '(') {
    absl::StatusOr<FlagList> flags = ParseFlagList(in);
    if (!flags.ok()) return flags.status();
    command.flags = *std::move(flags);
  } else {
    do {
      if (absl::Status s = ParseFlag(in, command.flags); !s.ok()) return s;
    } while (in.ConsumeSpace());
  }
  return CommandBody(std::move(command));
}

}  // namespace posthorn::imap
