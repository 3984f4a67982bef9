#ifndef POSTHORN_LIB_SMTP_DATA_DECODER_H_
#define POSTHORN_LIB_SMTP_DATA_DECODER_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace posthorn::smtp {

// What becomes of a CR without LF and of an LF without CR.
enum class BareNewlines {
  kKeep,       // they stay, and bare_newline() tells of them
  kNormalize,  // each becomes CRLF
};

// How the end of a message is told.
enum class DataFraming {
  kDots,     // DATA: by a line with a dot alone
  kCounted,  // BDAT (RFC 3030): by counting octets; no dot is special
};

// Reads what follows DATA (RFC 5321 section 4.5.2): takes away dot-stuffing and finds the end,
// which is CRLF "." CRLF and nothing else. After a bare CR or LF no dot is special until the next
// CRLF, so that nothing another server might take for an end is one here (SMTP smuggling); what
// had one is to be refused, or what is bare becomes CRLF, wherever it stands: the end of the data is
// the same either way. Octets pass unchanged otherwise. Chunks of BDAT, which may cut anything, are
// read the same but for the dots.
class DataDecoder {
 public:
  explicit DataDecoder(BareNewlines policy = BareNewlines::kKeep,
                       DataFraming framing = DataFraming::kDots)
      : policy_(policy), framing_(framing) {}

  // Decodes from the front of `input`, appends the message's octets to `out`, and returns how many
  // were used: all of them, or up to and with the end of the data. Not to be called once done().
  std::size_t Decode(std::string_view input, std::string& out);
  // The last counted octet has come: a CR at the very end is a bare one.
  void Finish(std::string& out);
  // From now on octets are only looked at, not appended: the message is refused already.
  void DiscardOutput() { discard_ = true; }

  bool done() const { return state_ == State::kDone; }
  // There was one, whatever became of it.
  bool bare_newline() const { return bare_newline_; }
  // An octet above 127 was seen.
  bool eight_bit() const { return eight_bit_; }
  // Of the message as decoded, without the final dot; counts on after DiscardOutput.
  std::uint64_t octets() const { return octets_; }
  // The longest line so far, without CRLF.
  std::uint64_t longest_line() const { return longest_line_; }

 private:
  enum class State {
    kLineStart,  // after CRLF, or at the very beginning
    kLine,
    kCr,     // CR inside a line; LF should follow
    kDot,    // a dot at the start of a line
    kDotCr,  // and a CR after it
    kDone,
  };

  void Append(std::string_view bytes, std::string& out);
  // Text without CRLF in which every CR and LF is bare.
  void AppendBare(std::string_view bytes, std::string& out);
  void EndLine();
  // From state kLine: up to and with the next LF, or all of `input`.
  std::size_t DecodeInLine(std::string_view input, std::string& out);

  const BareNewlines policy_;
  const DataFraming framing_;
  State state_ = State::kLineStart;
  bool discard_ = false;
  bool bare_newline_ = false;
  bool eight_bit_ = false;
  std::uint64_t octets_ = 0;
  std::uint64_t line_ = 0;  // octets of the current line
  std::uint64_t longest_line_ = 0;
};

}  // namespace posthorn::smtp

#endif  // POSTHORN_LIB_SMTP_DATA_DECODER_H_
