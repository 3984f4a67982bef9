#ifndef POSTHORN_SERVICES_GATEWAY_ACCEPT_MESSAGE_ACCEPTOR_H_
#define POSTHORN_SERVICES_GATEWAY_ACCEPT_MESSAGE_ACCEPTOR_H_

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "lib/base/ids.h"
#include "lib/base/task.h"
#include "lib/net/staged_body.h"
#include "services/gateway/clients/directory.h"
#include "services/gateway/clients/envelope_options.h"

namespace posthorn::gateway {

// One recipient as the client gave it, and what it resolved to.
struct AcceptRecipient {
  AcceptRecipient() = default;
  AcceptRecipient(std::string address_in, TenantId tenant_in, std::vector<Target> targets_in)
      : address(std::move(address_in)), tenant(tenant_in), targets(std::move(targets_in)) {}
  std::string address;  // addr-spec, as in RCPT TO
  // Whose envelope it belongs to: the recipient's tenant where the domain is ours, else the tenant
  // that may relay (of the login, key or trusted network).
  TenantId tenant;
  std::vector<Target> targets;  // at least one; a remote recipient is its own target
  RecipientOptions options;
};

// What the Received header tells (RFC 5321 section 4.4, RFC 8314 section 4.3).
struct TraceInfo {
  std::string helo;         // as the client gave it; empty: none (API)
  std::string client_name;  // host name, where a trusted client told it; empty: unknown
  std::string client_ip;    // empty: unix socket
  std::string protocol;     // "ESMTPS", "LMTP", "UTF8SMTPSA", "HTTP" ... (RFC 3848, 6531)
  std::string tls;          // "TLS_AES_256_GCM_SHA384 (TLSv1.3)"; empty: none
};

struct AcceptRequest {
  AcceptRequest() = default;
  MessageId id;              // minted for this message
  std::string reverse_path;  // addr-spec; empty: null
  std::vector<AcceptRecipient> recipients;
  std::shared_ptr<net::StagedBody> body;  // as received: what BODY[] is, after the trace headers
  TraceInfo trace;
  absl::Time received_at;
  bool body_is_8bit = false;
  // `options.smtputf8` need only tell of the header: addresses are looked at here.
  EnvelopeOptions options;
  std::string message_id_header;  // value of Message-ID; empty: no resend detection
  // Of the message as it was received, where `body` is not that any more. None: of `body`.
  std::optional<std::string> resend_key;
  // The values of Delivered-To in the body, in lower case: a recipient's mailbox that is among them
  // has had the message before (kMailLoop).
  std::vector<std::string> delivered_to;
  // Of an API send; the message then always goes to the queue. Keys of different senders are
  // different keys, also where their messages meet in a third tenant's envelope.
  std::string idempotency_key;
  TenantId sender_tenant;  // whose idempotency key it is
  // LMTP: each recipient has its own answer. Otherwise one answer speaks for all, so a recipient
  // that is refused for good while others are accepted goes to the queue, which tells the sender.
  bool answers_per_recipient = false;
};

struct AcceptResult {
  // The id under which the message is kept: the given one, or that of the first copy when the
  // idempotency key or resend key was seen before.
  MessageId id;
  bool duplicate = false;
  // OK: committed (stored, queued or a duplicate of something that is), or the same recipient's
  // result as one before it. In the order of the recipients.
  std::vector<absl::Status> recipients;

  // What one reply says for all: the first temporary failure, because that recipient's copy is
  // nowhere (who tries again is recognised by the resend key); else OK if any recipient was
  // accepted; else the first permanent failure.
  absl::Status Overall() const;
};

// The commit rule, in one place for SMTP, LMTP and the API's Send: an OK leaves only after the
// message is committed, either in the mailboxes or in the queue's spool.
//
// A tenant's recipients that are each exactly one local mailbox are delivered at once; those that
// fail for a temporary reason, or whose outcome is in doubt, go to the queue under the same id (a
// delivery is idempotent by id); a full mailbox alone is answered so. Everything else is the
// queue's from the start, and so is what only the queue can do: holding, a deadline, REQUIRETLS,
// telling of success. Concurrent calls are sent together. Thread-safe; a call continues on its own
// executor and always ends: every RPC has a deadline.
class MessageAcceptor {
 public:
  virtual ~MessageAcceptor() = default;
  virtual Task<AcceptResult> Accept(AcceptRequest request) = 0;
};

}  // namespace posthorn::gateway

#endif  // POSTHORN_SERVICES_GATEWAY_ACCEPT_MESSAGE_ACCEPTOR_H_
