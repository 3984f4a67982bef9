#ifndef POSTHORN_LIB_MIME_CONTENT_FIELDS_H_
#define POSTHORN_LIB_MIME_CONTENT_FIELDS_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/mime/structure.h"

namespace posthorn::mime {

// The Content-* fields of RFC 2045, 2183 and 3282, from unfolded values. Broken values never fail:
// what can be read counts, the rest is left out.

// "type/subtype; name=value": both empty if it cannot be read. Continued parameters (RFC 2231
// section 3: name*0, name*1) are joined; their encoding stays as it is.
void ParseContentType(std::string_view value, std::string* type, std::string* subtype,
                      std::vector<Parameter>* params);

void ParseContentDisposition(std::string_view value, std::string* disposition,
                             std::vector<Parameter>* params);

// nullopt: no single token.
std::optional<std::string> ParseTransferEncoding(std::string_view value);

std::vector<std::string> ParseContentLanguage(std::string_view value);

}  // namespace posthorn::mime

#endif  // POSTHORN_LIB_MIME_CONTENT_FIELDS_H_
