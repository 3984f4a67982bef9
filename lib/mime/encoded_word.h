#ifndef POSTHORN_LIB_MIME_ENCODED_WORD_H_
#define POSTHORN_LIB_MIME_ENCODED_WORD_H_

#include <string>
#include <string_view>

namespace posthorn::mime {

// Decodes the encoded words (RFC 2047) of an unfolded header value to UTF-8. What is no encoded
// word stays, with octets that are not UTF-8 as U+FFFD; words of an unknown charset or broken
// encoding stay as written. White space between two encoded words is dropped, and a character
// split over two words of one charset is put together.
std::string DecodeHeaderText(std::string_view value);

}  // namespace posthorn::mime

#endif  // POSTHORN_LIB_MIME_ENCODED_WORD_H_
