// id        = "ID" SP id-params-list                                        (RFC 2971)
// id-params = "(" [string SP nstring *(SP string SP nstring)] ")" / nil
#include <optional>
#include <utility>

#include "lib/imap/parse/parse.h"

namespace posthorn::imap {

absl::StatusOr<CommandBody> ParseId(Cursor& in) {
  constexpr std::size_t kMaxFields = 30;  // RFC 2971 section 3.3
  if (absl::Status s = ExpectSpace(in); !s.ok()) return s;
  IdCommand command;
  if (in.ConsumeWord("NIL")) return CommandBody(std::move(command));
  if (!in.Consume('(')) return SyntaxError("Expected a parameter list");
  while (!in.Consume(')')) {
    absl::StatusOr<std::string> name = in.String();
    if (!name.ok()) return name.status();
    if (absl::Status s = ExpectSpace(in); !s.ok()) return s;
    absl::StatusOr<std::optional<std::string>> value = in.NString();
    if (!value.ok()) return value.status();
    if (*value) command.fields.emplace_back(*std::move(name), **std::move(value));
    if (command.fields.size() > kMaxFields) return SyntaxError("Too many parameters");
    if (!in.ConsumeSpace() && in.Peek() != ')') return SyntaxError("Invalid parameter list");
  }
  return CommandBody(std::move(command));
}

}  // namespace posthorn::imap
