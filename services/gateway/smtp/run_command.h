#ifndef POSTHORN_SERVICES_GATEWAY_SMTP_RUN_COMMAND_H_
#define POSTHORN_SERVICES_GATEWAY_SMTP_RUN_COMMAND_H_

#include <string>
#include <string_view>

#include "lib/base/task.h"
#include "lib/smtp/reply.h"
#include "services/gateway/smtp/context.h"

namespace posthorn::gateway {

// Parses one line, checks whether its verb is allowed now (the command table), runs its handler,
// counts, times and logs. After too many commands or errors the reply is 421 and closes.
// `context` belongs to the session, which owns the coroutine.
Task<smtp::Reply> RunCommand(std::string line, SmtpContext& context);

// A line that was too long to be read.
smtp::Reply RefuseLongLine(SmtpContext& context);

// One line of an AUTH exchange; counts failures as RunCommand does.
Task<smtp::Reply> RunAuthResponse(std::string line, SmtpContext& context);

}  // namespace posthorn::gateway

#endif  // POSTHORN_SERVICES_GATEWAY_SMTP_RUN_COMMAND_H_
