#ifndef POSTHORN_LIB_SMTP_CHUNK_DECODER_H_
#define POSTHORN_LIB_SMTP_CHUNK_DECODER_H_

#include <cstdint>
#include <string_view>

namespace posthorn::smtp {

// Looks at the octets of BDAT chunks (RFC 3030), which are the message as they are: no dot is
// special and the end is told by counting. What it finds is what DataDecoder finds in the data of
// DATA. Chunks may cut anything, also a CRLF.
class ChunkDecoder {
 public:
  // The next octets of the message.
  void Feed(std::string_view bytes);
  // The message is complete: a CR at its very end is a bare one.
  void Finish();

  bool bare_newline() const { return bare_newline_; }
  bool eight_bit() const { return eight_bit_; }
  std::uint64_t octets() const { return octets_; }
  // The longest line so far, without CRLF.
  std::uint64_t longest_line() const { return longest_line_; }

 private:
  bool after_cr_ = false;
  bool bare_newline_ = false;
  bool eight_bit_ = false;
  std::uint64_t octets_ = 0;
  std::uint64_t line_ = 0;
  std::uint64_t longest_line_ = 0;
};

}  // namespace posthorn::smtp

#endif  // POSTHORN_LIB_SMTP_CHUNK_DECODER_H_
