// RFC 5161. Only what changes how the server speaks needs enabling; other names are left alone.
#include "services/gateway/imap/handlers.h"

namespace posthorn::gateway {

ImapReply HandleEnable(ImapState& state, const imap::EnableCommand& command) {
  state.out += "* ENABLED";
  for (const std::string& name : command.capabilities) {
    if (state.Enable(name)) state.out += ' ' + name;
  }
  state.out += "\r\n";
  return ImapReply::Ok("Enabled");
}

}  // namespace posthorn::gateway
