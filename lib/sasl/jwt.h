#ifndef POSTHORN_LIB_SASL_JWT_H_
#define POSTHORN_LIB_SASL_JWT_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace posthorn::sasl {

// Longest token that is looked at.
inline constexpr std::size_t kMaxJwt = 16 * 1024;

// What a token must say (RFC 7519 section 4.1).
struct JwtPolicy {
  std::string issuer;                 // iss, exactly
  std::string audience;               // one of aud
  std::string account_claim = "email";  // the claim that names the account
  absl::Duration leeway = absl::Seconds(60);  // for clocks that differ
};

// The public keys of an issuer (RFC 7517): RSA of 2,048 bits or more for RS256, EC P-256 for ES256
// (RFC 7518), Ed25519 for EdDSA (RFC 8037). Others are left out: a token names a key, never an
// algorithm that fits a key it should not. Immutable, thread-safe.
class JwkSet {
 public:
  JwkSet();
  JwkSet(JwkSet&&) noexcept;
  JwkSet& operator=(JwkSet&&) noexcept;
  ~JwkSet();

  // kInvalidArgument for what is no JWK set, or has no key of use.
  static absl::StatusOr<JwkSet> Parse(std::string_view json);

  // Whether one of the keys has signed `input`; with a `key_id` only a key of that name counts.
  bool Verify(std::string_view algorithm, std::string_view key_id, std::string_view input,
              std::string_view signature) const;
  std::size_t size() const { return keys_.size(); }

 private:
  struct Key;
  std::vector<std::unique_ptr<Key>> keys_;
};

// The account a signed token (RFC 7515 section 3.1) names, if keys and policy say it is good at
// `now`. kAuthenticationFailed otherwise, with the reason for the log. Algorithms other than RS256,
// ES256 and EdDSA are refused, `none` and HMAC among them (RFC 8725 section 3.1).
absl::StatusOr<std::string> ValidateJwt(std::string_view token, const JwkSet& keys,
                                        const JwtPolicy& policy, absl::Time now);

// The issuer that a token claims, to find the keys that tell whether it is true; empty if it
// cannot be read.
std::string ClaimedIssuer(std::string_view token);

}  // namespace posthorn::sasl

#endif  // POSTHORN_LIB_SASL_JWT_H_
