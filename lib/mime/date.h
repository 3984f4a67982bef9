#ifndef POSTHORN_LIB_MIME_DATE_H_
#define POSTHORN_LIB_MIME_DATE_H_

#include <optional>
#include <string_view>

#include "absl/time/time.h"

namespace posthorn::mime {

// The moment an unfolded Date value names (RFC 5322 section 3.3, obsolete forms included), by the
// rules of RFC 5256 section 2.2: an unreadable time is midnight, an unreadable zone UTC. nullopt if
// there is no readable day.
std::optional<absl::Time> ParseDate(std::string_view value);

}  // namespace posthorn::mime

#endif  // POSTHORN_LIB_MIME_DATE_H_
