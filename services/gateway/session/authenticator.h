#ifndef POSTHORN_SERVICES_GATEWAY_SESSION_AUTHENTICATOR_H_
#define POSTHORN_SERVICES_GATEWAY_SESSION_AUTHENTICATOR_H_

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lib/base/task.h"
#include "lib/net/stream.h"
#include "lib/sasl/exchange.h"
#include "services/gateway/clients/directory.h"
#include "services/gateway/session/login_guard.h"
#include "services/gateway/session/token_issuers.h"

namespace posthorn::gateway {

// Who asks, and over what.
struct AuthenticationPeer {
  AuthenticationPeer(const net::Stream& stream_in, std::string service_in)
      : AuthenticationPeer(stream_in, stream_in.peer().ip, std::move(service_in)) {}
  // For a client behind a proxy that told who it is.
  AuthenticationPeer(const net::Stream& stream_in, std::string client_ip_in,
                     std::string service_in)
      : stream(stream_in), client_ip(std::move(client_ip_in)), service(std::move(service_in)) {}
  const net::Stream& stream;
  std::string client_ip;
  std::string service;  // "smtp", "imap", "pop3"
};

// Logs people in, the same for SMTP, IMAP and POP3: every mechanism ends in a check by the
// directory, behind the guard. Whether a login is allowed at all (TLS, state) is the protocol's
// business. Thread-safe; what it refers to outlives it.
class Authenticator {
 public:
  // `issuers` null: no tokens.
  Authenticator(Directory& directory, LoginGuard& guard, TokenIssuers* issuers);

  // The mechanisms of this connection, best known first: those with channel binding only under TLS,
  // those with tokens only if an issuer is configured.
  std::vector<std::string_view> Offered(const net::Stream& stream) const;

  // A name and a password that came without SASL. kAuthenticationFailed, after a delay; other
  // failures are temporary.
  Task<absl::StatusOr<Login>> CheckPassword(AuthenticationPeer peer, std::string name,
                                            std::string password);

  // One SASL exchange. Belongs to the session that started it, on its executor.
  class Exchange;

 private:
  // With a check between the guard's Begin and its end; `name` for the log.
  Task<absl::StatusOr<Login>> Guarded(const AuthenticationPeer& peer, std::string name,
                                      Task<absl::StatusOr<Login>> check);

  Directory& directory_;
  LoginGuard& guard_;
  TokenIssuers* const issuers_;
};

class Authenticator::Exchange {
 public:
  // What the client is told: a challenge (base64 without a line end), that it is logged in, or why
  // not: kSyntax for what cannot be decoded, kAuthenticationFailed, or something temporary.
  struct Outcome {
    enum class Kind { kChallenge, kLoggedIn, kCancelled, kFailed };
    Kind kind = Kind::kFailed;
    std::string challenge;
    Login login;
    absl::Status status;
  };

  // Null if the mechanism is not among those offered.
  static std::unique_ptr<Exchange> Make(Authenticator& authenticator, AuthenticationPeer peer,
                                        std::string_view mechanism);

  // `initial` in base64, "=" for an empty one.
  Task<Outcome> Start(std::optional<std::string> initial);
  // The client's next line: base64, or "*" to cancel.
  Task<Outcome> OnLine(std::string line);

 private:
  Exchange(Authenticator& authenticator, AuthenticationPeer peer, sasl::Mechanism mechanism);
  Task<Outcome> Run(sasl::Step step);
  // What the exchange needs, found out.
  Task<absl::StatusOr<sasl::Answer>> Find(sasl::Step need);
  Task<absl::StatusOr<sasl::Answer>> CheckPassword(sasl::NeedPasswordCheck need);
  Task<absl::StatusOr<sasl::Answer>> CheckProof(sasl::NeedProofCheck need);
  Task<absl::StatusOr<sasl::Answer>> CheckToken(sasl::NeedToken need);
  // Keeps the login and answers `accepted`, or Refused; an error is temporary.
  absl::StatusOr<sasl::Answer> Judge(absl::StatusOr<Login> login, sasl::Answer accepted);
  Task<absl::StatusOr<Login>> ProofLogin(sasl::NeedProofCheck need);
  Task<absl::StatusOr<Login>> TokenLogin(absl::StatusOr<std::string> account);

  Authenticator& authenticator_;
  const AuthenticationPeer peer_;
  std::unique_ptr<sasl::Exchange> exchange_;
  std::string server_signature_;  // between ProofLogin and CheckProof
  Login login_;                   // once a check has succeeded
};

}  // namespace posthorn::gateway

#endif  // POSTHORN_SERVICES_GATEWAY_SESSION_AUTHENTICATOR_H_
