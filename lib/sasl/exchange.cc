#include "lib/sasl/exchange.h"

#include <array>

#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "lib/base/failure.h"
#include "lib/sasl/mechanisms.h"

namespace posthorn::sasl {
namespace {

struct Row {
  Mechanism mechanism;
  std::string_view name;
};

constexpr std::array<Row, 6> kMechanisms = {{
    {Mechanism::kPlain, "PLAIN"},
    {Mechanism::kLogin, "LOGIN"},
    {Mechanism::kScramSha256, "SCRAM-SHA-256"},
    {Mechanism::kScramSha256Plus, "SCRAM-SHA-256-PLUS"},
    {Mechanism::kOauthBearer, "OAUTHBEARER"},
    {Mechanism::kXoauth2, "XOAUTH2"},
}};

absl::string_view ToAbsl(std::string_view s) { return absl::string_view(s.data(), s.size()); }

}  // namespace

std::optional<Mechanism> MechanismByName(std::string_view name) {
  for (const Row& row : kMechanisms) {
    if (absl::EqualsIgnoreCase(ToAbsl(row.name), ToAbsl(name))) return row.mechanism;
  }
  return std::nullopt;
}

std::string_view NameOf(Mechanism mechanism) {
  for (const Row& row : kMechanisms) {
    if (row.mechanism == mechanism) return row.name;
  }
  return "";
}

Step Exchange::Start(std::optional<std::string> initial) {
  if (initial.has_value()) return OnResponse(*std::move(initial));
  return Challenge(FirstChallenge());
}

Step Exchange::OnResponse(std::string response) {
  if (response.size() > kMaxResponse) return Malformed("Response too long");
  return Respond(std::move(response));
}

std::unique_ptr<Exchange> MakeExchange(Mechanism mechanism, ServerSide server) {
  switch (mechanism) {
    case Mechanism::kPlain: return MakePlain();
    case Mechanism::kLogin: return MakeLogin();
    case Mechanism::kScramSha256: return MakeScram(false, std::move(server));
    case Mechanism::kScramSha256Plus: return MakeScram(true, std::move(server));
    case Mechanism::kOauthBearer: return MakeOauthBearer();
    case Mechanism::kXoauth2: return MakeXoauth2();
  }
  return nullptr;
}

Step Malformed(std::string_view what) { return Failed(MakeFailure(Failure::kSyntax, what)); }

Step Refuse() { return Failed(MakeFailure(Failure::kAuthenticationFailed)); }

}  // namespace posthorn::sasl
