#ifndef POSTHORN_SERVICES_GATEWAY_SESSION_TOKEN_ISSUERS_H_
#define POSTHORN_SERVICES_GATEWAY_SESSION_TOKEN_ISSUERS_H_

#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lib/base/clock.h"
#include "lib/sasl/jwt.h"

namespace posthorn::gateway {

// One issuer of tokens, as configured.
struct TokenIssuerOptions {
  sasl::JwtPolicy policy;
  std::string jwks_file;
};

// Whom bearer tokens name. The key files are looked at again every few seconds and read when they
// have changed; one that cannot be read leaves the keys that were there, and a warning in the log.
// Thread-safe; the clock outlives it.
class TokenIssuers {
 public:
  // An error names the file that cannot be read or has no key of use.
  static absl::StatusOr<std::unique_ptr<TokenIssuers>> Load(
      std::vector<TokenIssuerOptions> issuers, const Clock& clock);

  // The account a token names; kAuthenticationFailed, with the reason for the log.
  absl::StatusOr<std::string> Validate(const std::string& token);

 private:
  struct Issuer {
    explicit Issuer(TokenIssuerOptions options_in) : options(std::move(options_in)) {}
    TokenIssuerOptions options;
    std::shared_ptr<const sasl::JwkSet> keys;
    std::string stamp;  // of the file when it was read
    absl::Time looked_at = absl::InfinitePast();
  };

  TokenIssuers(std::vector<TokenIssuerOptions> issuers, const Clock& clock);
  static absl::Status Read(Issuer& issuer);
  // The keys of the issuer at `index`, read again if they have changed.
  std::shared_ptr<const sasl::JwkSet> KeysOf(std::size_t index);

  const Clock& clock_;
  std::mutex mutex_;
  std::vector<Issuer> issuers_;  // options never change; the rest is guarded by mutex_
};

}  // namespace posthorn::gateway

#endif  // POSTHORN_SERVICES_GATEWAY_SESSION_TOKEN_ISSUERS_H_
