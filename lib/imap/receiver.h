#ifndef POSTHORN_LIB_IMAP_RECEIVER_H_
#define POSTHORN_LIB_IMAP_RECEIVER_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lib/imap/command.h"

namespace posthorn::imap {

struct ReceiverLimits {
  std::size_t line_octets = 65536;           // a command without its literals
  std::size_t literal_octets = 1024 * 1024;  // all literals of a command together
  std::uint64_t append_octets = 50 * 1024 * 1024;
};

// What Receiver::Next answers.
struct NeedMore {};
// The client waits for a continuation ("+") before it sends a literal of `size` octets. Feed goes
// on as before.
struct NeedLiteral {
  std::uint64_t size = 0;
};
struct Command {
  std::string tag;
  CommandBody body;
};
// A piece of the message that an AppendCommand announced; another message (RFC 3502), to be
// accepted or rejected like the first; the end of them all.
struct AppendChunk {
  std::string bytes;
};
struct AppendNext {
  AppendCommand message;
};
struct AppendEnd {
  absl::Status status;  // what followed the message is wrong; nothing may be stored
};
// A line asked for by ExpectLine, without its end.
struct RawLine {
  std::string text;
};
// A command that could not be read; the stream stays in step. kSyntax and kUnknownCommand mean BAD.
struct CommandFailure {
  std::string tag;  // empty: could not be read ("*")
  absl::Status status;
  bool fatal = false;  // the stream cannot be followed any further: say BYE
};
using Received = std::variant<NeedMore, NeedLiteral, Command, AppendChunk, AppendNext, AppendEnd,
                              RawLine, CommandFailure>;

// Turns the bytes of an IMAP client into commands; knows no socket. Feed what arrives, then call
// Next until it answers NeedMore; between two Feeds memory is bounded by the limits plus what was
// fed. Lines end in CRLF or a lone LF. Literals are synchronising ({n}) or not ({n+}, RFC 7888); of
// a literal that is too large nothing is kept and no continuation is asked for.
class Receiver {
 public:
  explicit Receiver(ReceiverLimits limits) : limits_(limits) {}

  void Feed(std::string_view bytes);
  Received Next();

  // After an AppendCommand or AppendNext: take the message (AppendChunk and AppendNext or AppendEnd
  // follow; the caller sends the continuation if it is synchronising), or not: what the client
  // sends of the command is skipped.
  void AcceptAppend();
  void RejectAppend();

  // The next line is no command: a SASL response, DONE.
  void ExpectLine();

  // All literals of a command together: smaller before a login, when anybody may ask for memory.
  void SetLiteralLimit(std::size_t octets) { limits_.literal_octets = octets; }

  // From now on names and strings are UTF-8 (RFC 6855), or not.
  void SetUtf8(bool utf8) { utf8_ = utf8; }

  // Nothing is buffered or half read. Memory was given back.
  bool idle() const { return state_ == State::kCommand && buffer_.empty() && text_.empty(); }
  // Forgets everything that was fed: after STARTTLS.
  void Reset();

 private:
  enum class State {
    kCommand,
    kLiteral,        // of a command
    kAppendPending,  // the caller has not decided yet
    kAppend,         // message octets are handed out
    kAppendTail,     // the rest of its line
    kSkipLine,       // until the end of a refused line
    kSkipLiteral,    // of a refused line, not synchronising
    kRawLine,
  };

  // Each answers nullopt when the next state has to be looked at.
  std::optional<Received> NextLine();
  std::optional<Received> NextLiteral();
  std::optional<Received> NextAppend();
  std::optional<Received> NextAppendTail();
  // What `line`, behind a message, announces.
  absl::StatusOr<AppendCommand> NextMessage(std::string_view line);
  absl::Status CheckSize(std::uint64_t size) const;
  std::optional<Received> SkipLine();
  std::optional<Received> SkipLiteral();
  std::optional<Received> OnLiteral(std::string_view mark, std::uint64_t size, bool synchronising,
                                    bool eight);

  Received Finish();
  // The tag of what is there so far; forgets the command.
  CommandFailure Fail(absl::Status status, bool fatal = false);
  // The next line without its end, if it is there whole. Valid until the next Feed or Compact.
  std::optional<std::string_view> TakeLine();
  std::size_t available() const { return buffer_.size() - pos_; }
  // Drops what is consumed; gives memory back when nothing is left.
  void Compact();

  ReceiverLimits limits_;
  State state_ = State::kCommand;
  std::string buffer_;
  std::size_t pos_ = 0;      // of what is consumed in buffer_
  std::size_t scanned_ = 0;  // no LF in buffer_ before here
  std::string text_;         // the command so far: lines and literals
  std::size_t line_octets_ = 0;
  std::size_t literal_octets_ = 0;
  std::uint64_t remaining_ = 0;  // of the literal that is read or skipped
  bool append_synchronising_ = false;
  bool append_utf8_ = false;      // ")" follows the message
  bool append_replaces_ = false;  // no other message may follow
  bool utf8_ = false;
  std::string skip_tail_;  // the end of a line that is skipped, to see a literal announced there
};

}  // namespace posthorn::imap

#endif  // POSTHORN_LIB_IMAP_RECEIVER_H_
