// subscribe = "SUBSCRIBE" SP mailbox      unsubscribe = "UNSUBSCRIBE" SP mailbox
#include <utility>

#include "lib/imap/mailbox_name.h"
#include "lib/imap/parse/parse.h"

namespace posthorn::imap {

absl::StatusOr<CommandBody> ParseSubscribe(Cursor& in, bool subscribe) {
  if (absl::Status s = ExpectSpace(in); !s.ok()) return s;
  absl::StatusOr<std::string> mailbox = ParseMailbox(in);
  if (!mailbox.ok()) return mailbox.status();
  if (mailbox->size() > 1 && mailbox->back() == kHierarchySeparator) mailbox->pop_back();
  return CommandBody(SubscribeCommand{*std::move(mailbox), subscribe});
}

}  // namespace posthorn::imap
