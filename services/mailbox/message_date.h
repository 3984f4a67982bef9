#ifndef POSTHORN_SERVICES_MAILBOX_MESSAGE_DATE_H_
#define POSTHORN_SERVICES_MAILBOX_MESSAGE_DATE_H_

#include <cstdint>
#include <optional>
#include <string_view>

namespace posthorn::mailbox {

// The day a Date header value names (RFC 5322 section 3.3, obsolete forms included), in days since
// 1970-01-01, disregarding time and zone as SENTON does (RFC 3501 section 6.4.4). nullopt if there
// is no readable date.
std::optional<std::int64_t> SentDay(std::string_view date);

}  // namespace posthorn::mailbox

#endif  // POSTHORN_SERVICES_MAILBOX_MESSAGE_DATE_H_
