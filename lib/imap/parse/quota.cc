// getquota     = "GETQUOTA" SP quota-root-name      getquotaroot = "GETQUOTAROOT" SP mailbox
// setquota     = "SETQUOTA" SP quota-root-name SP setquota-list
// setquota-list = "(" [setquota-resource *(SP setquota-resource)] ")"   (RFC 9208)
// setquota-resource = resource-name SP resource-limit
#include <utility>

#include "lib/imap/parse/parse.h"

namespace posthorn::imap {

absl::StatusOr<CommandBody> ParseGetQuota(Cursor& in) {
  if (absl::Status s = ExpectSpace(in); !s.ok()) return s;
  absl::StatusOr<std::string> root = in.AString();
  if (!root.ok()) return root.status();
  return CommandBody(GetQuotaCommand{*std::move(root)});
}

absl::StatusOr<CommandBody> ParseGetQuotaRoot(Cursor& in) {
  if (absl::Status s = ExpectSpace(in); !s.ok()) return s;
  absl::StatusOr<std::string> mailbox = ParseMailbox(in);
  if (!mailbox.ok()) return mailbox.status();
  return CommandBody(GetQuotaRootCommand{*std::move(mailbox)});
}

absl::StatusOr<CommandBody> ParseSetQuota(Cursor& in) {
  if (absl::Status s = ExpectSpace(in); !s.ok()) return s;
  absl::StatusOr<std::string> root = in.AString();
  if (!root.ok()) return root.status();
  if (!in.ConsumeSpace() || !in.Consume('(')) return SyntaxError("Expected resource limits");
  while (!in.Consume(')')) {
    if (in.Atom().empty() || !in.ConsumeSpace() || !in.Number64()) {
      return SyntaxError("Invalid resource limit");
    }
    if (!in.ConsumeSpace() && in.Peek() != ')') return SyntaxError("Invalid resource limits");
  }
  return CommandBody(SetQuotaCommand{*std::move(root)});
}

}  // namespace posthorn::imap
