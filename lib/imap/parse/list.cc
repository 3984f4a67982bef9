// list = "LIST" [SP "(" [select-opt *(SP select-opt)] ")"] SP mailbox SP patterns
//        [SP "RETURN" SP "(" [return-opt *(SP return-opt)] ")"]
// lsub = "LSUB" SP mailbox SP list-mailbox
// select-opt = "SUBSCRIBED" / "SPECIAL-USE" / "REMOTE" / "RECURSIVEMATCH"   (RFC 5258, RFC 6154)
// return-opt = "SUBSCRIBED" / "CHILDREN" / "SPECIAL-USE" / "STATUS" SP "(" status-att *(SP
//              status-att) ")"   (RFC 5819)
#include <utility>

#include "lib/imap/mailbox_name.h"
#include "lib/imap/parse/parse.h"

namespace posthorn::imap {
namespace {

absl::Status ParseSelectOptions(Cursor& in, ListCommand& command) {
  while (!in.Consume(')')) {
    if (in.ConsumeWord("SUBSCRIBED")) {
      command.select_subscribed = true;
      command.return_subscribed = true;
    } else if (in.ConsumeWord("SPECIAL-USE")) {
      command.select_special_use = true;
    } else if (in.ConsumeWord("RECURSIVEMATCH")) {
      command.recursive_match = true;
    } else if (!in.ConsumeWord("REMOTE")) {
      return SyntaxError("Unknown selection option");
    }
    if (!in.ConsumeSpace() && in.Peek() != ')') return SyntaxError("Invalid selection options");
  }
  // RFC 5258 section 3.1: it says nothing by itself.
  if (command.recursive_match && !command.select_subscribed && !command.select_special_use) {
    return SyntaxError("RECURSIVEMATCH needs another selection option");
  }
  return ExpectSpace(in);
}

absl::Status ParseReturnOptions(Cursor& in, ListCommand& command) {
  if (!in.ConsumeWord("RETURN") || !in.ConsumeSpace() || !in.Consume('(')) {
    return SyntaxError("Expected return options");
  }
  while (!in.Consume(')')) {
    if (in.ConsumeWord("SUBSCRIBED")) {
      command.return_subscribed = true;
    } else if (in.ConsumeWord("STATUS")) {
      if (absl::Status s = ExpectSpace(in); !s.ok()) return s;
      absl::StatusOr<std::vector<StatusItem>> items = ParseStatusItems(in);
      if (!items.ok()) return items.status();
      command.return_status = *std::move(items);
    } else if (!in.ConsumeWord("CHILDREN") && !in.ConsumeWord("SPECIAL-USE")) {
      return SyntaxError("Unknown return option");
    }
    if (!in.ConsumeSpace() && in.Peek() != ')') return SyntaxError("Invalid return options");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> Decode(absl::StatusOr<std::string> sent, bool utf8) {
  if (!sent.ok()) return sent.status();
  return DecodePattern(*sent, utf8);
}

}  // namespace

absl::StatusOr<CommandBody> ParseList(Cursor& in, bool lsub) {
  constexpr std::size_t kMaxPatterns = 100;
  if (absl::Status s = ExpectSpace(in); !s.ok()) return s;
  ListCommand command;
  command.lsub = lsub;
  if (!lsub && in.Consume('(')) {
    command.extended = true;
    if (absl::Status s = ParseSelectOptions(in, command); !s.ok()) return s;
  }
  absl::StatusOr<std::string> reference = Decode(in.AString(), in.utf8());
  if (!reference.ok()) return reference.status();
  command.reference = *std::move(reference);
  if (absl::Status s = ExpectSpace(in); !s.ok()) return s;
  const bool several = !lsub && in.Consume('(');
  command.extended = command.extended || several;
  do {
    absl::StatusOr<std::string> pattern = Decode(in.ListMailbox(), in.utf8());
    if (!pattern.ok()) return pattern.status();
    command.patterns.push_back(*std::move(pattern));
    if (command.patterns.size() > kMaxPatterns) return SyntaxError("Too many patterns");
  } while (several && in.ConsumeSpace());
  if (several && !in.Consume(')')) return SyntaxError("Missing ')'");
  if (!lsub && in.ConsumeSpace()) {
    command.extended = true;
    if (absl::Status s = ParseReturnOptions(in, command); !s.ok()) return s;
  }
  return CommandBody(std::move(command));
}

}  // namespace posthorn::imap
