#ifndef POSTHORN_SERVICES_GATEWAY_SESSION_LOGIN_GUARD_H_
#define POSTHORN_SERVICES_GATEWAY_SESSION_LOGIN_GUARD_H_

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "lib/base/clock.h"
#include "lib/base/task.h"
#include "lib/net/ip_network.h"
#include "lib/redis/lockouts.h"

namespace posthorn::gateway {

// The defaults of posthorn.config.v1.Authentication.
struct LoginGuardOptions {
  absl::Duration delay = absl::Seconds(1);          // of the answer to the first failure
  absl::Duration maximum_delay = absl::Seconds(8);  // it doubles up to here
  int failures_per_login = 10;
  int failures_per_address = 30;
  int failures_per_network = 200;
  int failures_per_account = 100;
  absl::Duration window = absl::Minutes(15);
  absl::Duration lockout = absl::Minutes(15);
  absl::Duration known_network = absl::Hours(24 * 30);
  std::vector<net::IpNetwork> exempt_networks;  // counted by account only
};

// Stands between a login and its check. It counts failures by login (an account from a network: /24
// or /64), client address, network and account, and locks out what has too many. A login that has
// succeeded before is a known one: only its own failures hold it up, so nobody is kept out of his
// account by what others do elsewhere.
//
// Who is locked out gets the answer of a wrong password, after the same time: the answer to any
// failure is due at a time after the beginning that depends on the count of failures alone.
//
// Thread-safe; calls continue on the executor they were made on. Lockouts and clock outlive it.
class LoginGuard {
 public:
  LoginGuard(redis::Lockouts& lockouts, const Clock& clock, LoginGuardOptions options);

  // One login, from Begin to Succeeded or Failed.
  struct Attempt {
    bool locked_out = false;  // then nothing is checked, and Failed follows
    bool known = false;       // this login has succeeded before
    bool login_failed = false;
    std::string login;        // subjects: empty ones are not counted
    std::string address;
    std::string network;
    std::string account;
    absl::Time begun;
    std::int64_t failures = 0;  // so far, of login or address
  };
  // `name` as the client gave it; empty: it gave none. `client_ip` may be empty (unix sockets).
  Task<Attempt> Begin(std::string name, std::string client_ip);
  Task<void> Succeeded(Attempt attempt);
  // Counts, then returns when the answer is due.
  Task<void> Failed(Attempt attempt);

 private:
  redis::LockoutPolicy PolicyFor(int failures) const;
  bool IsExempt(const std::string& ip) const;

  redis::Lockouts& lockouts_;
  const Clock& clock_;
  const LoginGuardOptions options_;
};

}  // namespace posthorn::gateway

#endif  // POSTHORN_SERVICES_GATEWAY_SESSION_LOGIN_GUARD_H_
