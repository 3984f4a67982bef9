#include "apps/posthorn-sendmail/exit_codes.h"

namespace posthorn::sendmail {

ExitCode ExitCodeFor(const smtp::client::Reply& reply) {
  if (!reply.permanent()) return reply.positive() ? kOk : kTryAgain;
  if (reply.enhanced.starts_with("5.1.7") || reply.enhanced.starts_with("5.1.8")) {
    return kDataError;  // the sender's address
  }
  if (reply.enhanced.starts_with("5.1.")) return kNoUser;
  if (reply.enhanced.starts_with("5.7.")) return kNoPermission;
  if (reply.enhanced.starts_with("5.6.")) return kDataError;
  return kUnavailable;
}

}  // namespace posthorn::sendmail
