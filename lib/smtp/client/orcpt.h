#ifndef POSTHORN_LIB_SMTP_CLIENT_ORCPT_H_
#define POSTHORN_LIB_SMTP_CLIENT_ORCPT_H_

#include <string>
#include <string_view>

namespace posthorn::smtp::client {

// The value of ORCPT for a recipient with its type, "rfc822;bob@example.net": the address as xtext,
// and where it has UTF-8, as utf-8-addr-xtext (RFC 6533 section 3), which every server takes.
// Empty: `typed` has no type, is malformed, or is too long for the parameter (500 octets).
std::string EncodeOrcpt(std::string_view typed);

}  // namespace posthorn::smtp::client

#endif  // POSTHORN_LIB_SMTP_CLIENT_ORCPT_H_
