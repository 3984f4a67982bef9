#ifndef POSTHORN_SERVICES_MAILBOX_MAILBOX_NAME_H_
#define POSTHORN_SERVICES_MAILBOX_MAILBOX_NAME_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace posthorn::mailbox {

inline constexpr std::size_t kMaxNameOctets = 1000;
inline constexpr int kMaxNameLevels = 50;

// The form in which a name is stored: UTF-8, levels separated by "/", INBOX (as the first level) in
// capitals, without the "/" that a client may put at the end. kMailboxNameInvalid for anything
// that cannot be a mailbox: empty levels, controls, broken UTF-8, too long or too deep.
absl::StatusOr<std::string> CanonicalName(std::string_view name);

// "a", "a/b" for "a/b/c".
std::vector<std::string> ParentsOf(std::string_view name);

}  // namespace posthorn::mailbox

#endif  // POSTHORN_SERVICES_MAILBOX_MAILBOX_NAME_H_
