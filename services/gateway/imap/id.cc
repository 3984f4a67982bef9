// RFC 2971. What clients say of themselves is not kept.
#include "services/gateway/imap/handlers.h"

namespace posthorn::gateway {

ImapReply HandleId(ImapState& state) {
  state.out += "* ID (\"name\" \"Posthorn\")\r\n";
  return ImapReply::Ok("ID completed");
}

}  // namespace posthorn::gateway
