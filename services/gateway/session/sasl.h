#ifndef POSTHORN_SERVICES_GATEWAY_SESSION_SASL_H_
#define POSTHORN_SERVICES_GATEWAY_SESSION_SASL_H_

#include <string>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"

namespace posthorn::gateway {

// What a client said of itself.
struct NameAndPassword {
  NameAndPassword() = default;
  NameAndPassword(std::string name_in, std::string password_in)
      : name(std::move(name_in)), password(std::move(password_in)) {}
  std::string name;
  std::string password;
};

// Strict base64 (RFC 4648 section 4, with padding), as SASL exchanges carry it; "=" alone is the
// empty string (RFC 4954 section 4). kSyntax otherwise.
absl::StatusOr<std::string> DecodeSaslBase64(std::string_view text);

// A decoded PLAIN message (RFC 4616): [authzid] NUL authcid NUL passwd. An authorisation identity
// other than the name itself is refused with kAuthenticationFailed, a malformed message with
// kSyntax.
absl::StatusOr<NameAndPassword> ParseSaslPlain(std::string_view message);

}  // namespace posthorn::gateway

#endif  // POSTHORN_SERVICES_GATEWAY_SESSION_SASL_H_
