#ifndef POSTHORN_LIB_SMTP_CLIENT_XTEXT_H_
#define POSTHORN_LIB_SMTP_CLIENT_XTEXT_H_

#include <string>
#include <string_view>

namespace posthorn::smtp::client {

// `text` as xtext (RFC 3461 section 4): "+" and two hexadecimal digits for what may not stand in a
// parameter.
std::string EncodeXtext(std::string_view text);

// The value of ORCPT for a recipient with its type, "rfc822;bob@example.net": the address as xtext,
// and where it has UTF-8, as utf-8-addr-xtext (RFC 6533 section 3), which every server takes.
// Empty: `typed` has no type, is malformed, or is too long for the parameter (500 octets).
std::string EncodeOrcpt(std::string_view typed);

}  // namespace posthorn::smtp::client

#endif  // POSTHORN_LIB_SMTP_CLIENT_XTEXT_H_
