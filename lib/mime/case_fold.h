#ifndef POSTHORN_LIB_MIME_CASE_FOLD_H_
#define POSTHORN_LIB_MIME_CASE_FOLD_H_

#include <optional>
#include <string>
#include <string_view>

namespace posthorn::mime {

// How names are compared: lower case, canonically composed (NFC). Unlike FoldForSearch it makes no
// other character of one ("ß" stays). None if `utf8` is not well-formed.
std::optional<std::string> LowerCaseNfc(std::string_view utf8);

// NFKC_Casefold: case folded and compatibility-normalised, "Straße" as "STRASSE". Of subjects where
// threads are stored by a hash of them, so it must not change. Broken UTF-8 becomes U+FFFD.
std::string FoldCompatible(std::string_view utf8);

}  // namespace posthorn::mime

#endif  // POSTHORN_LIB_MIME_CASE_FOLD_H_
