#ifndef POSTHORN_APPS_POSTHORN_SENDMAIL_EXIT_CODES_H_
#define POSTHORN_APPS_POSTHORN_SENDMAIL_EXIT_CODES_H_

#include "lib/smtp/client/reply.h"

namespace posthorn::sendmail {

// What callers of sendmail(1) read (sysexits.h).
enum ExitCode : int {
  kOk = 0,
  kUsage = 64,
  kDataError = 65,
  kNoUser = 67,
  kUnavailable = 69,
  kCannotCreate = 73,
  kTryAgain = 75,
  kNoPermission = 77,
  kConfiguration = 78,
};

// Of a refusal: by its enhanced code (RFC 3463), else by its code.
ExitCode ExitCodeFor(const smtp::client::Reply& reply);

}  // namespace posthorn::sendmail

#endif  // POSTHORN_APPS_POSTHORN_SENDMAIL_EXIT_CODES_H_
