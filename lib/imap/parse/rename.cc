// rename = "RENAME" SP mailbox SP mailbox
#include <utility>

#include "lib/imap/mailbox_name.h"
#include "lib/imap/parse/parse.h"

namespace posthorn::imap {

absl::StatusOr<CommandBody> ParseRename(Cursor& in) {
  if (absl::Status s = ExpectSpace(in); !s.ok()) return s;
  absl::StatusOr<std::string> from = ParseMailbox(in);
  if (!from.ok()) return from.status();
  if (absl::Status s = ExpectSpace(in); !s.ok()) return s;
  absl::StatusOr<std::string> to = ParseMailbox(in);
  if (!to.ok()) return to.status();
  if (to->size() > 1 && to->back() == kHierarchySeparator) to->pop_back();
  return CommandBody(RenameCommand{*std::move(from), *std::move(to)});
}

}  // namespace posthorn::imap
