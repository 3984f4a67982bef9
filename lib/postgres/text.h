#ifndef POSTHORN_LIB_POSTGRES_TEXT_H_
#define POSTHORN_LIB_POSTGRES_TEXT_H_

#include <string>
#include <string_view>

namespace posthorn::postgres {

// What a text column can hold: valid UTF-8 (RFC 3629) without NUL.
bool IsStorableText(std::string_view text);
// `text` with every NUL and every octet that is not part of valid UTF-8 replaced by U+FFFD.
std::string SanitizeText(std::string_view text);

}  // namespace posthorn::postgres

#endif  // POSTHORN_LIB_POSTGRES_TEXT_H_
