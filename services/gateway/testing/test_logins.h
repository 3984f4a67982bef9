#ifndef POSTHORN_SERVICES_GATEWAY_TESTING_TEST_LOGINS_H_
#define POSTHORN_SERVICES_GATEWAY_TESTING_TEST_LOGINS_H_

#include "lib/redis/lockouts.h"
#include "services/gateway/session/authenticator.h"
#include "services/gateway/session/login_guard.h"

namespace posthorn::gateway {

// The real authenticator over a test's directory and clock, counting in memory.
struct TestLogins {
  TestLogins(Directory& directory, const Clock& clock, LoginGuardOptions options = {},
             TokenIssuers* issuers = nullptr)
      : lockouts(nullptr, clock, redis::LockoutsOptions()),
        guard(lockouts, clock, std::move(options)),
        authenticator(directory, guard, issuers) {}

  redis::Lockouts lockouts;
  LoginGuard guard;
  Authenticator authenticator;
};

// Answers at once.
inline LoginGuardOptions NoDelay() {
  LoginGuardOptions options;
  options.delay = absl::ZeroDuration();
  return options;
}

}  // namespace posthorn::gateway

#endif  // POSTHORN_SERVICES_GATEWAY_TESTING_TEST_LOGINS_H_
