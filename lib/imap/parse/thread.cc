// thread     = "THREAD" SP thread-alg SP charset 1*(SP search-key)   (RFC 5256)
// thread-alg = "REFERENCES" / "ORDEREDSUBJECT"
#include <utility>

#include "lib/imap/parse/parse.h"

namespace posthorn::imap {

absl::StatusOr<CommandBody> ParseThread(Cursor& in, bool uid) {
  ThreadCommand command;
  command.uid = uid;
  if (absl::Status s = ExpectSpace(in); !s.ok()) return s;
  if (in.ConsumeWord("ORDEREDSUBJECT")) {
    command.algorithm = ThreadCommand::Algorithm::kOrderedSubject;
  } else if (!in.ConsumeWord("REFERENCES")) {
    return SyntaxError("Unknown thread algorithm");
  }
  if (absl::Status s = ExpectSpace(in); !s.ok()) return s;
  absl::StatusOr<std::string> charset = ParseCharset(in);
  if (!charset.ok()) return charset.status();
  if (absl::Status s = ExpectSpace(in); !s.ok()) return s;
  absl::StatusOr<SearchKey> key = ParseSearchProgram(in, *std::move(charset));
  if (!key.ok()) return key.status();
  command.key = *std::move(key);
  return CommandBody(std::move(command));
}

}  // namespace posthorn::imap
