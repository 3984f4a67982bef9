#ifndef POSTHORN_LIB_SMTP_LINE_READER_H_
#define POSTHORN_LIB_SMTP_LINE_READER_H_

#include <cstddef>
#include <string>
#include <string_view>

namespace posthorn::smtp {

// RFC 5321 section 4.5.3.1.4 allows 512 octets; ESMTP parameters raise it (RFC 3461 adds 500 to
// RCPT), so one bound covers every verb.
inline constexpr std::size_t kMaxCommandLine = 2048;
// A line of an AUTH exchange (RFC 4954 section 4).
inline constexpr std::size_t kMaxAuthLine = 12288;

// Cuts a byte stream into command lines. The limit holds while bytes arrive: of a line that is too
// long nothing is kept, and it is reported once, when its end has come. A line ends in CRLF or,
// from people and scripts, in LF alone; that is harmless here because message data goes through
// DataDecoder, which knows only CRLF. What is no line (message data, chunks) is taken by Peek and
// Consume.
class LineReader {
 public:
  enum class Outcome { kNeedMore, kLine, kTooLong };
  struct Result {
    Outcome outcome;
    std::string_view line;  // without its end; valid until the next call of Feed or Discard
  };

  explicit LineReader(std::size_t max_line = kMaxCommandLine) : max_line_(max_line) {}

  // `max_line` counts the octets before CRLF; it holds from the next line on.
  void set_max_line(std::size_t max_line) { max_line_ = max_line; }

  void Feed(std::string bytes);
  Result Next();

  // What was fed and not read yet; valid until the next call of Feed, Consume or Discard.
  std::string_view Peek() const { return std::string_view(buffer_).substr(begin_); }
  // `octets` of it have been read otherwise; at most all.
  void Consume(std::size_t octets);
  bool empty() const { return begin_ == buffer_.size(); }
  // Forgets everything: nothing received in clear text survives STARTTLS (RFC 3207 section 4.2).
  void Discard();

 private:
  std::string buffer_;
  std::size_t begin_ = 0;    // first octet not yet returned
  std::size_t scanned_ = 0;  // no LF in [begin_, scanned_)
  bool skipping_ = false;    // inside a line that is too long
  std::size_t max_line_;
};

}  // namespace posthorn::smtp

#endif  // POSTHORN_LIB_SMTP_LINE_READER_H_
