#ifndef POSTHORN_LIB_IMAP_MAILBOX_NAME_H_
#define POSTHORN_LIB_IMAP_MAILBOX_NAME_H_

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace posthorn::imap {

inline constexpr char kHierarchySeparator = '/';

// A mailbox argument as sent, in modified UTF-7 or, if `utf8`, UTF-8, to UTF-8, with INBOX in upper
// case, alone or as the first level. kMailboxNameInvalid for a broken encoding.
absl::StatusOr<std::string> DecodeMailbox(std::string_view sent, bool utf8 = false);
// The same for a pattern of LIST, in which INBOX stays as it is.
absl::StatusOr<std::string> DecodePattern(std::string_view sent, bool utf8);

// Whether a mailbox may be created under `name`: not empty, no empty level, no control
// characters, at most `max_octets`. kMailboxNameInvalid says what is wrong.
absl::Status ValidateNewMailbox(std::string_view name, std::size_t max_octets);

// RFC 3501 section 6.3.8: `*` matches anything, `%` anything but the separator. INBOX as the
// whole first level matches in any case. Linear in size(pattern) * size(name).
bool MatchesPattern(std::string_view name, std::string_view pattern);

}  // namespace posthorn::imap

#endif  // POSTHORN_LIB_IMAP_MAILBOX_NAME_H_
