#include "services/gateway/session/authenticator.h"

#include <openssl/rand.h>

#include <algorithm>

#include "absl/strings/match.h"
#include "lib/base/failure.h"
#include "lib/sasl/base64.h"
#include "lib/telemetry/log.h"
#include "lib/telemetry/metrics.h"

namespace posthorn::gateway {
namespace {

using Outcome = Authenticator::Exchange::Outcome;

constexpr std::size_t kNonceOctets = 18;

std::string NewNonce() {
  unsigned char octets[kNonceOctets];
  if (RAND_bytes(octets, sizeof(octets)) != 1) std::abort();
  return sasl::EncodeBase64(
      std::string_view(reinterpret_cast<const char*>(octets), sizeof(octets)));
}

bool IsScram(sasl::Mechanism mechanism) {
  return mechanism == sasl::Mechanism::kScramSha256 ||
         mechanism == sasl::Mechanism::kScramSha256Plus;
}

metrics::Counter& Failures(const std::string& service) {
  return metrics::MakeCounter(
      "posthorn_gateway_authentication_failures_total",
      "Logins that were refused. A steep rise: somebody is guessing passwords; see the log for "
      "addresses, and posthornctl lockout list for who is locked out.",
      {{"service", service}});
}

Outcome FailedWith(absl::Status status) {
  Outcome outcome;
  outcome.kind = Outcome::Kind::kFailed;
  outcome.status = std::move(status);
  return outcome;
}

}  // namespace

Authenticator::Authenticator(Directory& directory, LoginGuard& guard, TokenIssuers* issuers)
    : directory_(directory), guard_(guard), issuers_(issuers) {}

std::vector<std::string_view> Authenticator::Offered(const net::Stream& stream) const {
  std::vector<std::string_view> names = {"PLAIN", "LOGIN", "SCRAM-SHA-256"};
  if (stream.tls().active) names.push_back("SCRAM-SHA-256-PLUS");
  if (issuers_ != nullptr) {
    names.push_back("OAUTHBEARER");
    names.push_back("XOAUTH2");
  }
  return names;
}

Task<absl::StatusOr<Login>> Authenticator::Guarded(const AuthenticationPeer& peer,
                                                   std::string name,
                                                   Task<absl::StatusOr<Login>> check) {
  const std::string ip = peer.client_ip;
  LoginGuard::Attempt attempt = co_await guard_.Begin(name, ip);
  absl::StatusOr<Login> login = MakeFailure(Failure::kAuthenticationFailed);
  if (!attempt.locked_out) login = co_await std::move(check);
  if (login.ok()) {
    co_await guard_.Succeeded(std::move(attempt));
    log::Info(peer.service, "logged in",
              {{"address", login->address}, {"client", ip}, {"tls", peer.stream.tls().active}});
    co_return login;
  }
  if (IsPermanent(login.status())) {
    Failures(peer.service).Increment();
    log::Info(peer.service, "login refused",
              {{"login", name},
               {"client", ip},
               {"locked_out", attempt.locked_out},
               {"error", login.status()}});
    co_await guard_.Failed(std::move(attempt));
    // Whatever was wrong, the client reads the same.
    co_return MakeFailure(Failure::kAuthenticationFailed);
  }
  log::Warn(peer.service, "login not checked",
            {{"login", name}, {"client", ip}, {"error", login.status()}});
  co_return login;
}

Task<absl::StatusOr<Login>> Authenticator::CheckPassword(AuthenticationPeer peer, std::string name,
                                                         std::string password) {
  Credentials credentials(name, std::move(password), peer.client_ip, peer.service);
  Task<absl::StatusOr<Login>> check = directory_.Authenticate(std::move(credentials));
  absl::StatusOr<Login> login = co_await Guarded(peer, std::move(name), std::move(check));
  co_return login;
}

std::unique_ptr<Authenticator::Exchange> Authenticator::Exchange::Make(
    Authenticator& authenticator, AuthenticationPeer peer, std::string_view name) {
  const std::optional<sasl::Mechanism> mechanism = sasl::MechanismByName(name);
  if (!mechanism.has_value()) return nullptr;
  const std::vector<std::string_view> offered = authenticator.Offered(peer.stream);
  if (std::find(offered.begin(), offered.end(), sasl::NameOf(*mechanism)) == offered.end()) {
    return nullptr;
  }
  return std::unique_ptr<Exchange>(new Exchange(authenticator, std::move(peer), *mechanism));
}

Authenticator::Exchange::Exchange(Authenticator& authenticator, AuthenticationPeer peer,
                                  sasl::Mechanism mechanism)
    : authenticator_(authenticator), peer_(std::move(peer)) {
  sasl::ServerSide server;
  if (IsScram(mechanism)) {
    server.nonce = NewNonce();
    for (net::TlsBinding& binding : peer_.stream.TlsBindings()) {
      server.bindings.emplace_back(std::move(binding.type), std::move(binding.data));
    }
  }
  exchange_ = sasl::MakeExchange(mechanism, std::move(server));
}

Task<Outcome> Authenticator::Exchange::Start(std::optional<std::string> initial) {
  if (initial.has_value()) {
    initial = sasl::DecodeResponse(*initial);
    if (!initial.has_value()) co_return FailedWith(MakeFailure(Failure::kSyntax, "Invalid base64"));
  }
  co_return co_await Run(exchange_->Start(std::move(initial)));
}

Task<Outcome> Authenticator::Exchange::OnLine(std::string line) {
  if (line == "*") {
    Outcome cancelled;
    cancelled.kind = Outcome::Kind::kCancelled;
    co_return cancelled;
  }
  std::optional<std::string> response = sasl::DecodeResponse(line);
  if (!response.has_value()) co_return FailedWith(MakeFailure(Failure::kSyntax, "Invalid base64"));
  co_return co_await Run(exchange_->OnResponse(*std::move(response)));
}

Task<Outcome> Authenticator::Exchange::Run(sasl::Step step) {
  for (;;) {
    if (auto* challenge = std::get_if<sasl::Challenge>(&step)) {
      Outcome outcome;
      outcome.kind = Outcome::Kind::kChallenge;
      outcome.challenge = sasl::EncodeBase64(challenge->data);
      co_return outcome;
    }
    if (auto* failed = std::get_if<sasl::Failed>(&step)) co_return FailedWith(failed->status);
    if (std::holds_alternative<sasl::Done>(step)) {
      Outcome outcome;
      outcome.kind = Outcome::Kind::kLoggedIn;
      outcome.login = std::move(login_);
      co_return outcome;
    }
    absl::StatusOr<sasl::Answer> answer = co_await Find(std::move(step));
    if (!answer.ok()) co_return FailedWith(answer.status());
    step = exchange_->Supply(*std::move(answer));
  }
}

Task<absl::StatusOr<sasl::Answer>> Authenticator::Exchange::Find(sasl::Step need) {
  if (auto* verifier = std::get_if<sasl::NeedVerifier>(&need)) {
    absl::StatusOr<ScramSalt> salt =
        co_await authenticator_.directory_.GetScramSalt(std::move(verifier->name));
    if (!salt.ok()) co_return salt.status();
    co_return sasl::Answer(sasl::ScramParameters(std::move(salt->salt), salt->iterations));
  }
  if (auto* password = std::get_if<sasl::NeedPasswordCheck>(&need)) {
    co_return co_await CheckPassword(std::move(*password));
  }
  if (auto* proof = std::get_if<sasl::NeedProofCheck>(&need)) {
    co_return co_await CheckProof(std::move(*proof));
  }
  co_return co_await CheckToken(std::move(std::get<sasl::NeedToken>(need)));
}

absl::StatusOr<sasl::Answer> Authenticator::Exchange::Judge(absl::StatusOr<Login> login,
                                                            sasl::Answer accepted) {
  if (login.ok()) {
    login_ = *std::move(login);
    return accepted;
  }
  if (!IsPermanent(login.status())) return login.status();
  return sasl::Answer(sasl::Refused());
}

Task<absl::StatusOr<sasl::Answer>> Authenticator::Exchange::CheckPassword(
    sasl::NeedPasswordCheck need) {
  absl::StatusOr<Login> login = co_await authenticator_.CheckPassword(
      peer_, std::move(need.name), std::move(need.password));
  co_return Judge(std::move(login), sasl::Answer(sasl::Accepted()));
}

Task<absl::StatusOr<sasl::Answer>> Authenticator::Exchange::CheckProof(sasl::NeedProofCheck need) {
  std::string name = need.name;
  Task<absl::StatusOr<Login>> check = ProofLogin(std::move(need));
  absl::StatusOr<Login> login =
      co_await authenticator_.Guarded(peer_, std::move(name), std::move(check));
  sasl::Answer accepted = sasl::ScramSignature(server_signature_);
  co_return Judge(std::move(login), std::move(accepted));
}

Task<absl::StatusOr<Login>> Authenticator::Exchange::ProofLogin(sasl::NeedProofCheck need) {
  ScramProof proof(std::move(need.name), std::move(need.auth_message), std::move(need.proof),
                   peer_.client_ip, peer_.service);
  absl::StatusOr<ScramLogin> login =
      co_await authenticator_.directory_.AuthenticateScram(std::move(proof));
  if (!login.ok()) co_return login.status();
  server_signature_ = std::move(login->server_signature);
  co_return std::move(login->login);
}

Task<absl::StatusOr<sasl::Answer>> Authenticator::Exchange::CheckToken(sasl::NeedToken need) {
  absl::StatusOr<std::string> account = authenticator_.issuers_->Validate(need.token);
  if (account.ok() && !need.name.empty() && !absl::EqualsIgnoreCase(need.name, *account)) {
    account = MakeFailure(Failure::kAuthenticationFailed, "token of another account");
  }
  std::string name = !need.name.empty() ? need.name : account.ok() ? *account : std::string();
  Task<absl::StatusOr<Login>> check = TokenLogin(std::move(account));
  absl::StatusOr<Login> login =
      co_await authenticator_.Guarded(peer_, std::move(name), std::move(check));
  co_return Judge(std::move(login), sasl::Answer(sasl::Accepted()));
}

Task<absl::StatusOr<Login>> Authenticator::Exchange::TokenLogin(
    absl::StatusOr<std::string> account) {
  if (!account.ok()) co_return account.status();
  Credentials credentials(*std::move(account), "", peer_.client_ip, peer_.service);
  co_return co_await authenticator_.directory_.AuthenticateIdentity(std::move(credentials));
}

}  // namespace posthorn::gateway
