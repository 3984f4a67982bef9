#ifndef POSTHORN_LIB_MIME_SEVEN_BIT_H_
#define POSTHORN_LIB_MIME_SEVEN_BIT_H_

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "lib/mime/boundary_stack.h"
#include "lib/mime/transfer_encoder.h"

namespace posthorn::mime {

// Rewrites a message for a server that takes neither 8-bit (RFC 6152 section 3) nor binary content
// (RFC 3030 section 3), in pieces of any size: the leaves of the MIME tree that have no encoding
// get quoted-printable (text) or base64, their Content-Transfer-Encoding says so, and multiparts
// become 7bit. A leaf that is already encoded stays. A message without MIME gets the fields that
// make it text of an unknown charset (RFC 1428).
//
// What it leaves: octets over 127 in header fields, which only RFC 6531 allows. What cannot be
// kept: such octets before, between and after parts, where nobody reads, and in content that claims
// to be encoded; they become "?". Signatures over the content (DKIM, multipart/signed) may break,
// as with every such conversion.
//
// Memory is bounded: a header of kMaxHeader octets, a line of 4 KiB. Parts nested deeper than
// kMaxDepth are text to it.
class SevenBitConverter {
 public:
  static constexpr std::size_t kMaxHeader = 256 * 1024;
  static constexpr std::size_t kMaxDepth = 100;

  // Appends what `bytes` become, as far as it is certain.
  void Convert(std::string_view bytes, std::string& out);
  // The end of the message.
  void Finish(std::string& out);

 private:
  enum class State { kHeader, kLeaf, kPass };
  struct Kind;

  void Line(std::string_view line, std::string& out);
  void Content(std::string_view bytes, std::string& out);
  void HeaderLine(std::string_view line, std::string& out);
  void EndHeader(std::string& out);
  void EndLeaf(std::string& out);
  bool TakeBoundary(std::string_view line, std::string& out);
  Kind KindOf() const;
  void PutHeader(const Kind& kind, std::string& out) const;

  State state_ = State::kHeader;
  std::string buffer_;            // not yet a line
  bool line_start_ = true;        // of buffer_
  std::string header_;            // of the part, in kHeader
  bool top_ = true;               // its header is the message's
  BoundaryStack boundaries_;
  std::size_t depth_ = 0;         // multiparts that are open
  std::optional<TransferEncoder> encoder_;  // in kLeaf
  bool newline_ = false;          // a CRLF that belongs to the content or to a boundary
};

}  // namespace posthorn::mime

#endif  // POSTHORN_LIB_MIME_SEVEN_BIT_H_
