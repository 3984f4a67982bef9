#ifndef POSTHORN_SERVICES_GATEWAY_SMTP_SERVER_H_
#define POSTHORN_SERVICES_GATEWAY_SMTP_SERVER_H_

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lib/base/clock.h"
#include "lib/base/executor.h"
#include "lib/base/task.h"
#include "lib/net/ip_network.h"
#include "lib/net/staged_body.h"
#include "lib/net/stream.h"
#include "lib/smtp/data_decoder.h"
#include "lib/smtp/extensions.h"
#include "services/gateway/accept/message_acceptor.h"
#include "services/gateway/accept/submission.h"
#include "services/gateway/clients/directory.h"
#include "services/gateway/clients/queue_view.h"
#include "services/gateway/session/authenticator.h"
#include "services/gateway/session/connection_limiter.h"
#include "services/gateway/session/session_registry.h"
#include "services/gateway/smtp/trusted_network.h"

namespace posthorn::gateway {

struct SmtpShared;  // context.h

enum class SmtpRole {
  kMx,           // port 25: mail for our domains; no AUTH
  kSubmission,   // port 587: STARTTLS, then AUTH (RFC 6409)
  kSubmissions,  // port 465: TLS from the first octet (RFC 8314)
  kLmtp,         // RFC 2033: one answer a recipient after DATA
  kLocal,        // submission by users of this machine, whom the kernel vouches for
};

// Does it take mail that was never anywhere else (RFC 6409)?
constexpr bool IsSubmissionRole(SmtpRole role) {
  return role == SmtpRole::kSubmission || role == SmtpRole::kSubmissions ||
         role == SmtpRole::kLocal;
}

// "mx", "submission", "submissions", "lmtp"; kInvalidArgument otherwise: a listener of the
// configuration knows no users.
absl::StatusOr<SmtpRole> ParseSmtpRole(std::string_view name);

enum class SmtpTls {
  kOffered,   // STARTTLS, where there is a certificate
  kRequired,  // and nothing else but EHLO, HELP, NOOP and QUIT before it (RFC 3207 section 4)
  kOff,
};

// "offered", "required", "off"; kInvalidArgument otherwise.
absl::StatusOr<SmtpTls> ParseSmtpTls(std::string_view name);

struct SmtpListenerOptions {
  SmtpRole role = SmtpRole::kMx;
  std::string hostname;  // in greetings and EHLO; empty: that of the platform
  SmtpTls tls = SmtpTls::kOffered;
  std::int64_t message_octets = 0;  // 0: SmtpLimits has it
  // Of one client, over all listeners of this gateway; 0: no limit.
  int messages_per_minute = 0;
  int commands_per_minute = 0;
  // Addresses like user@[192.0.2.1] are taken (RFC 5321 section 4.1.3).
  bool domain_literals = false;
  // Who speaks before the greeting is refused; this long it is waited for them. 0: only looked.
  absl::Duration greeting_delay;
  std::vector<net::IpNetwork> xclient_networks;  // who may use XCLIENT
  bool strict_paths = false;
  bool allow_plaintext_auth_on_loopback = false;
  // kKeep: a message with a bare CR or LF is refused.
  smtp::BareNewlines bare_newlines = smtp::BareNewlines::kKeep;
  FromPolicy from_policy = FromPolicy::kReject;
  std::vector<TrustedNetwork> trusted_networks;
  // kLocal: whose mail it is, and of addresses without a domain; who may write as anybody in the
  // domains of its tenant.
  std::string local_domain;
  std::vector<std::string> trusted_users;
};

// A user of this machine.
struct LocalUser {
  LocalUser() = default;
  LocalUser(uid_t uid_in, std::string name_in) : uid(uid_in), name(std::move(name_in)) {}
  uid_t uid = 0;
  std::string name;  // "uid 1234" where the system knows none
  // The message was taken before and is handed over now (maildrop): what a message without a
  // Message-ID is recognised by when it comes again. Empty: the user is there and waits.
  std::string handover_key;
};
// By the system's user database; may block.
LocalUser FindLocalUser(uid_t uid);

struct SmtpLimits {
  std::int64_t message_octets = 52428800;
  int line_octets = 0;  // of a text line in DATA; 0: none
  int recipients = 1000;
  int commands = 10000;  // since the last accepted message
  int errors = 20;       // refused commands of a session
  int received_headers = 100;  // more is a loop (RFC 5321 section 6.3)
  // For a whole command line, and for the client to read replies.
  absl::Duration command_timeout = absl::Seconds(300);
  // Between two pieces of message data; a whole message has this, and a second more for every
  // `min_data_octets_per_second` octets of it, but no more than `data_total_timeout`.
  absl::Duration data_timeout = absl::Seconds(600);
  absl::Duration data_total_timeout = absl::Hours(2);
  std::int64_t min_data_octets_per_second = 500;
  int messages_at_once = 2000;  // being received, of all sessions; more are told 451
  // From the next unknown recipient on each answer waits, and in the end the session is closed: by
  // session and by address (of the last ten minutes).
  int unknown_recipients_at_once = 5;
  absl::Duration unknown_recipient_delay = absl::Seconds(1);
  int unknown_recipients = 20;
  absl::Duration max_hold = absl::Hours(24 * 7);  // FUTURERELEASE (RFC 4865)
};

// Of a message, on this listener.
constexpr std::int64_t MaxMessageOctets(const SmtpLimits& limits,
                                        const SmtpListenerOptions& options) {
  return options.message_octets > 0 ? options.message_octets : limits.message_octets;
}

// What every session needs. All of it outlives the server.
struct SmtpDependencies {
  Directory* directory = nullptr;
  Authenticator* authenticator = nullptr;
  MessageAcceptor* acceptor = nullptr;
  QueueView* queue = nullptr;  // for XQUEUE; none: it is not known
  net::StagingArea* staging = nullptr;
  const Clock* clock = nullptr;
  const net::TlsContext* tls = nullptr;      // none: STARTTLS is not offered
  ConnectionLimiter* connections = nullptr;  // none: no limit
  std::string hostname;                      // in greetings, EHLO and Received
  // Of DSN, REQUIRETLS, FUTURERELEASE, MT-PRIORITY, DELIVERBY and XVERP what the queue honours; the others
  // are not offered, and their parameters are not known.
  smtp::ExtensionSet queue_extensions;
};

// Speaks SMTP, submission and LMTP on streams that somebody accepted. Thread-safe: each session
// stays on the executor its Serve was called on. The server and the listener options outlive the
// sessions: Drain, wait until active_sessions() is 0, stop the executors, then destroy it.
class SmtpServer {
 public:
  SmtpServer(SmtpDependencies dependencies, SmtpLimits limits);
  ~SmtpServer();

  // One session from greeting to close; closes the stream. Not for the role kLocal.
  Task<void> Serve(std::unique_ptr<net::Stream> stream, const SmtpListenerOptions& options);

  // The same for a user of this machine, in the role kLocal.
  Task<void> ServeLocal(std::unique_ptr<net::Stream> stream, const SmtpListenerOptions& options,
                        LocalUser user);

  // New sessions and those without a transaction are told 421 and closed; a transaction goes on to
  // its end.
  void Drain();
  int active_sessions() const;

 private:
  Task<void> Run(std::unique_ptr<net::Stream> stream, const SmtpListenerOptions& options,
                 std::optional<LocalUser> user);

  const SmtpDependencies dependencies_;
  const SmtpLimits limits_;
  const std::unique_ptr<SmtpShared> shared_;
  std::atomic<bool> draining_{false};
  SessionRegistry sessions_;
};

}  // namespace posthorn::gateway

#endif  // POSTHORN_SERVICES_GATEWAY_SMTP_SERVER_H_
