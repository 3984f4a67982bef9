#ifndef POSTHORN_SERVICES_GATEWAY_SMTP_CONTEXT_H_
#define POSTHORN_SERVICES_GATEWAY_SMTP_CONTEXT_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lib/smtp/command.h"
#include "services/gateway/smtp/data_receiver.h"
#include "services/gateway/smtp/server.h"

namespace posthorn::gateway {

// A mail transaction (RFC 5321 section 3.3), from MAIL to the end of DATA.
struct SmtpTransaction {
  explicit SmtpTransaction(std::string reverse_path_in)
      : reverse_path(std::move(reverse_path_in)) {}
  std::string reverse_path;  // addr-spec; empty: null
  std::vector<AcceptRecipient> recipients;
  bool sender_checked = false;  // for relaying from a trusted network
  std::uint64_t declared_octets = 0;  // SIZE; 0: not said
};

// What the next octets from the client are.
enum class SmtpInput {
  kCommand,
  kAuthResponse,   // a line of an AUTH exchange
  kData,           // message data; `data` takes it
  kTlsHandshake,   // after the reply to STARTTLS
};

// All that a session knows. Belongs to one session and its executor; handlers change it.
struct SmtpContext {
  SmtpContext(const SmtpDependencies& dependencies, const SmtpLimits& limits_in,
              const SmtpListenerOptions& options_in, const net::Stream& stream_in)
      : deps(dependencies), limits(limits_in), options(options_in), stream(stream_in) {}

  bool IsSubmission() const {
    return options.role == SmtpRole::kSubmission || options.role == SmtpRole::kSubmissions;
  }
  bool IsLmtp() const { return options.role == SmtpRole::kLmtp; }
  // AUTH only where it protects the password (RFC 4954 section 4), never on port 25.
  bool AuthenticationIsSafe() const {
    return stream.tls().active ||
           (options.allow_plaintext_auth_on_loopback && stream.peer().IsLoopback());
  }
  // The network the client is in, if its owner trusts it.
  const TrustedNetwork* trusted_network() const {
    for (const TrustedNetwork& network : options.trusted_networks) {
      if (network.Contains(stream.peer().ip)) return &network;
    }
    return nullptr;
  }

  const SmtpDependencies& deps;
  const SmtpLimits& limits;
  const SmtpListenerOptions& options;
  const net::Stream& stream;

  SmtpInput input = SmtpInput::kCommand;
  std::string helo;  // empty: not greeted yet
  bool esmtp = false;
  std::optional<Login> login;
  TenantId trusted_tenant;  // of trusted_network(), once it was needed
  std::unique_ptr<Authenticator::Exchange> auth;  // while AUTH is under way
  std::optional<SmtpTransaction> transaction;
  std::unique_ptr<DataReceiver> data;
  bool verbose = false;  // VERB: replies name each recipient
  int commands = 0;  // since the last accepted message
  int errors = 0;    // permanent refusals of commands
};

}  // namespace posthorn::gateway

#endif  // POSTHORN_SERVICES_GATEWAY_SMTP_CONTEXT_H_
