#ifndef POSTHORN_SERVICES_MAILBOX_PASSWORD_HASH_H_
#define POSTHORN_SERVICES_MAILBOX_PASSWORD_HASH_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace posthorn::mailbox {

// Passwords as other systems keep them, so that people may move here with theirs:
//   bcrypt            $2a$, $2b$, $2y$     {BLF-CRYPT}
//   SHA-crypt         $5$, $6$             {SHA256-CRYPT}, {SHA512-CRYPT}
//   yescrypt          $y$
//   all of these                           {CRYPT}
//   Argon2id          $argon2id$           {ARGON2ID}
//   salted SHA-1      {SSHA}<base64 of SHA-1(password, salt) and salt>
// The names in braces are Dovecot's; they may be left out.

// `text` in the form in which it is stored. kInvalidArgument for schemes that are not in the list
// above, for what is malformed, and for costs so high that checking it would stand in the way.
absl::StatusOr<std::string> ParsePasswordHash(std::string_view text);

// Whether it is of the form that this platform makes itself.
bool IsOwnHash(std::string_view hash);

// Whether `password` has this hash. Takes as long as the hash wants: milliseconds to seconds, and
// some tens of megabytes. False for what ParsePasswordHash would refuse. Thread-safe.
bool VerifyPasswordHash(const std::string& hash, const std::string& password);

}  // namespace posthorn::mailbox

#endif  // POSTHORN_SERVICES_MAILBOX_PASSWORD_HASH_H_
