#ifndef POSTHORN_SERVICES_MAILBOX_PASSWORDS_H_
#define POSTHORN_SERVICES_MAILBOX_PASSWORDS_H_

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lib/base/clock.h"
#include "lib/base/ids.h"
#include "lib/base/task.h"

namespace posthorn::mailbox {

// Hashes and checks passwords with Argon2id on threads of its own, a few at a time: each takes
// 19 MiB and some 20 ms of a core. A check that succeeded is remembered for five minutes under a
// key that only this process knows, so mail clients that log in often cost little; the credential's
// version is part of it, so a changed password is in force at once. Thread-safe.
class Passwords {
 public:
  static constexpr std::size_t kMaxPasswordOctets = 1024;

  Passwords(int threads, const Clock& clock);
  ~Passwords();

  // kInvalidArgument for one that is empty or too long; kAuthenticationBusy.
  Task<absl::StatusOr<std::string>> Hash(std::string password);

  // OK, kAuthenticationFailed or kAuthenticationBusy. With an empty `hash` (no such account, or no
  // password) it takes as long as any check and fails.
  Task<absl::Status> Check(AccountId account, std::int64_t credential_version, std::string hash,
                           std::string password);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// A random API key ("ph_" and 43 letters, digits, "-" and "_") and what is stored of it.
std::string NewApiKey();
std::string HashApiKey(std::string_view key);

}  // namespace posthorn::mailbox

#endif  // POSTHORN_SERVICES_MAILBOX_PASSWORDS_H_
