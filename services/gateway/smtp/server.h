#ifndef POSTHORN_SERVICES_GATEWAY_SMTP_SERVER_H_
#define POSTHORN_SERVICES_GATEWAY_SMTP_SERVER_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lib/base/clock.h"
#include "lib/base/executor.h"
#include "lib/base/task.h"
#include "lib/net/staged_body.h"
#include "lib/net/stream.h"
#include "lib/smtp/data_decoder.h"
#include "services/gateway/accept/message_acceptor.h"
#include "services/gateway/accept/submission.h"
#include "services/gateway/clients/directory.h"
#include "services/gateway/session/authenticator.h"
#include "services/gateway/session/connection_limiter.h"
#include "services/gateway/session/session_registry.h"
#include "services/gateway/smtp/trusted_network.h"

namespace posthorn::gateway {

enum class SmtpRole {
  kMx,           // port 25: mail for our domains; no AUTH
  kSubmission,   // port 587: STARTTLS, then AUTH (RFC 6409)
  kSubmissions,  // port 465: TLS from the first octet (RFC 8314)
  kLmtp,         // RFC 2033: one answer a recipient after DATA
};

// Does it take mail that was never anywhere else (RFC 6409)?
constexpr bool IsSubmissionRole(SmtpRole role) {
  return role == SmtpRole::kSubmission || role == SmtpRole::kSubmissions;
}

// "mx", "submission", "submissions", "lmtp"; kInvalidArgument otherwise.
absl::StatusOr<SmtpRole> ParseSmtpRole(std::string_view name);

struct SmtpListenerOptions {
  SmtpRole role = SmtpRole::kMx;
  bool strict_paths = false;
  bool allow_plaintext_auth_on_loopback = false;
  // kKeep: a message with a bare CR or LF is refused.
  smtp::BareNewlines bare_newlines = smtp::BareNewlines::kKeep;
  FromPolicy from_policy = FromPolicy::kReject;
  std::vector<TrustedNetwork> trusted_networks;
};

struct SmtpLimits {
  std::int64_t message_octets = 52428800;
  int line_octets = 0;  // of a text line in DATA; 0: none
  int recipients = 1000;
  int commands = 10000;  // since the last accepted message
  int errors = 20;       // refused commands of a session
  int received_headers = 100;  // more is a loop (RFC 5321 section 6.3)
  absl::Duration command_timeout = absl::Seconds(300);
  absl::Duration data_timeout = absl::Seconds(600);
};

// What every session needs. All of it outlives the server.
struct SmtpDependencies {
  Directory* directory = nullptr;
  Authenticator* authenticator = nullptr;
  MessageAcceptor* acceptor = nullptr;
  net::StagingArea* staging = nullptr;
  const Clock* clock = nullptr;
  const net::TlsContext* tls = nullptr;      // none: STARTTLS is not offered
  ConnectionLimiter* connections = nullptr;  // none: no limit
  std::string hostname;                      // in greetings, EHLO and Received
};

// Speaks SMTP, submission and LMTP on streams that somebody accepted. Thread-safe: each session
// stays on the executor its Serve was called on. The server and the listener options outlive the
// sessions: Drain, wait until active_sessions() is 0, stop the executors, then destroy it.
class SmtpServer {
 public:
  SmtpServer(SmtpDependencies dependencies, SmtpLimits limits);

  // One session from greeting to close; closes the stream.
  Task<void> Serve(std::unique_ptr<net::Stream> stream, const SmtpListenerOptions& options);

  // Sessions between commands are told 421 and closed, others after the reply they are working on.
  void Drain();
  int active_sessions() const;

 private:
  const SmtpDependencies dependencies_;
  const SmtpLimits limits_;
  std::atomic<bool> draining_{false};
  SessionRegistry sessions_;
};

}  // namespace posthorn::gateway

#endif  // POSTHORN_SERVICES_GATEWAY_SMTP_SERVER_H_
