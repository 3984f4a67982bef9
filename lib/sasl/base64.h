#ifndef POSTHORN_LIB_SASL_BASE64_H_
#define POSTHORN_LIB_SASL_BASE64_H_

#include <optional>
#include <string>
#include <string_view>

namespace posthorn::sasl {

// Strict base64 (RFC 4648 section 4, with padding and nothing else); nullopt for all else.
std::optional<std::string> DecodeBase64(std::string_view text);
// Base64 for URLs without padding (RFC 4648 section 5), as JWTs use it; nullopt for all else.
std::optional<std::string> DecodeBase64Url(std::string_view text);
std::string EncodeBase64(std::string_view octets);

// A response as SMTP, IMAP and POP3 carry it: base64, where "=" alone is the empty string
// (RFC 4954 section 4, RFC 4959 section 3, RFC 5034 section 4).
std::optional<std::string> DecodeResponse(std::string_view text);

}  // namespace posthorn::sasl

#endif  // POSTHORN_LIB_SASL_BASE64_H_
