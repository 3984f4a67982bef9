#ifndef POSTHORN_SERVICES_MAILBOX_PASSWORDS_H_
#define POSTHORN_SERVICES_MAILBOX_PASSWORDS_H_

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lib/base/clock.h"
#include "lib/base/ids.h"
#include "lib/base/task.h"
#include "lib/sasl/scram.h"

namespace posthorn::mailbox {

// How the SCRAM keys of a login name are made.
struct ScramParameters {
  // Of new accounts, and of names that nobody has.
  static constexpr int kIterations = 10000;

  ScramParameters() = default;
  ScramParameters(std::string salt_in, int iterations_in)
      : salt(std::move(salt_in)), iterations(iterations_in) {}
  std::string salt;
  int iterations = kIterations;
};

// What is stored of a password.
struct PasswordRecord {
  std::string hash;  // Argon2id, or of another system (password_hash.h); '' lets nobody in
  // Empty for a hash of another system: the keys need the password.
  ScramParameters scram;
  sasl::ScramKeys keys;
};

// Hashes and checks passwords on threads of its own, a few at a time: with Argon2id each takes
// 19 MiB and some 20 ms of a core. A check that succeeded is remembered for five minutes under a
// key that only this process knows, so mail clients that log in often cost little; the credential's
// version is part of it, so a changed password is in force at once. Thread-safe.
class Passwords {
 public:
  static constexpr std::size_t kMaxPasswordOctets = 1024;

  Passwords(int threads, const Clock& clock);
  ~Passwords();

  // Argon2id and SCRAM keys. kInvalidArgument for a password that is empty or too long;
  // kAuthenticationBusy.
  Task<absl::StatusOr<PasswordRecord>> Make(std::string password, ScramParameters parameters);

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

// A random application password, easy to type: six groups of four ("kx7m-..."), 118 bits. What is
// stored of it is HashApiKey and SCRAM keys.
std::string NewAppPassword();
// Whether it could be one.
bool LooksLikeAppPassword(std::string_view password);

}  // namespace posthorn::mailbox

#endif  // POSTHORN_SERVICES_MAILBOX_PASSWORDS_H_
