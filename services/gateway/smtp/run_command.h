#ifndef POSTHORN_SERVICES_GATEWAY_SMTP_RUN_COMMAND_H_
#define POSTHORN_SERVICES_GATEWAY_SMTP_RUN_COMMAND_H_

#include <string>
#include <string_view>

#include "lib/base/task.h"
#include "lib/smtp/reply.h"
#include "services/gateway/smtp/context.h"

namespace posthorn::gateway {

// Parses one line, checks whether its verb is allowed now (the command table), runs its handler,
// counts, times and logs. After too many commands or errors the reply is 421 and closes. A reply
// without a code: nothing is said yet, because the octets of a chunk come first.
// `more_waits`: the client has sent more than this line; where PIPELINING (RFC 2920) does not allow
// that, it did not wait for a reply that it needed, and the session ends.
// `context` belongs to the session, which owns the coroutine.
Task<smtp::Reply> RunCommand(std::string line, bool more_waits, SmtpContext& context);

// A line that was too long to be read.
smtp::Reply RefuseLongLine(SmtpContext& context);

// One line of an AUTH exchange; counts failures as RunCommand does.
Task<smtp::Reply> RunAuthResponse(std::string line, bool more_waits, SmtpContext& context);

// For who speaks where it should wait: 554, and the end.
smtp::Reply RefuseEarlyTalk(std::string_view where, const SmtpContext& context);

}  // namespace posthorn::gateway

#endif  // POSTHORN_SERVICES_GATEWAY_SMTP_RUN_COMMAND_H_
