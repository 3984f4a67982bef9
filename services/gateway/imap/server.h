#ifndef POSTHORN_SERVICES_GATEWAY_IMAP_SERVER_H_
#define POSTHORN_SERVICES_GATEWAY_IMAP_SERVER_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/time/time.h"
#include "lib/base/clock.h"
#include "lib/base/executor.h"
#include "lib/base/task.h"
#include "lib/net/stream.h"
#include "services/gateway/change_hub.h"
#include "services/gateway/clients/mail_store.h"
#include "services/gateway/imap/snapshot_cache.h"
#include "services/gateway/imap/sort_keys.h"
#include "services/gateway/session/authenticator.h"
#include "services/gateway/session/connection_limiter.h"
#include "services/gateway/session/session_registry.h"

namespace posthorn::gateway {

// The defaults of posthorn.config.v1.Limits.
struct ImapLimits {
  std::size_t line_octets = 65536;
  std::size_t literal_octets = 1024 * 1024;
  std::uint64_t message_octets = 52428800;
  std::size_t mailbox_name_octets = 1000;
  // RFC 9738: of one command. A whole mailbox for all but the largest: clients that do not know of
  // the limit take a part of it for all.
  std::uint32_t messages = 1'000'000;
  int errors = 20;  // commands that were refused with BAD, and failed logins
  absl::Duration idle_timeout = absl::Seconds(1860);
  absl::Duration login_timeout = absl::Minutes(3);  // between commands, before a login
  absl::Duration write_timeout = absl::Minutes(5);
  absl::Duration progress_interval = absl::Seconds(10);  // between two INPROGRESS
  absl::Duration idle_keepalive = absl::Minutes(2);  // "* OK Still here" during IDLE
};

struct ImapListenerOptions {
  bool implicit_tls = false;                      // role "imaps"
  bool allow_plaintext_auth_on_loopback = false;  // development only
};

// What every session needs. All of it outlives the server.
struct ImapDependencies {
  MailStore* store = nullptr;
  Authenticator* authenticator = nullptr;
  ChangeHub* hub = nullptr;
  const Clock* clock = nullptr;
  const net::TlsContext* tls = nullptr;      // none: STARTTLS is not offered
  ConnectionLimiter* connections = nullptr;  // none: no limit
  SnapshotCache* snapshots = nullptr;        // the server's own, as the next
  SortKeyCache* sort_keys = nullptr;
};

// Speaks IMAP4rev1 (RFC 3501 and the extensions in docs/protocols/imap.md) on streams that somebody
// accepted. Thread-safe: each session stays on the executor its Serve was called on. The server and
// the listener options outlive the sessions: Drain, then wait until active_sessions() is 0.
class ImapServer {
 public:
  ImapServer(ImapDependencies dependencies, ImapLimits limits);

  // One session from greeting to close; closes the stream.
  Task<void> Serve(std::unique_ptr<net::Stream> stream, const ImapListenerOptions& options);

  // Sessions say BYE once they wait for a command (IDLE included); new ones are refused.
  void Drain();
  int active_sessions() const;

 private:
  SnapshotCache snapshots_;
  SortKeyCache sort_keys_;
  const ImapDependencies dependencies_;
  const ImapLimits limits_;
  std::atomic<bool> draining_{false};
  SessionRegistry sessions_;
};

}  // namespace posthorn::gateway

#endif  // POSTHORN_SERVICES_GATEWAY_IMAP_SERVER_H_
