// RFC 5161. Only what changes how the server speaks needs enabling; other names are left alone.
#include "services/gateway/imap/handlers.h"

namespace posthorn::gateway {

ImapReply HandleEnable(ImapState& state, const imap::EnableCommand& command) {
  state.out += "* ENABLED";
  for (const std::string& name : command.capabilities) {
    const std::string_view enabled = state.Enable(name);
    if (enabled.empty()) continue;
    state.out += ' ';
    state.out += enabled;
  }
  state.out += "\r\n";
  return ImapReply::Ok("Enabled");
}

}  // namespace posthorn::gateway
