#ifndef POSTHORN_LIB_SMTP_INTERNATIONAL_H_
#define POSTHORN_LIB_SMTP_INTERNATIONAL_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

// Internationalised addresses (RFC 6531) and domain names (RFC 5890).
namespace posthorn::smtp {

bool IsAscii(std::string_view text);

// Well-formed UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing above U+10FFFF.
bool IsUtf8(std::string_view text);

// The domain as DNS and directories compare it: A-labels, lower case. Both spellings of an
// internationalised name give the same. Underscores pass. kBadAddress if `domain` is no name that
// IDNA2008 allows.
absl::StatusOr<std::string> DomainToAscii(std::string_view domain);

// With U-labels, for people; what has none comes back in lower case, as does what is malformed.
std::string DomainToUnicode(std::string_view domain);

}  // namespace posthorn::smtp

#endif  // POSTHORN_LIB_SMTP_INTERNATIONAL_H_
