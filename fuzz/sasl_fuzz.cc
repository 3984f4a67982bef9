// A client's octets through every mechanism, one response a line; and the same octets as a token
// and as a key set.

#include <string>

#include "fuzz/fuzz_input.h"
#include "lib/sasl/base64.h"
#include "lib/sasl/exchange.h"
#include "lib/sasl/jwt.h"
#include "lib/sasl/scram.h"

namespace posthorn::sasl {
namespace {

void RunExchange(Mechanism mechanism, bool accept, bool plus, std::string_view lines) {
  ServerSide server;
  server.nonce = "server-nonce";
  if (plus) server.bindings.emplace_back("tls-exporter", "exported");
  const std::unique_ptr<Exchange> exchange = MakeExchange(mechanism, std::move(server));
  Step step = exchange->Start(std::nullopt);
  for (int i = 0; i < 20; ++i) {
    if (std::holds_alternative<Done>(step)) {
      // Nobody gets in without somebody having said so.
      FuzzCheck(accept);
      return;
    }
    if (std::holds_alternative<Failed>(step)) return;
    if (std::holds_alternative<Challenge>(step)) {
      const std::size_t end = lines.find('\n');
      const std::string response(lines.substr(0, end));
      lines.remove_prefix(end == std::string_view::npos ? lines.size() : end + 1);
      step = exchange->OnResponse(response);
    } else if (const auto* need = std::get_if<NeedVerifier>(&step)) {
      FuzzCheck(!need->name.empty());
      step = exchange->Supply(ScramParameters("salt", kMinScramIterations));
    } else if (const auto* check = std::get_if<NeedProofCheck>(&step)) {
      FuzzCheck(check->proof.size() == kScramKeySize);
      if (accept) {
        step = exchange->Supply(ScramSignature(std::string(kScramKeySize, 's')));
      } else {
        step = exchange->Supply(Refused());
      }
    } else if (accept) {
      step = exchange->Supply(Accepted());
    } else {
      step = exchange->Supply(Refused());
    }
  }
}

}  // namespace
}  // namespace posthorn::sasl

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace sasl = posthorn::sasl;
  const posthorn::FuzzInput input(data, size);
  const bool accept = (input.choice() & 1) != 0;
  const bool plus = (input.choice() & 2) != 0;
  for (const sasl::Mechanism mechanism :
       {sasl::Mechanism::kPlain, sasl::Mechanism::kLogin, sasl::Mechanism::kScramSha256,
        sasl::Mechanism::kScramSha256Plus, sasl::Mechanism::kOauthBearer,
        sasl::Mechanism::kXoauth2}) {
    sasl::RunExchange(mechanism, accept, plus, input.bytes());
  }
  static const sasl::JwkSet* const keys = new sasl::JwkSet(
      sasl::JwkSet::Parse(R"({"keys":[{"kty":"OKP","crv":"Ed25519",
      "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]})").value());
  sasl::JwtPolicy policy;
  policy.issuer = "joe";
  policy.audience = "mail";
  // Nobody here can sign.
  posthorn::FuzzCheck(
      !sasl::ValidateJwt(input.bytes(), *keys, policy, absl::FromUnixSeconds(1700000000)).ok());
  (void)sasl::ClaimedIssuer(input.bytes());
  (void)sasl::JwkSet::Parse(input.bytes());
  const std::optional<std::string> decoded = sasl::DecodeBase64(input.bytes());
  if (decoded.has_value()) {
    posthorn::FuzzCheck(sasl::DecodeBase64(sasl::EncodeBase64(*decoded)) == decoded);
  }
  return 0;
}
