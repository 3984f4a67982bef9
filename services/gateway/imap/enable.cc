// RFC 5161. Names that need no enabling, or are not known, are left alone: so far that is all.
#include "services/gateway/imap/handlers.h"

namespace posthorn::gateway {

ImapReply HandleEnable(ImapState& state) {
  state.out += "* ENABLED\r\n";
  return ImapReply::Ok("Enabled");
}

}  // namespace posthorn::gateway
