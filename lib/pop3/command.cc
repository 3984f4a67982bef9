// Grammar (RFC 2449 section 4, RFC 1939):
//   command = verb *(1*SP argument) [CR] LF
//   USER name / PASS string / STAT / LIST [n] / UIDL [n] / RETR n / TOP n n / DELE n / RSET / NOOP /
//   CAPA / STLS / QUIT / AUTH [mechanism [base64 / "="]]      (RFC 5034)
//   UTF8 / LANG [language-range]                              (RFC 6856)

#include "lib/pop3/command.h"

#include <algorithm>
#include <array>

#include "lib/base/failure.h"

namespace posthorn::pop3 {
namespace {

struct Verb {
  std::string_view name;
  absl::StatusOr<Command> (*parse)(std::string_view arguments);
};

void TrimLeft(std::string_view* text) {
  while (!text->empty() && text->front() == ' ') text->remove_prefix(1);
}
void TrimRight(std::string_view* text) {
  while (!text->empty() && text->back() == ' ') text->remove_suffix(1);
}

absl::Status Syntax(std::string_view usage) {
  return MakeFailure(Failure::kSyntax, "Syntax: " + std::string(usage));
}

std::optional<std::uint32_t> TakeNumber(std::string_view* text) {
  TrimLeft(text);
  std::uint64_t number = 0;
  std::size_t digits = 0;
  for (; digits < text->size() && (*text)[digits] >= '0' && (*text)[digits] <= '9'; ++digits) {
    number = number * 10 + static_cast<std::uint64_t>((*text)[digits] - '0');
    if (number > 0xffffffff) return std::nullopt;
  }
  const bool ends = digits == text->size() || (*text)[digits] == ' ';
  if (digits == 0 || !ends) return std::nullopt;
  text->remove_prefix(digits);
  return static_cast<std::uint32_t>(number);
}

bool Empty(std::string_view arguments) {
  TrimLeft(&arguments);
  return arguments.empty();
}

template <typename Plain>
absl::StatusOr<Command> ParsePlain(std::string_view arguments) {
  if (!Empty(arguments)) return Syntax("no arguments here");
  return Command(Plain());
}

absl::StatusOr<Command> ParseUser(std::string_view arguments) {
  TrimLeft(&arguments);
  TrimRight(&arguments);
  if (arguments.empty()) return Syntax("USER name");
  return Command(UserCommand(std::string(arguments)));
}

absl::StatusOr<Command> ParsePass(std::string_view arguments) {
  // One space separates; all others belong to the password.
  if (arguments.size() < 2) return Syntax("PASS password");
  return Command(PassCommand(std::string(arguments.substr(1))));
}

template <typename Listing>
absl::StatusOr<Command> ParseListing(std::string_view arguments) {
  if (Empty(arguments)) return Command(Listing(std::nullopt));
  const std::optional<std::uint32_t> number = TakeNumber(&arguments);
  if (!number || !Empty(arguments)) return Syntax("LIST [n], UIDL [n]");
  return Command(Listing(*number));
}

template <typename OfMessage>
absl::StatusOr<Command> ParseOfMessage(std::string_view arguments) {
  const std::optional<std::uint32_t> number = TakeNumber(&arguments);
  if (!number || !Empty(arguments)) return Syntax("RETR n, DELE n");
  return Command(OfMessage(*number));
}

absl::StatusOr<Command> ParseTop(std::string_view arguments) {
  const std::optional<std::uint32_t> number = TakeNumber(&arguments);
  if (!number) return Syntax("TOP n lines");
  const std::optional<std::uint32_t> lines = TakeNumber(&arguments);
  if (!lines || !Empty(arguments)) return Syntax("TOP n lines");
  return Command(TopCommand(*number, *lines));
}

absl::StatusOr<Command> ParseAuth(std::string_view arguments) {
  TrimLeft(&arguments);
  TrimRight(&arguments);
  const std::size_t space = std::min(arguments.find(' '), arguments.size());
  std::string mechanism(arguments.substr(0, space));
  for (char& c : mechanism) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
  }
  std::string_view response = arguments.substr(space);
  TrimLeft(&response);
  if (response.empty()) return Command(AuthCommand(std::move(mechanism), std::nullopt));
  if (response.find(' ') != std::string_view::npos) return Syntax("AUTH mechanism [response]");
  return Command(AuthCommand(std::move(mechanism), std::string(response)));
}

absl::StatusOr<Command> ParseLang(std::string_view arguments) {
  TrimLeft(&arguments);
  TrimRight(&arguments);
  std::string range(arguments);
  for (char& c : range) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
    const bool fits = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '*';
    if (!fits) return Syntax("LANG [language]");
  }
  return Command(LangCommand(std::move(range)));
}

// In the order of the variant.
constexpr std::array<Verb, std::variant_size_v<Command>> kVerbs = {{
    {"USER", ParseUser},
    {"PASS", ParsePass},
    {"STAT", ParsePlain<StatCommand>},
    {"LIST", ParseListing<ListCommand>},
    {"UIDL", ParseListing<UidlCommand>},
    {"RETR", ParseOfMessage<RetrCommand>},
    {"TOP", ParseTop},
    {"DELE", ParseOfMessage<DeleCommand>},
    {"RSET", ParsePlain<RsetCommand>},
    {"NOOP", ParsePlain<NoopCommand>},
    {"CAPA", ParsePlain<CapaCommand>},
    {"STLS", ParsePlain<StlsCommand>},
    {"QUIT", ParsePlain<QuitCommand>},
    {"AUTH", ParseAuth},
    {"UTF8", ParsePlain<Utf8Command>},
    {"LANG", ParseLang},
}};

bool IsVerb(std::string_view word, std::string_view verb) {
  if (word.size() != verb.size()) return false;
  for (std::size_t i = 0; i < word.size(); ++i) {
    const char c = word[i] >= 'a' && word[i] <= 'z' ? static_cast<char>(word[i] - 32) : word[i];
    if (c != verb[i]) return false;
  }
  return true;
}

}  // namespace

absl::StatusOr<Command> ParseCommand(std::string_view line) {
  TrimLeft(&line);
  const std::size_t end = std::min(line.find(' '), line.size());
  const std::string_view word = line.substr(0, end);
  for (const Verb& verb : kVerbs) {
    if (IsVerb(word, verb.name)) return verb.parse(line.substr(end));
  }
  return MakeFailure(Failure::kUnknownCommand);
}

std::string_view VerbOf(const Command& command) { return kVerbs[command.index()].name; }

void CommandReceiver::Feed(std::string_view bytes) {
  if (skipping_) {
    // Only the line's end is of interest.
    const std::size_t feed = bytes.find('\n');
    if (feed == std::string_view::npos) return;
    bytes.remove_prefix(feed);
  }
  buffer_.erase(0, begin_);
  begin_ = 0;
  buffer_.append(bytes);
}

std::optional<absl::StatusOr<std::string_view>> CommandReceiver::TakeLine(bool auth) {
  const std::string_view rest = std::string_view(buffer_).substr(begin_);
  const std::size_t limit =
      auth || IsVerb(rest.substr(0, 4), "AUTH") ? kMaxAuthLine : kMaxCommandLine;
  const std::size_t feed = rest.find('\n');
  if (feed == std::string_view::npos) {
    if (rest.size() > limit) {
      skipping_ = true;
      begin_ = buffer_.size();
    }
    return std::nullopt;
  }
  std::string_view line = rest.substr(0, feed);
  begin_ += feed + 1;
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  if (skipping_ || line.size() > limit) {
    skipping_ = false;
    return MakeFailure(Failure::kSyntax, "Line too long");
  }
  return line;
}

std::optional<absl::StatusOr<Command>> CommandReceiver::Next() {
  const std::optional<absl::StatusOr<std::string_view>> line = TakeLine(false);
  if (!line.has_value()) return std::nullopt;
  if (!line->ok()) return line->status();
  return ParseCommand(**line);
}

std::optional<absl::StatusOr<std::string>> CommandReceiver::NextLine() {
  const std::optional<absl::StatusOr<std::string_view>> line = TakeLine(true);
  if (!line.has_value()) return std::nullopt;
  if (!line->ok()) return line->status();
  return std::string(**line);
}

void CommandReceiver::Discard() {
  buffer_.clear();
  begin_ = 0;
  skipping_ = false;
}

}  // namespace posthorn::pop3
