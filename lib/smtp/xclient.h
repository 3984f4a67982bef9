#ifndef POSTHORN_LIB_SMTP_XCLIENT_H_
#define POSTHORN_LIB_SMTP_XCLIENT_H_

#include <string_view>

#include "absl/status/statusor.h"
#include "lib/smtp/command.h"

namespace posthorn::smtp {

// The attributes XCLIENT takes, as EHLO lists them.
inline constexpr char kXclientAttributes[] =
    "NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT";

// What follows "XCLIENT ". kSyntax without any attribute; kBadParameter for one that is unknown,
// given twice or malformed.
absl::StatusOr<XclientCommand> ParseXclient(std::string_view text);

}  // namespace posthorn::smtp

#endif  // POSTHORN_LIB_SMTP_XCLIENT_H_
