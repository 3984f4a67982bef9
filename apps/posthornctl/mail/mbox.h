#ifndef POSTHORN_APPS_POSTHORNCTL_MAIL_MBOX_H_
#define POSTHORN_APPS_POSTHORNCTL_MAIL_MBOX_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// The mbox format, variant mboxrd: a message begins after a line "From ", and lines in it that
// begin with "From " after any number of ">" have one ">" more. Pure.
//
//   From posthorn@localhost Tue Nov 14 22:13:20 2023
//   X-Posthorn: lines=4 eol=crlf octets=123 received=1700000000000000
//   Status: RO
//   X-Status: A
//   X-Keywords: $Work
//   Subject: the message itself
//
// The lines that X-Posthorn counts (itself among them) were added by an export and go away at an
// import; `octets` is the size of the message, whose end the format itself cannot tell from the
// empty line behind it. With eol=crlf every line of it ends in CRLF, which the file has as LF; with
// eol=raw it stands there as it is.
namespace posthorn::ctl {

struct MboxMeta {
  std::uint32_t flags = 0;
  std::vector<std::string> keywords;
  std::int64_t received_micros = 0;  // 0: unknown
  std::uint64_t octets = 0;
  bool crlf = true;
};

// All that stands before the message.
std::string MboxHead(const MboxMeta& meta);
bool IsFromLine(std::string_view line);
// The time in it, in seconds; nullopt: none that can be read.
std::optional<std::int64_t> TimeOfFromLine(std::string_view line);

// Writes a message piece by piece: quotes lines, CRLF to LF where `crlf`.
class MboxQuoter {
 public:
  explicit MboxQuoter(bool crlf) : crlf_(crlf) {}
  std::string Feed(std::string_view piece);
  // What ends the message: an end of line where it has none, and the empty line.
  std::string Finish();

 private:
  void Put(char c, std::string& out);
  const bool crlf_;
  std::size_t match_ = 0;  // of "From ", held back
  bool at_start_ = true;   // nothing but ">" in the line so far
  char last_ = '\n';
};

// Whether all lines, the last one too, end in CRLF and no CR or LF stands alone. Fed in pieces.
class LineEnds {
 public:
  void Feed(std::string_view piece);
  bool AllCrlf() const { return !mixed_ && last_ == '\n'; }

 private:
  bool mixed_ = false;
  char last_ = '\n';
};

// Reads one message of an mbox: the lines after its From line, in pieces of any size; gives back
// what the message is. Of a foreign mbox the flags are those of Status, X-Status and X-Keywords,
// which stay in the message.
class MboxReader {
 public:
  // Complete once the header was fed.
  const MboxMeta& meta() const { return meta_; }
  std::string Feed(std::string_view piece);
  // The rest; not the empty line that ends a message.
  std::string Finish();

 private:
  static constexpr std::size_t kMaxLine = 8192;  // of a header line that is looked at

  void HeaderLine();
  void Unquote(char c, std::string& out);
  void Flush(std::string& out);
  void Put(char c, std::string& out);
  void Emit(std::string_view text, std::string& out);

  MboxMeta meta_;
  bool ours_ = false;  // X-Posthorn was there
  int skip_ = 0;       // lines of the head that are left
  bool first_ = true;
  bool in_header_ = true;
  std::string line_;        // the header line so far
  std::string held_first_;  // the first line, until it is known whose it is
  std::size_t quotes_ = 0;  // ">" held back at the start of a line
  std::size_t match_ = 0;   // of "From " behind them
  bool at_start_ = true;
  char last_ = '\n';
  bool cr_ = false;     // a CR is held back
  bool blank_ = false;  // an empty line is held back
  std::uint64_t emitted_ = 0;
};

// A mailbox name as a path in a directory of mbox files, without ".mbox", and back. What could not
// be a file's name is %XX.
std::string MboxPathOf(std::string_view mailbox);
std::string MailboxOfMboxPath(std::string_view path);

}  // namespace posthorn::ctl

#endif  // POSTHORN_APPS_POSTHORNCTL_MAIL_MBOX_H_
