#ifndef POSTHORN_LIB_MIME_TRANSFER_DECODER_H_
#define POSTHORN_LIB_MIME_TRANSFER_DECODER_H_

#include <cstdint>
#include <string>
#include <string_view>

namespace posthorn::mime {

// Decodes a Content-Transfer-Encoding (RFC 2045 section 6) in pieces of any size. Broken input is
// decoded as far as it makes sense and never fails; an unknown encoding passes through.
class TransferDecoder {
 public:
  explicit TransferDecoder(std::string_view encoding);

  // Appends what `bytes` decode to.
  void Decode(std::string_view bytes, std::string* out);
  // The end: what was held back (an unfinished "=" of quoted-printable).
  void Finish(std::string* out);

 private:
  enum class Kind : std::uint8_t { kIdentity, kQuotedPrintable, kBase64 };

  void DecodeQuotedPrintable(std::string_view bytes, std::string* out);
  void DecodeBase64(std::string_view bytes, std::string* out);

  Kind kind_;
  std::string held_;            // quoted-printable: "=", "=X" or white space before a line end
  std::uint32_t bits_ = 0;      // base64: sextets collected
  std::uint8_t sextets_ = 0;
};

}  // namespace posthorn::mime

#endif  // POSTHORN_LIB_MIME_TRANSFER_DECODER_H_
