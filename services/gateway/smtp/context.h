#ifndef POSTHORN_SERVICES_GATEWAY_SMTP_CONTEXT_H_
#define POSTHORN_SERVICES_GATEWAY_SMTP_CONTEXT_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lib/net/ip_network.h"
#include "lib/smtp/command.h"
#include "lib/smtp/reply.h"
#include "services/gateway/session/address_counters.h"
#include "services/gateway/smtp/data_receiver.h"
#include "services/gateway/smtp/receive_slots.h"
#include "services/gateway/smtp/server.h"

namespace posthorn::gateway {

// A mail transaction (RFC 5321 section 3.3), from MAIL to the end of the message.
struct SmtpTransaction {
  explicit SmtpTransaction(std::string reverse_path_in)
      : reverse_path(std::move(reverse_path_in)) {}
  std::string reverse_path;  // addr-spec; empty: null
  EnvelopeOptions options;
  bool smtputf8 = false;  // MAIL had SMTPUTF8: addresses and header may be UTF-8
  std::vector<AcceptRecipient> recipients;
  bool sender_checked = false;  // for relaying from a trusted network
  std::uint64_t declared_octets = 0;  // SIZE; 0: not said
};

// What the next octets from the client are.
enum class SmtpInput {
  kCommand,
  kAuthResponse,   // a line of an AUTH exchange
  kData,           // message data; `data` takes it
  kChunk,          // the octets of a BDAT command; see `chunk`
  kTlsHandshake,   // after the reply to STARTTLS
};

// A BDAT command whose octets are being read.
struct SmtpChunk {
  SmtpChunk(std::uint64_t octets_in, bool last_in, absl::Time began_in)
      : octets(octets_in), left(octets_in), last(last_in), began(began_in) {}
  std::uint64_t octets;
  std::uint64_t left;
  bool last;
  absl::Time began;
  // The command was refused: its octets are read and dropped, then the client is told.
  std::optional<smtp::Reply> refusal;
};

// What the sessions of a server have in common. Thread-safe.
struct SmtpShared {
  explicit SmtpShared(const SmtpLimits& limits);
  AddressCounters messages;            // MAIL commands of the last minute
  AddressCounters commands;            // of the last minute
  AddressCounters unknown_recipients;  // of the last ten minutes
  ReceiveSlots receiving;
};

// The user of this machine whose session it is.
struct LocalSession {
  LocalSession(LocalUser user_in, const SmtpListenerOptions& options);
  LocalUser user;
  std::string address;   // the user's own
  bool trusted = false;  // may write as anybody in the domains of the tenant
  TenantId tenant;       // of LocalTenant(), once it was needed
};

// All that a session knows. Belongs to one session and its executor; handlers change it.
struct SmtpContext {
  SmtpContext(const SmtpDependencies& dependencies, const SmtpLimits& limits_in,
              const SmtpListenerOptions& options_in, SmtpShared& shared_in,
              const net::Stream& stream_in)
      : deps(dependencies),
        limits(limits_in),
        options(options_in),
        shared(shared_in),
        stream(stream_in) {}

  bool IsSubmission() const { return IsSubmissionRole(options.role); }
  bool IsLmtp() const { return options.role == SmtpRole::kLmtp; }
  // What this listener calls itself.
  const std::string& hostname() const {
    return options.hostname.empty() ? deps.hostname : options.hostname;
  }
  std::int64_t message_octets() const {
    return MaxMessageOctets(limits, options);
  }
  // The client: the peer of the connection, or who stands behind it by XCLIENT. Policy, logs and
  // trace headers know only this one.
  const net::PeerAddress& client() const {
    return client_behind.has_value() ? *client_behind : stream.peer();
  }
  // AUTH only where it protects the password (RFC 4954 section 4), never on port 25.
  bool AuthenticationIsSafe() const {
    return stream.tls().active ||
           (options.allow_plaintext_auth_on_loopback && client().IsLoopback());
  }
  bool TlsIsOffered() const {
    return deps.tls != nullptr && options.tls != SmtpTls::kOff && !stream.tls().active;
  }
  // May the connection's peer speak for others (XCLIENT)? What it said before makes no difference.
  bool MayUseXclient() const {
    return net::AnyContains(options.xclient_networks, stream.peer().ip);
  }
  // The network the client is in, if its owner trusts it.
  const TrustedNetwork* trusted_network() const {
    for (const TrustedNetwork& network : options.trusted_networks) {
      if (network.Contains(client().ip)) return &network;
    }
    return nullptr;
  }
  // The transaction is over, or never was (RFC 5321 section 4.1.4).
  void EndTransaction() {
    transaction.reset();
    data.reset();
  }

  const SmtpDependencies& deps;
  const SmtpLimits& limits;
  const SmtpListenerOptions& options;
  SmtpShared& shared;
  const net::Stream& stream;

  SmtpInput input = SmtpInput::kCommand;
  std::string helo;  // empty: not greeted yet
  bool esmtp = false;
  std::optional<net::PeerAddress> client_behind;  // of XCLIENT
  std::string client_name;                        // of XCLIENT; empty: unknown
  std::optional<Login> login;
  std::optional<LocalSession> local;
  TenantId trusted_tenant;  // of trusted_network(), once it was needed
  std::unique_ptr<Authenticator::Exchange> auth;  // while AUTH is under way
  std::optional<SmtpTransaction> transaction;
  std::unique_ptr<DataReceiver> data;  // from DATA, or the first BDAT, to the end of the message
  std::optional<SmtpChunk> chunk;
  bool verbose = false;        // VERB: replies name each recipient
  int commands = 0;            // since the last accepted message
  int errors = 0;              // permanent refusals of commands
  int unknown_recipients = 0;  // refused; not counted as errors
};

}  // namespace posthorn::gateway

#endif  // POSTHORN_SERVICES_GATEWAY_SMTP_CONTEXT_H_
