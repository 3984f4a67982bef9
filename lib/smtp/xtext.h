#ifndef POSTHORN_LIB_SMTP_XTEXT_H_
#define POSTHORN_LIB_SMTP_XTEXT_H_

#include <optional>
#include <string>
#include <string_view>

namespace posthorn::smtp {

// xtext (RFC 3461 section 4): how ESMTP parameters carry octets that they could not hold as they
// are. Every string can be encoded.
std::string EncodeXtext(std::string_view text);

// None if `xtext` is no xtext. Hexadecimal digits in lower case are read too. The result may hold
// any octet: the caller checks what its parameter allows.
std::optional<std::string> DecodeXtext(std::string_view xtext);

// The value of ORCPT for the address type "utf-8" (RFC 6533 section 3): "\x{HEX}" stands for a
// character. Gives UTF-8; none if it is malformed.
std::optional<std::string> DecodeUtf8Xtext(std::string_view xtext);

}  // namespace posthorn::smtp

#endif  // POSTHORN_LIB_SMTP_XTEXT_H_
