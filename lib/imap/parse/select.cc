// select = "SELECT" SP mailbox      examine = "EXAMINE" SP mailbox
#include <utility>

#include "lib/imap/parse/parse.h"

namespace posthorn::imap {

absl::StatusOr<CommandBody> ParseSelect(Cursor& in, bool read_only) {
  if (absl::Status s = ExpectSpace(in); !s.ok()) return s;
  absl::StatusOr<std::string> mailbox = ParseMailbox(in);
  if (!mailbox.ok()) return mailbox.status();
  return CommandBody(SelectCommand{*std::move(mailbox), read_only});
}

}  // namespace posthorn::imap
