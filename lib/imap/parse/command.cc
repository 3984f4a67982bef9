// command = tag SP command-name [SP arguments] CRLF; here from the name on.
// uid     = "UID" SP (copy / move / fetch / store / search / sort / thread / expunge)
#include <utility>

#include "absl/strings/ascii.h"
#include "lib/base/failure.h"
#include "lib/imap/parse/parse.h"

namespace posthorn::imap {
namespace {

using Parser = absl::StatusOr<CommandBody> (*)(Cursor& in);

struct Verb {
  std::string_view name;
  Parser parse;
};

template <typename T>
absl::StatusOr<CommandBody> NoArguments(Cursor&) {
  return CommandBody(T{});
}

constexpr Verb kVerbs[] = {
    {"CAPABILITY", NoArguments<CapabilityCommand>},
    {"NOOP", NoArguments<NoopCommand>},
    {"LOGOUT", NoArguments<LogoutCommand>},
    {"STARTTLS", NoArguments<StartTlsCommand>},
    {"NAMESPACE", NoArguments<NamespaceCommand>},
    {"CHECK", NoArguments<CheckCommand>},
    {"CLOSE", NoArguments<CloseCommand>},
    {"UNSELECT", NoArguments<UnselectCommand>},
    {"IDLE", NoArguments<IdleCommand>},
    {"UNAUTHENTICATE", NoArguments<UnauthenticateCommand>},
    {"ID", ParseId},
    {"ENABLE", ParseEnable},
    {"LOGIN", ParseLogin},
    {"AUTHENTICATE", ParseAuthenticate},
    {"SELECT", [](Cursor& in) { return ParseSelect(in, false); }},
    {"EXAMINE", [](Cursor& in) { return ParseSelect(in, true); }},
    {"CREATE", ParseCreate},
    {"DELETE", ParseDelete},
    {"RENAME", ParseRename},
    {"SUBSCRIBE", [](Cursor& in) { return ParseSubscribe(in, true); }},
    {"UNSUBSCRIBE", [](Cursor& in) { return ParseSubscribe(in, false); }},
    {"LIST", [](Cursor& in) { return ParseList(in, false); }},
    {"LSUB", [](Cursor& in) { return ParseList(in, true); }},
    {"STATUS", ParseStatus},
    {"EXPUNGE", [](Cursor& in) { return ParseExpunge(in, false); }},
    {"STORE", [](Cursor& in) { return ParseStore(in, false); }},
    {"COPY", [](Cursor& in) { return ParseCopy(in, false, false); }},
    {"MOVE", [](Cursor& in) { return ParseCopy(in, false, true); }},
    {"FETCH", [](Cursor& in) { return ParseFetch(in, false); }},
    {"SEARCH", [](Cursor& in) { return ParseSearch(in, false); }},
    {"SORT", [](Cursor& in) { return ParseSort(in, false); }},
    {"THREAD", [](Cursor& in) { return ParseThread(in, false); }},
    {"GETQUOTA", ParseGetQuota},
    {"GETQUOTAROOT", ParseGetQuotaRoot},
    {"SETQUOTA", ParseSetQuota},
    {"COMPRESS", ParseCompress},
};

constexpr Verb kUidVerbs[] = {
    {"EXPUNGE", [](Cursor& in) { return ParseExpunge(in, true); }},
    {"STORE", [](Cursor& in) { return ParseStore(in, true); }},
    {"COPY", [](Cursor& in) { return ParseCopy(in, true, false); }},
    {"MOVE", [](Cursor& in) { return ParseCopy(in, true, true); }},
    {"FETCH", [](Cursor& in) { return ParseFetch(in, true); }},
    {"SEARCH", [](Cursor& in) { return ParseSearch(in, true); }},
    {"SORT", [](Cursor& in) { return ParseSort(in, true); }},
    {"THREAD", [](Cursor& in) { return ParseThread(in, true); }},
};

template <std::size_t n>
const Verb* Find(const Verb (&verbs)[n], std::string_view name) {
  for (const Verb& verb : verbs) {
    if (verb.name == name) return &verb;
  }
  return nullptr;
}

std::string UpperAtom(Cursor& in) {
  std::string atom(in.Atom());
  absl::AsciiStrToUpper(&atom);
  return atom;
}

}  // namespace

absl::StatusOr<CommandBody> ParseCommand(std::string_view text, bool utf8) {
  Cursor in(text, utf8);
  std::string name = UpperAtom(in);
  if (name.empty()) return SyntaxError("Missing command");
  const Verb* verb = nullptr;
  if (name == "UID") {
    if (absl::Status s = ExpectSpace(in); !s.ok()) return s;
    name = UpperAtom(in);
    verb = Find(kUidVerbs, name);
  } else {
    verb = Find(kVerbs, name);
  }
  if (verb == nullptr && (name == "APPEND" || name == "REPLACE")) {
    return SyntaxError("Expected a literal with the message");
  }
  if (verb == nullptr) return MakeFailure(Failure::kUnknownCommand);
  absl::StatusOr<CommandBody> command = verb->parse(in);
  if (!command.ok()) return command;
  in.ConsumeSpace();  // some clients end a line with one
  if (!in.AtEnd()) return SyntaxError("Unexpected text after the command");
  return command;
}

}  // namespace posthorn::imap
