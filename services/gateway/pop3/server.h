#ifndef POSTHORN_SERVICES_GATEWAY_POP3_SERVER_H_
#define POSTHORN_SERVICES_GATEWAY_POP3_SERVER_H_

#include <atomic>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "lib/base/clock.h"
#include "lib/base/executor.h"
#include "lib/base/task.h"
#include "lib/net/stream.h"
#include "lib/redis/rate_limiter.h"
#include "services/gateway/clients/mail_store.h"
#include "services/gateway/session/authenticator.h"
#include "services/gateway/session/connection_limiter.h"
#include "services/gateway/session/session_registry.h"

namespace posthorn::gateway {

struct Pop3Limits {
  int errors = 20;                                       // refused commands of a session
  int login_failures = 3;                                // then the session ends
  absl::Duration idle_timeout = absl::Seconds(600);      // RFC 1939 section 3: at least 10 minutes
  absl::Duration login_timeout = absl::Minutes(3);       // between commands, before a login
  absl::Duration write_timeout = absl::Minutes(5);
  absl::Duration lock_lease = absl::Seconds(120);        // of the account's lock; renewed in time
  absl::Duration login_delay;                            // between logins of an account; zero: none
};

struct Pop3ListenerOptions {
  bool implicit_tls = false;                      // role "pop3s"
  bool allow_plaintext_auth_on_loopback = false;  // development only
};

// What every session needs. All of it outlives the server.
struct Pop3Dependencies {
  MailStore* store = nullptr;
  Authenticator* authenticator = nullptr;
  const Clock* clock = nullptr;              // none: the system's
  const net::TlsContext* tls = nullptr;      // none: STLS is not offered
  ConnectionLimiter* connections = nullptr;  // none: no limit
  redis::RateLimiter* logins = nullptr;      // counts for login_delay; none: there is no delay
};

// Speaks POP3 (RFC 1939, RFC 2449, RFC 2595; see docs/protocols/pop3.md) on streams that somebody
// accepted. Thread-safe: each session stays on the executor its Serve was called on. The server and
// the listener options outlive the sessions: Drain, then wait until active_sessions() is 0.
class Pop3Server {
 public:
  Pop3Server(Pop3Dependencies dependencies, Pop3Limits limits);

  // One session from greeting to close; closes the stream.
  Task<void> Serve(std::unique_ptr<net::Stream> stream, const Pop3ListenerOptions& options);

  // Sessions end once they wait for a command, without deleting anything; new ones are refused.
  void Drain();
  int active_sessions() const;

 private:
  const Pop3Dependencies dependencies_;
  const Pop3Limits limits_;
  std::atomic<bool> draining_{false};
  SessionRegistry sessions_;
};

}  // namespace posthorn::gateway

#endif  // POSTHORN_SERVICES_GATEWAY_POP3_SERVER_H_
