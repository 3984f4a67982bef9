#ifndef POSTHORN_LIB_POP3_COMMAND_H_
#define POSTHORN_LIB_POP3_COMMAND_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "absl/status/statusor.h"

namespace posthorn::pop3 {

// RFC 2449 section 4 allows 255 octets; passwords may be longer.
inline constexpr std::size_t kMaxCommandLine = 1024;
// AUTH with an initial response, and the lines of its exchange: tokens are long (RFC 4422 section 5.1
// leaves the bound to us).
inline constexpr std::size_t kMaxAuthLine = 24 * 1024;

// Messages are numbered from 1 (RFC 1939 section 5).
using MessageNumber = std::uint32_t;

struct UserCommand {
  explicit UserCommand(std::string name_in) : name(std::move(name_in)) {}
  std::string name;
};
struct PassCommand {
  explicit PassCommand(std::string password_in) : password(std::move(password_in)) {}
  std::string password;  // spaces included (RFC 1939 section 7)
};
struct StatCommand {};
struct ListCommand {
  explicit ListCommand(std::optional<MessageNumber> message_in) : message(message_in) {}
  std::optional<MessageNumber> message;  // none: all
};
struct UidlCommand {
  explicit UidlCommand(std::optional<MessageNumber> message_in) : message(message_in) {}
  std::optional<MessageNumber> message;
};
struct RetrCommand {
  explicit RetrCommand(MessageNumber message_in) : message(message_in) {}
  MessageNumber message;
};
struct TopCommand {
  TopCommand(MessageNumber message_in, std::uint32_t lines_in)
      : message(message_in), lines(lines_in) {}
  MessageNumber message;
  std::uint32_t lines;  // of the body
};
struct DeleCommand {
  explicit DeleCommand(MessageNumber message_in) : message(message_in) {}
  MessageNumber message;
};
struct RsetCommand {};
struct NoopCommand {};
struct CapaCommand {};
struct StlsCommand {};
struct QuitCommand {};
// RFC 5034.
struct AuthCommand {
  AuthCommand(std::string mechanism_in, std::optional<std::string> initial_response_in)
      : mechanism(std::move(mechanism_in)), initial_response(std::move(initial_response_in)) {}
  std::string mechanism;  // in upper case; empty: which are there?
  std::optional<std::string> initial_response;  // base64, "=" for an empty one
};

// RFC 6856 section 2.
struct Utf8Command {};
// RFC 6856 section 3.
struct LangCommand {
  explicit LangCommand(std::string range_in) : range(std::move(range_in)) {}
  std::string range;  // in lower case; empty: which are there?
};

using Command = std::variant<UserCommand, PassCommand, StatCommand, ListCommand, UidlCommand,
                             RetrCommand, TopCommand, DeleCommand, RsetCommand, NoopCommand,
                             CapaCommand, StlsCommand, QuitCommand, AuthCommand, Utf8Command, LangCommand>;

// Parses a line without its line end. Verbs in any case, arguments separated by spaces; what a
// person types, such as a space at the end, is accepted. kUnknownCommand or kSyntax otherwise.
absl::StatusOr<Command> ParseCommand(std::string_view line);

// The verb in upper case, for logs and tables.
std::string_view VerbOf(const Command& command);

// Cuts what arrives into command lines, ended by CRLF or LF, and parses them. A line over
// kMaxCommandLine (of AUTH and its exchange: kMaxAuthLine) is not kept, and is one kSyntax failure
// when its end has come.
class CommandReceiver {
 public:
  void Feed(std::string_view bytes);
  // nullopt: more octets are needed.
  std::optional<absl::StatusOr<Command>> Next();
  // The next line as it is, for a response to a challenge.
  std::optional<absl::StatusOr<std::string>> NextLine();
  // Forgets everything: nothing received in clear text survives STLS (RFC 2595 section 4).
  void Discard();

 private:
  // The next whole line without its end, or kSyntax; `auth` allows long ones in any case.
  std::optional<absl::StatusOr<std::string_view>> TakeLine(bool auth);

  std::string buffer_;
  std::size_t begin_ = 0;  // first octet not yet returned
  bool skipping_ = false;  // inside a line that is too long
};

}  // namespace posthorn::pop3

#endif  // POSTHORN_LIB_POP3_COMMAND_H_
