// RFC 7515 section 3.1: token = BASE64URL(header) "." BASE64URL(payload) "." BASE64URL(signature)

#include "lib/sasl/jwt.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

#include "lib/base/failure.h"
#include "lib/sasl/base64.h"
#include "lib/sasl/json.h"

namespace posthorn::sasl {
namespace {

struct Parts {
  nlohmann::json header;
  nlohmann::json claims;
  std::string signature;
  std::string_view signed_input;  // of the token
};

std::optional<Parts> Split(std::string_view token) {
  if (token.size() > kMaxJwt) return std::nullopt;
  const std::size_t first = token.find('.');
  if (first == std::string_view::npos) return std::nullopt;
  const std::size_t second = token.find('.', first + 1);
  if (second == std::string_view::npos || token.find('.', second + 1) != std::string_view::npos) {
    return std::nullopt;
  }
  const std::optional<std::string> header = DecodeBase64Url(token.substr(0, first));
  const std::optional<std::string> claims =
      DecodeBase64Url(token.substr(first + 1, second - first - 1));
  std::optional<std::string> signature = DecodeBase64Url(token.substr(second + 1));
  if (!header || !claims || !signature) return std::nullopt;
  Parts parts;
  parts.header = json::Parse(*header);
  parts.claims = json::Parse(*claims);
  if (!parts.header.is_object() || !parts.claims.is_object()) return std::nullopt;
  parts.signature = *std::move(signature);
  parts.signed_input = token.substr(0, second);
  return parts;
}

absl::Status Bad(std::string_view why) { return MakeFailure(Failure::kAuthenticationFailed, why); }

// NumericDate (RFC 7519 section 2); `present` is set if the claim is there in any form.
std::optional<absl::Time> TimeOf(const nlohmann::json& claims, const char* name, bool& present) {
  const auto found = claims.find(name);
  present = found != claims.end();
  if (!present || !found->is_number()) return std::nullopt;
  const double seconds = found->get<double>();
  if (!std::isfinite(seconds) || std::fabs(seconds) > 1e15) return std::nullopt;
  return absl::UnixEpoch() + absl::Seconds(seconds);
}

bool HasAudience(const nlohmann::json& claims, const std::string& wanted) {
  const auto found = claims.find("aud");
  if (found == claims.end()) return false;
  if (found->is_string()) return found->get<std::string>() == wanted;
  if (!found->is_array()) return false;
  for (const nlohmann::json& one : *found) {
    if (one.is_string() && one.get<std::string>() == wanted) return true;
  }
  return false;
}

absl::Status CheckTimes(const nlohmann::json& claims, absl::Duration leeway, absl::Time now) {
  bool present = false;
  const std::optional<absl::Time> expires = TimeOf(claims, "exp", present);
  if (!expires.has_value()) return Bad("token without an expiry time");
  if (now >= *expires + leeway) return Bad("token has expired");
  for (const char* name : {"nbf", "iat"}) {
    const std::optional<absl::Time> time = TimeOf(claims, name, present);
    if (present && !time.has_value()) return Bad("token with a malformed time");
    if (time.has_value() && now < *time - leeway) return Bad("token is not valid yet");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> ValidateJwt(std::string_view token, const JwkSet& keys,
                                        const JwtPolicy& policy, absl::Time now) {
  const std::optional<Parts> parts = Split(token);
  if (!parts.has_value()) return Bad("token cannot be read");
  // What must be understood and is not (RFC 7515 section 4.1.11).
  if (parts->header.contains("crit")) return Bad("token with critical extensions");
  const std::string algorithm = json::String(parts->header, "alg");
  if (algorithm != "RS256" && algorithm != "ES256" && algorithm != "EdDSA") {
    return Bad("token with an algorithm other than RS256, ES256 and EdDSA");
  }
  if (!keys.Verify(algorithm, json::String(parts->header, "kid"), parts->signed_input,
                   parts->signature)) {
    return Bad("token is signed by no key of the issuer");
  }
  const nlohmann::json& claims = parts->claims;
  if (json::String(claims, "iss") != policy.issuer) return Bad("token of another issuer");
  if (!HasAudience(claims, policy.audience)) return Bad("token for another audience");
  if (absl::Status times = CheckTimes(claims, policy.leeway, now); !times.ok()) return times;
  std::string account = json::String(claims, policy.account_claim.c_str());
  if (account.empty()) return Bad("token does not name an account");
  // An address that the issuer has not seen proof of could be anybody's.
  const auto verified = claims.find("email_verified");
  if (policy.account_claim == "email" && verified != claims.end() &&
      (*verified == false || *verified == "false")) {
    return Bad("token with an address that is not verified");
  }
  return account;
}

std::string ClaimedIssuer(std::string_view token) {
  const std::optional<Parts> parts = Split(token);
  return parts.has_value() ? json::String(parts->claims, "iss") : std::string();
}

}  // namespace posthorn::sasl
