#ifndef POSTHORN_LIB_IMAP_DATE_TIME_H_
#define POSTHORN_LIB_IMAP_DATE_TIME_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/time/time.h"

namespace posthorn::imap {

// date-text of RFC 3501 section 9, "1-Feb-1994", as days since 1970-01-01.
std::optional<std::int32_t> ParseDate(std::string_view text);

// The inside of date-time: "17-Jul-1996 02:44:25 -0700"; the day may have a leading space.
std::optional<absl::Time> ParseDateTime(std::string_view text);

// The inside of date-time, in UTC: "17-Jul-1996 09:44:25 +0000".
std::string FormatDateTime(absl::Time time);

// The day of `time` in UTC, since 1970-01-01; matches what FormatDateTime shows.
std::int32_t DayOf(absl::Time time);

}  // namespace posthorn::imap

#endif  // POSTHORN_LIB_IMAP_DATE_TIME_H_
