#ifndef POSTHORN_LIB_DSN_TEXT_H_
#define POSTHORN_LIB_DSN_TEXT_H_

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/time/time.h"

namespace posthorn::dsn {

// `text` on one line of printable ASCII, cut to `limit` octets: everything else is '?'.
std::string OneLine(std::string_view text, std::size_t limit);

// The same, but valid UTF-8 stays.
std::string OneLineUtf8(std::string_view text, std::size_t limit);

// "rfc822; a@example.net" or, with octets over 127, "utf-8; j\x{FC}rgen@example.net" (RFC 6533
// section 3): fit for a field of a delivery-status.
std::string AddressField(std::string_view address);

// The same of an address with its type as ORCPT gives it, decoded: "rfc822;a@example.net".
std::string TypedAddressField(std::string_view typed);

// "Mon, 23 Nov 2026 08:00:00 +0000" (RFC 5322 section 3.3).
std::string DateTime(absl::Time time);

// Breaks `text` at spaces into lines of about 76 octets after `indent`, each ending in CRLF. Only
// the first line has `first` in front instead.
std::string Wrap(std::string_view first, std::string_view indent, std::string_view text);

// The header section at the front of `message`, without the blank line: complete fields, at most
// `limit` octets, lines of at most 998 octets ending in CRLF, without NUL, bare CR or bare LF.
std::string HeaderSection(std::string_view message, std::size_t limit);

bool Is8Bit(std::string_view text);

}  // namespace posthorn::dsn

#endif  // POSTHORN_LIB_DSN_TEXT_H_
