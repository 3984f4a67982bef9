// create = "CREATE" SP mailbox [SP "(USE" SP "(" [use-attr *(SP use-attr)] "))"]   (RFC 6154)
#include <utility>

#include "absl/strings/match.h"
#include "lib/imap/mailbox_name.h"
#include "lib/imap/parse/parse.h"

namespace posthorn::imap {
namespace {

absl::Status ParseUse(Cursor& in, CreateCommand& command) {
  constexpr std::string_view kUses[] = {"\\All",  "\\Archive", "\\Drafts", "\\Flagged",
                                        "\\Junk", "\\Sent",    "\\Trash"};
  if (!in.ConsumeWord("USE") || !in.ConsumeSpace() || !in.Consume('(')) {
    return SyntaxError("Expected USE and a list");
  }
  while (!in.Consume(')')) {
    std::string name;
    if (in.Consume('\\')) name = "\\" + std::string(in.Atom());
    if (name.size() < 2) return SyntaxError("Invalid special use");
    std::string_view found;
    for (const std::string_view known : kUses) {
      if (absl::EqualsIgnoreCase(name, absl::string_view(known.data(), known.size()))) {
        found = known;
      }
    }
    if (found.empty() || !command.special_use.empty()) command.use_not_supported = true;
    command.special_use = std::string(found);
    if (!in.ConsumeSpace() && in.Peek() != ')') return SyntaxError("Invalid list");
  }
  if (!in.Consume(')')) return SyntaxError("Missing ')'");
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<CommandBody> ParseCreate(Cursor& in) {
  if (absl::Status s = ExpectSpace(in); !s.ok()) return s;
  absl::StatusOr<std::string> mailbox = ParseMailbox(in);
  if (!mailbox.ok()) return mailbox.status();
  // RFC 3501 section 6.3.3: a final separator only announces children.
  if (mailbox->size() > 1 && mailbox->back() == kHierarchySeparator) mailbox->pop_back();
  CreateCommand command;
  command.mailbox = *std::move(mailbox);
  if (in.ConsumeSpace()) {
    if (!in.Consume('(')) return SyntaxError("Expected parameters");
    if (absl::Status s = ParseUse(in, command); !s.ok()) return s;
  }
  return CommandBody(std::move(command));
}

}  // namespace posthorn::imap
