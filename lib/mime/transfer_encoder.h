#ifndef POSTHORN_LIB_MIME_TRANSFER_ENCODER_H_
#define POSTHORN_LIB_MIME_TRANSFER_ENCODER_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace posthorn::mime {

// Encodes content for transfer (RFC 2045 section 6) in pieces of any size: lines of at most 76
// octets, all printable ASCII, separated by CRLF. The last line has no line end.
class TransferEncoder {
 public:
  enum class Kind : std::uint8_t {
    kQuotedPrintable,  // a CRLF of the content is a line end; a CR or LF alone is encoded
    kBase64,
  };
  explicit TransferEncoder(Kind kind) : kind_(kind) {}

  // Appends what `bytes` encode to, as far as it is certain.
  void Encode(std::string_view bytes, std::string* out);
  // The end: appends what was held back. Ready for other content.
  void Finish(std::string* out);

 private:
  void EncodeQuotedPrintable(std::string_view bytes, std::string* out);
  void EncodeBase64(std::string_view bytes, std::string* out);
  void PutQuoted(unsigned char c, bool literal, std::string* out);
  void PutGroup(std::string* out);

  Kind kind_;
  std::size_t column_ = 0;
  char held_ = '\0';        // quoted-printable: white space or CR whose follower decides
  unsigned char group_[3] = {};
  std::size_t grouped_ = 0;
};

}  // namespace posthorn::mime

#endif  // POSTHORN_LIB_MIME_TRANSFER_ENCODER_H_
