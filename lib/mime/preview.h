#ifndef POSTHORN_LIB_MIME_PREVIEW_H_
#define POSTHORN_LIB_MIME_PREVIEW_H_

#include <cstddef>
#include <string>
#include <string_view>

#include "lib/mime/structure.h"

namespace posthorn::mime {

// The text at the start of a message, for lists of messages (RFC 8970).

// The part it is taken from: the first text/plain that is no attachment, else such a text/html;
// none within attached messages. nullptr: there is no such part.
const Part* PreviewPart(const Structure& structure);

// As much of that part is looked at.
inline constexpr std::size_t kPreviewOctets = 16 * 1024;
inline constexpr std::size_t kMaxPreviewCharacters = 200;

// The preview from the first octets of the part's body, as stored: decoded, without markup, quoted
// lines and control characters, runs of white space as one space. UTF-8 of at most
// kMaxPreviewCharacters characters; empty where there is no text.
std::string PreviewOf(const Part& part, std::string_view bytes);

}  // namespace posthorn::mime

#endif  // POSTHORN_LIB_MIME_PREVIEW_H_
