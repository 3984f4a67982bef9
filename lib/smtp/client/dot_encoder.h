#ifndef POSTHORN_LIB_SMTP_CLIENT_DOT_ENCODER_H_
#define POSTHORN_LIB_SMTP_CLIENT_DOT_ENCODER_H_

#include <string>
#include <string_view>

namespace posthorn::smtp::client {

// Makes the octets of a message fit for DATA (RFC 5321 section 4.5.2), piece by piece: a leading
// dot of a line is doubled. No bare CR or LF leaves (SMTP smuggling): should a body have one, it
// becomes CRLF. Everything else passes unchanged. For BDAT (RFC 3030) only the line ends matter.
class DotEncoder {
 public:
  enum class Framing { kDots, kChunks };
  explicit DotEncoder(Framing framing = Framing::kDots) : dots_(framing == Framing::kDots) {}

  // Appends the encoded form of `bytes` to `out`. A CR at the end is held back until it is known
  // what follows.
  void Encode(std::string_view bytes, std::string& out);
  // kDots: appends the final CRLF, if the message has not ended in one, and the dot. kChunks: what
  // was held back. Ready for the next.
  void Finish(std::string& out);

 private:
  bool dots_;
  bool line_start_ = true;
  bool held_cr_ = false;
};

}  // namespace posthorn::smtp::client

#endif  // POSTHORN_LIB_SMTP_CLIENT_DOT_ENCODER_H_
