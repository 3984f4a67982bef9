// create = "CREATE" SP mailbox [SP "(USE" SP "(" [use-attr *(SP use-attr)] "))"]   (RFC 6154)
#include <utility>

#include "absl/strings/match.h"
#include "lib/base/failure.h"
#include "lib/imap/mailbox_name.h"
#include "lib/imap/parse/parse.h"

namespace posthorn::imap {
namespace {

absl::StatusOr<std::string> ParseUse(Cursor& in) {
  constexpr std::string_view kUses[] = {"\\All",  "\\Archive", "\\Drafts", "\\Flagged",
                                        "\\Junk", "\\Sent",    "\\Trash"};
  if (!in.ConsumeWord("USE") || !in.ConsumeSpace() || !in.Consume('(')) {
    return SyntaxError("Expected USE and a list");
  }
  std::string use;
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
    // One use a mailbox; RFC 6154 section 3 lets a server refuse the rest.
    if (found.empty() || !use.empty()) {
      return MakeFailure(Failure::kParameterNotImplemented, "Special use is not supported");
    }
    use = std::string(found);
    if (!in.ConsumeSpace() && in.Peek() != ')') return SyntaxError("Invalid list");
  }
  if (!in.Consume(')')) return SyntaxError("Missing ')'");
  return use;
}

}  // namespace

absl::StatusOr<CommandBody> ParseCreate(Cursor& in) {
  if (absl::Status s = ExpectSpace(in); !s.ok()) return s;
  absl::StatusOr<std::string> mailbox = ParseMailbox(in);
  if (!mailbox.ok()) return mailbox.status();
  // RFC 3501 section 6.3.3: a final separator only announces children.
  if (mailbox->size() > 1 && mailbox->back() == kHierarchySeparator) mailbox->pop_back();
  CreateCommand command{*std::move(mailbox), {}};
  if (in.ConsumeSpace()) {
    if (!in.Consume('(')) return SyntaxError("Expected parameters");
    absl::StatusOr<std::string> use = ParseUse(in);
    if (!use.ok()) return use.status();
    command.special_use = *std::move(use);
  }
  return CommandBody(std::move(command));
}

}  // namespace posthorn::imap
