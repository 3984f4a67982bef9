#ifndef POSTHORN_LIB_IMAP_UTF7_H_
#define POSTHORN_LIB_IMAP_UTF7_H_

#include <optional>
#include <string>
#include <string_view>

namespace posthorn::imap {

// Modified UTF-7 of mailbox names (RFC 3501 section 5.1.3).

// nullopt for anything but the one valid encoding of a text: 8-bit octets, broken base64,
// unpaired surrogates, printable ASCII in base64, adjacent shifts.
std::optional<std::string> DecodeModifiedUtf7(std::string_view text);

// `utf8` must be valid UTF-8; an invalid sequence becomes U+FFFD.
std::string EncodeModifiedUtf7(std::string_view utf8);

// Strict UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing beyond U+10FFFF.
bool IsValidUtf8(std::string_view text);

}  // namespace posthorn::imap

#endif  // POSTHORN_LIB_IMAP_UTF7_H_
