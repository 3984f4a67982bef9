#ifndef POSTHORN_LIB_MIME_STRUCTURE_H_
#define POSTHORN_LIB_MIME_STRUCTURE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "lib/mime/envelope.h"

namespace posthorn::mime {

struct Parameter {
  std::string name;   // as written
  std::string value;  // without quotes
  friend bool operator==(const Parameter&, const Parameter&) = default;
};

// One MIME part (RFC 2045, RFC 2046). Offsets count octets from the start of the scanned bytes (a
// stored message's body: the prefix comes on top). Sizes are octets as stored. Values follow the
// same rules as those of Envelope: no NUL, CR or LF. Of repeated fields the first counts. As with
// Dovecot, the Content-* fields of a message with neither MIME-Version nor Content-Type don't count.
struct Part {
  enum class Kind : std::uint8_t {
    kLeaf,       // `parts` is empty
    kMultipart,  // `parts` are the children; may be empty (no boundary line was found)
    kMessage,    // message/rfc822: `parts` has one entry, the nested message, with its `envelope`
  };

  Kind kind = Kind::kLeaf;
  // As written; a part without a (readable) Content-Type has the default of RFC 2045 section 5.2
  // filled in: text/plain with charset us-ascii, or message/rfc822 in multipart/digest.
  std::string type;
  std::string subtype;
  std::vector<Parameter> params;
  std::optional<std::string> id;           // Content-ID
  std::optional<std::string> description;  // Content-Description
  std::string encoding;                    // Content-Transfer-Encoding as written; default "7bit"
  std::optional<std::string> md5;          // Content-MD5
  std::optional<std::string> disposition;  // type only, as written
  std::vector<Parameter> disposition_params;
  std::vector<std::string> language;
  std::optional<std::string> location;

  // Header: from header_offset; its size includes the blank line (if there is one). The body
  // follows it directly. The line end before a boundary line belongs to the boundary.
  std::uint64_t header_offset = 0;
  std::uint64_t header_size = 0;
  std::uint64_t body_offset = 0;
  std::uint64_t body_size = 0;
  std::uint32_t header_lines = 0;  // line feeds in the header
  std::uint32_t body_lines = 0;    // line feeds in the body

  std::unique_ptr<Envelope> envelope;  // kMessage only: of the nested message
  std::vector<Part> parts;

  // Case-insensitive.
  bool IsType(std::string_view type_in) const;
  bool IsType(std::string_view type_in, std::string_view subtype_in) const;
  // The value of a Content-Type parameter, name case-insensitive; nullptr if absent.
  const std::string* Param(std::string_view name) const;
};
bool operator==(const Part& a, const Part& b);

// The MIME structure of a whole message: what BODYSTRUCTURE and BODY[section] need.
struct Structure {
  Part root;
  // The message has octets and the last are not CRLF: what needs a last line end (POP3's RETR) adds
  // one.
  bool lacks_final_line_end = false;
  friend bool operator==(const Structure&, const Structure&) = default;
};

// The part an IMAP section's numbers name (RFC 3501 section 6.4.5): {} is the root, {2, 1} part
// 2.1. Part 1 of a message that is not multipart is its only body; numbers under a message/rfc822
// go to the nested message's parts. nullptr: no such part.
const Part* FindPart(const Structure& structure, const std::vector<std::uint32_t>& numbers);

// A compact form for storage; starts with a version octet. Raised when the meaning of the scanner's
// answers changes: what was stored with another version is scanned again.
inline constexpr std::uint8_t kStructureVersion = 1;
std::string SerialiseStructure(const Structure& structure);
// DataLoss for bytes that are not a serialised structure of this version: any bytes are safe.
absl::StatusOr<Structure> ParseStructure(std::string_view bytes);

}  // namespace posthorn::mime

#endif  // POSTHORN_LIB_MIME_STRUCTURE_H_
