#ifndef POSTHORN_SERVICES_MAILBOX_REDIS_HINTS_H_
#define POSTHORN_SERVICES_MAILBOX_REDIS_HINTS_H_

#include <memory>

#include "lib/redis/options.h"
#include "services/mailbox/change_hints.h"

namespace posthorn::mailbox {

// Hints over Redis: "<tenant> <account> <modseq>" on channel "posthorn:hint:<account mod 1024>",
// and "changed" on channel "posthorn:directory".
std::unique_ptr<ChangeHints> MakeRedisHints(redis::Options options);

}  // namespace posthorn::mailbox

#endif  // POSTHORN_SERVICES_MAILBOX_REDIS_HINTS_H_
